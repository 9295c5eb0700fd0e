// The driver itself sends documents that are bytes already so; its public functions take decoded ones only.
declare module "mongodb/lib/cmap/commands.js" {
  export class DocumentSequence {
    constructor(field: string);
    push(document: object, bytes: Uint8Array): number;
  }
}
