/** In a pipeline every value is an expression, and a hash, or what a stranger wrote, may begin with `$`. */
export const literal = (value: unknown) => ({ $literal: value });
