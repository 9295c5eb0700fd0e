import { inOwnFolder } from "./instance.ts";
import type { Link } from "./link.ts";
import { startReplicaSet } from "./replica-set.ts";

/** A MongoDB that is installed on this machine. */
export const mongodLink: Link = {
  name: "mongod",
  does: "the mongod on the PATH",
  remedy: "install MongoDB Community Edition so that `mongod` is on the PATH (mongodb.com/docs/manual/installation)",
  open: (settings, scope, progress) => {
    const binary = Bun.which("mongod");
    if (!binary) throw new Error("there is no mongod on the PATH");
    progress.stage("starting mongod");
    return inOwnFolder(settings, "mongod", scope, (folder) => startReplicaSet(binary, folder, scope, settings.port));
  },
};
