import manifest from "../../package.json" with { type: "json" };

export const service = manifest.name;
export const version = manifest.version;
