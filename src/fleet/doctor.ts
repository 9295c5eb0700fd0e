import { setTimeout as sleep } from "node:timers/promises";
import { wordsOf } from "../lib/scrub.ts";
import { operationsWithNotes } from "../tenant/copy/journal.ts";
import { defaultRegion } from "../tenant/placement.ts";
import { findLacks } from "../tenant/place/rights.ts";
import { type DoctorDeps, type Finding, keyOf, type Symptom } from "./finding.ts";
import { readKnown, surveyOrganizations } from "./known.ts";
import { examinePlaces, examineRights, examineUnclaimed } from "./places.ts";
import { examineNotes, examineOperations, examineOrganizations, examineRecords, examineRetired } from "./records.ts";
import { examineSharedDocuments, examineSharedIndexes, examineWantedIndexes, surveySharedIndexes } from "./shared.ts";

/**
 * Looks at everything once: first at what is there, then at the records that say whose it is, some hundred at a time.
 * What is wrong is held; what is right isn't, as there may be any number of organizations.
 */
async function examine(deps: DoctorDeps): Promise<Symptom[]> {
  const { db } = deps;
  const indexes = await surveySharedIndexes(deps);
  const moves = await operationsWithNotes(db);
  const known = await readKnown(db);
  const lacks = await findLacks(deps.deployments.of(defaultRegion));
  const symptoms = [
    ...(await examineRights(deps, lacks)),
    ...(await examineRecords(deps)),
    ...examineOperations(deps, known),
    ...examineRetired(deps, known),
    ...(await examineNotes(deps, moves, known)),
  ];
  for await (const page of surveyOrganizations(db)) {
    symptoms.push(...(await examineOrganizations(deps, page)));
    symptoms.push(...(await examinePlaces(deps, page, lacks)));
    symptoms.push(...examineWantedIndexes(deps, indexes, page));
  }
  return [
    ...symptoms,
    ...(await examineUnclaimed(deps, lacks)),
    ...(await examineSharedDocuments(deps)),
    ...(await examineSharedIndexes(deps, indexes, known)),
  ];
}

/** What is found twice, a moment apart: beside a service that runs, much is for a moment as it shouldn't stay. */
async function diagnose(deps: DoctorDeps): Promise<Symptom[]> {
  const before = await examine(deps);
  if (before.length === 0) return [];
  await sleep((await deps.presence.longestLeaseMs()) * 2);
  const found = new Set(before.map(keyOf));
  return (await examine(deps)).filter((symptom) => found.has(keyOf(symptom)));
}

/** `mended`: true when it was found and is right now; false when `--repair` could mend it; null when it is in doubt. */
export type Report = Finding & { mended: boolean | null; error?: string };

/** One mend makes room for another: a place that is given up, say, for a collection that is nobody's then. */
const roundsMax = 4;

/**
 * Finds what is damaged or left over in all organizations' places and records, and with `repair` mends what can be shown to
 * be a leftover or to be missing. What is in doubt is reported and never touched. May run beside services.
 *
 * @returns how many findings are left
 */
export async function doctor(
  deps: DoctorDeps,
  options: { repair: boolean },
  report: (finding: Report) => void,
): Promise<number> {
  let symptoms = await diagnose(deps);
  const errors = new Map<string, string>();
  for (let round = 1; options.repair && round <= roundsMax && symptoms.some(({ mend }) => mend); round++) {
    const before = symptoms;
    for (const symptom of before) {
      await symptom.mend?.().catch((error) => {
        errors.set(keyOf(symptom), wordsOf(error));
      });
    }
    symptoms = await diagnose(deps);
    const left = new Set(symptoms.map(keyOf));
    for (const symptom of before.filter((one) => one.mend && !left.has(keyOf(one)))) {
      report({ ...symptom.finding, mended: true });
    }
  }
  for (const symptom of symptoms) {
    const error = errors.get(keyOf(symptom));
    report({ ...symptom.finding, mended: symptom.mend ? false : null, ...(error !== undefined && { error }) });
  }
  return symptoms.length;
}
