import type { Mutation } from "./mutations.ts";

type Edit = Mutation["edits"][number];

const retired = "src/tenant/place/retired.ts";

/** A name that was left is given again at once. */
const givenAgain: Edit = {
  file: retired,
  find: "const left = new Set(found.map(({ place }) => place));",
  replace: "const left = new Set<unknown>(); void found;",
};

/** What lives of organizations show; each guard of the places that are left, and of the way there, taken out. */
export const lifeMutations: Mutation[] = [
  {
    name: "no mutation, lives of organizations",
    breaks: "nothing: the faults alone must do no harm",
    edits: [],
    pauses: [],
    shownBy: [],
    livedBy: ["everything", "late@drop", "busy@renameCollection"],
  },
  {
    name: "a name is given twice",
    breaks: "rule 7: a place that was left is given to nobody until nothing can come late there, or never",
    edits: [givenAgain],
    pauses: [],
    shownBy: [],
    livedBy: ["late@drop", "late@renameCollection"],
  },
  {
    name: "a removed organization's place is not retired",
    breaks: "rule 7: what comes late there is swept up",
    edits: [
      {
        file: "src/organization/store.ts",
        find: "if (!untouched) await retireKeys(db, id, organization.place_keys ?? []);",
        replace: "void [untouched, retireKeys];",
      },
    ],
    pauses: [],
    leavesBehind: true,
    shownBy: [],
    livedBy: ["none", "late@insert"],
  },
  {
    name: "a renamed organization's place is not retired",
    breaks: "rule 7: what comes late there is swept up",
    edits: [
      {
        file: "src/organization/guarded.ts",
        find: "await retireKeys(db, organization.id, left);",
        replace: "void left;",
      },
    ],
    pauses: [],
    leavesBehind: true,
    shownBy: [],
    livedBy: ["none", "late@insert"],
  },
  {
    name: "a place is taken as it is found",
    breaks: "a place is one that was made for its organization: without another's indexes",
    edits: [
      {
        file: "src/tenant/place/storage.ts",
        find: "if (!(await isBare(deployments, placement))) return false;",
        replace: "",
      },
      {
        file: "src/flows/place.ts",
        find: "if (!(await identify(deployments, to))) yield",
        replace: "void identify; yield",
      },
    ],
    // The first wall: nobody comes where a late statement may.
    pauses: [givenAgain],
    shownBy: [],
    livedBy: ["late@createIndexes"],
  },
  {
    name: "a refused rename keeps the gate closed",
    breaks: "rule 9: while a collection is renamed readers and writers wait, and not for long",
    edits: [
      {
        file: "src/flows/organization/rename.ts",
        find: "return await reopen(deps, operation);",
        replace: "throw new Error(`refused ${reopen.name}`);",
      },
    ],
    pauses: [],
    shownBy: [],
    livedBy: ["busy@renameCollection"],
  },
];
