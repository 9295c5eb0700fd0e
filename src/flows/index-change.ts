import { isFailure } from "../lib/failure.ts";
import type { Flow, Step } from "../operation/operation.ts";
import * as guarded from "../organization/guarded.ts";
import * as organizationStore from "../organization/store.ts";
import { createIndex, dropIndex, hasIndex, listIndexes } from "../tenant/indexes.ts";
import { isShared, type TenantIndex } from "../tenant/placement.ts";
import { settleCommon } from "./common-index.ts";
import { organizationMissing } from "./failures.ts";
import { enter, organizationOf } from "./guard.ts";

/** `change` is `{create: TenantIndex}` or `{drop: TenantIndex}` as JSON. */
type IndexStep = Step<{ change: string }, Record<string, never>>;
type Change = { create?: TenantIndex; drop?: TenantIndex };

/**
 * Makes or drops one of a tenant's indexes. In the shared collection the placement says which a tenant has: there a new one
 * is built before it is said, and one that goes is said to be gone first. Others may build and drop the same one meanwhile,
 * so what is said is settled at the end.
 */
const apply: IndexStep = async (deps, operation) => {
  const { db } = deps;
  const placement = (await organizationStore.findById(db, operation.organization_id))?.placement;
  if (!placement) return { failed: organizationMissing };
  const { create, drop } = JSON.parse(operation.input.change) as Change;
  const others = (placement.indexes ?? []).filter(({ name }) => name !== (create ?? drop)!.name);
  const record = async (indexes: TenantIndex[]) => {
    if (!isShared(placement)) return;
    await guarded.notePlacement(db, organizationOf(operation), { indexes });
    await settleCommon(deps, [(create ?? drop)!]);
  };
  try {
    if (create) {
      // Here no other change of them is under way.
      const isListed = hasIndex(await listIndexes(db, placement), create);
      await createIndex(db, placement, create);
      // There may be no room for it any more.
      await record([...others, create]).catch(async (error) => {
        if (isFailure(error) && !isListed) await record(others);
        throw error;
      });
    } else if (drop) {
      await record(others);
      await dropIndex(db, placement, drop);
    }
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { failed: { code: error.failure, detail: error.message } };
  }
  return { done: true };
};

export const index: Flow = { first: "apply", enter, steps: { apply } };
