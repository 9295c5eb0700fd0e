import type { Document } from "mongodb";
import type { Operation } from "../../operation/operation.ts";

/**
 * What an operation was asked for. What is personal is in its secret; one that the version before this has begun has it in its
 * input.
 */
export const askedOf = <Input extends Document, Secret extends Document>({
  input,
  secret,
}: Pick<Operation<Input>, "input" | "secret">): Input & Secret => ({ ...input, ...secret }) as Input & Secret;

/** Where the version before this kept what it must not outlive. */
export const namesBefore = ["input.organization_name", "input.email"];
