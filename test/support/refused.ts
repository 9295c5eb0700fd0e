import { expect } from "bun:test";
import { isFailure } from "../../src/lib/failure.ts";

/** The pointer of what a call refused, and that it was refused as a request that is not valid. */
export function refusedAt(call: () => unknown, code = "invalid_request"): string | undefined {
  try {
    call();
  } catch (error) {
    if (!isFailure(error)) throw error;
    expect(error.failure).toBe(code);
    expect(error.errors).toHaveLength(1);
    return error.errors![0]!.pointer;
  }
  return undefined;
}
