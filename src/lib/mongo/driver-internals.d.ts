// The driver itself sends documents that are bytes already so; its public functions take decoded ones only.
declare module "mongodb/lib/operations/insert.js" {
  export class InsertOperation {
    constructor(ns: unknown, documents: object[], options: object, serialized: readonly Uint8Array[]);
  }
}

declare module "mongodb/lib/operations/update.js" {
  export class UpdateOperation {
    constructor(ns: unknown, statements: object[], options: object, serialized: readonly Uint8Array[]);
  }
}

declare module "mongodb/lib/operations/execute_operation.js" {
  export function executeOperation(
    client: unknown,
    operation: object,
  ): Promise<{
    n: number;
    writeErrors?: { index: number; code: number; errmsg: string }[];
    writeConcernError?: object;
  }>;
}

declare module "mongodb/lib/utils.js" {
  export class MongoDBNamespace {
    constructor(database: string, collection: string);
  }
}
