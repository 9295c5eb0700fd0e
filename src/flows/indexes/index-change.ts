import { isRefusal } from "../../lib/failure.ts";
import type { Flow, Next, Operation, Step, StepDeps } from "../../operation/operation.ts";
import * as guarded from "../../organization/guarded.ts";
import * as organizationStore from "../../organization/store.ts";
import { buildMs, createIndex, dropIndex, hasIndex, indexesMaxAt, listIndexes } from "../../tenant/place/indexes.ts";
import { isShared, type Placement, type TenantIndex } from "../../tenant/placement.ts";
import { settleCommon, tendCommon } from "./common-index.ts";
import { makeShared } from "./shared-index.ts";
import { organizationMissing } from "../failures.ts";
import { enter, organizationOf } from "../guard.ts";

/** `change` is `{create: TenantIndex}` or `{drop: TenantIndex}` as JSON. */
type Input = { change: string };
/** `existed`: the index to be made was there before. */
type Progress = { existed: boolean };
type IndexStep = Step<Input, Progress>;
type IndexFlow = Flow<Input, Progress>;
type Change = { create?: TenantIndex; drop?: TenantIndex };

const changeOf = ({ input }: Operation<Input, Progress>): Change => JSON.parse(input.change);

const at =
  (
    step: (deps: StepDeps, operation: Operation<Input, Progress>, placement: Placement) => Promise<Next<Progress>>,
  ): IndexStep =>
  async (deps, operation) => {
    const placement = (await organizationStore.findById(deps.db, operation.organization_id))?.placement;
    if (!placement) return { failed: organizationMissing };
    try {
      return await step(deps, operation, placement);
    } catch (error) {
      // What the database refuses is the caller's answer: it would be refused again.
      if (!isRefusal(error)) throw error;
      return { failed: { code: error.failure, detail: error.message } };
    }
  };

/** In the shared collection the placement says which a tenant has. */
async function record(
  { db }: StepDeps,
  operation: Operation<Input, Progress>,
  placement: Placement,
  change: (others: TenantIndex[]) => TenantIndex[],
): Promise<void> {
  if (!isShared(placement)) return;
  const { create, drop } = changeOf(operation);
  const others = (placement.indexes ?? []).filter(({ name }) => name !== (create ?? drop)!.name);
  await guarded.notePlacement(db, organizationOf(operation), { indexes: change(others) });
}

/**
 * Looks first, as what is to be undone depends on it: here no other change of them is under way. Nothing is said of an index
 * that is out of reach.
 */
const look = at(async ({ deployments, config }, operation, placement) => {
  deployments.of(placement.region);
  const { create } = changeOf(operation);
  const indexesMax = indexesMaxAt(placement, config.starterIndexes);
  const existed = create !== undefined && hasIndex(await listIndexes(deployments, placement), create, indexesMax);
  return { go: "apply", progress: { existed } };
});

/**
 * Makes or drops one of a tenant's indexes. In the shared collection a new one is built before it is said, and one that goes
 * is said to be gone first. Others may build and drop the same one meanwhile, so what is said is settled at the end.
 */
const apply = at(async (deps, operation, placement) => {
  deps.deployments.of(placement.region);
  const { create, drop } = changeOf(operation);
  if (create) {
    if (isShared(placement)) {
      const beside = (placement.indexes ?? []).filter(({ name }) => name !== create.name);
      await makeShared(deps, operation, { placement, index: create, ...(!operation.progress.existed && { beside }) });
    } else {
      deps.mayTake(buildMs);
      await createIndex(deps.deployments, placement, create);
    }
    await record(deps, operation, placement, (others) => [...others, create]);
    try {
      if (isShared(placement)) await settleCommon({ deps, operation }, [create]);
    } catch (error) {
      // There may be no room for it any more.
      if (isRefusal(error) && !operation.progress.existed) await takeBack(deps, operation, placement);
      throw error;
    }
  } else if (drop) {
    await record(deps, operation, placement, (others) => others);
    if (isShared(placement)) await tendCommon(deps, operation, [drop]);
    await dropIndex(deps.deployments, placement, drop);
  }
  return { done: true };
});

/** Leaves it as if it had never been asked for. */
async function takeBack(deps: StepDeps, operation: Operation<Input, Progress>, placement: Placement): Promise<void> {
  const { create } = changeOf(operation);
  await record(deps, operation, placement, (others) => others);
  if (isShared(placement)) await tendCommon(deps, operation, [create!]);
  await dropIndex(deps.deployments, placement, create!);
}

/** One that the tenant is told to be gone is: what is left of it the doctor removes. */
const undo = at(async (deps, operation, placement) => {
  const { create, drop } = changeOf(operation);
  const { existed } = operation.progress;
  // Nothing is done before it has looked.
  if (existed === undefined) return { cancelled: true };
  if (create && !existed) await takeBack(deps, operation, placement);
  if (create) return { cancelled: true };
  const isThere = (await listIndexes(deps.deployments, placement)).some(({ name }) => name === drop!.name);
  return isThere ? { cancelled: true } : { done: true };
});

/** One that was built and not listed yet. */
const removeLeft: IndexFlow["removeLeft"] = async (deps, left) => {
  const { create, drop } = changeOf(left);
  await tendCommon(deps, left, [(create ?? drop)!]);
};

export const index: IndexFlow = {
  first: "look",
  acts(operation) {
    const { create, drop } = changeOf(operation);
    return [{ act: create ? "index.create" : "index.drop", details: { name: String((create ?? drop)?.name) } }];
  },
  view: () => ({}),
  places: () => [],
  buildsIndexes: true,
  removeLeft,
  enter,
  steps: { look, apply, undo },
  undo: { look: "undo", apply: "undo" },
  isLong: true,
};
