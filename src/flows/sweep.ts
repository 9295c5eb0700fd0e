import type { ObjectId } from "mongodb";
import type { Flow, Step } from "../operation/operation.ts";
import * as guarded from "../organization/guarded.ts";
import * as organizationStore from "../organization/store.ts";
import { placeKey } from "../tenant/placement.ts";
import { findRetired, forgetRetired, sweepPlace, sweepStages } from "../tenant/retired.ts";
import { enter, organizationOf } from "./guard.ts";

type SweepStep = Step<{ retired_id: ObjectId }, Record<string, never>>;

/**
 * Looks once more at a place that a tenant has left, and lets others have its name. An operation, so that the tenant isn't
 * on its way back there at the same time.
 */
const sweepRetired: SweepStep = async (deps, operation) => {
  const { db, log } = deps;
  const retired = await findRetired(db, operation.input.retired_id);
  if (!retired) return { done: true };
  const organization = await organizationStore.findById(db, operation.organization_id);
  const key = placeKey(retired.placement);
  const live = organization?.placement ? placeKey(organization.placement) : "";
  const hasComeBack = live === key;
  await sweepStages(db, retired, live, deps);
  if (!hasComeBack) {
    if (!(await sweepPlace(db, retired.placement, deps))) {
      const organization_id = operation.organization_id.toHexString();
      log.warn({ organization_id, place: key }, "others' documents at a place that was left");
    }
    if (organization) await guarded.releasePlaces(db, organizationOf(operation));
  }
  await forgetRetired(db, retired._id);
  return { done: true };
};

export const sweep: Flow = { first: "sweep", enter, steps: { sweep: sweepRetired } };
