import type { Content } from "./history.ts";

/** A document, or none. */
export type State = Content | null;

/**
 * What a request does to a document, or what its answer says about it. `on` is what `If-Match` asks for. A document that
 * was just written is like no other, so its content says as much as its version.
 */
export type Effect =
  | { does: "insert"; value: string }
  | { does: "replace"; value: string; on?: Content }
  | { does: "patch"; value: string; field: string; on?: Content }
  | { does: "delete"; on?: Content }
  | { does: "see"; content: State }
  | { does: "see_any" }
  | { does: "see_other"; than: Content };

export const isWrite = (effect: Effect): boolean => !effect.does.startsWith("see");
export const valueOf = (effect: Effect): string | undefined => ("value" in effect ? effect.value : undefined);

/** Everything that a document says, as one text. */
export const textOf = (state: State): string => {
  if (!state) return "absent";
  const names = Object.keys(state.fields).sort();
  return [state.base, ...names.map((name) => `${name}=${state.fields[name]}`)].join(" ");
};
const isSame = (a: State, b: State): boolean => textOf(a) === textOf(b);

/** The state after it, or undefined when this can't be what happens in this state. */
export function apply(state: State, effect: Effect): State | undefined {
  switch (effect.does) {
    case "see":
      return isSame(state, effect.content) ? state : undefined;
    case "see_any":
      return state ?? undefined;
    case "see_other":
      return isSame(state, effect.than) ? undefined : state;
    case "insert":
      return state ? undefined : { base: effect.value, fields: {} };
  }
  if (!state || (effect.on && !isSame(state, effect.on))) return undefined;
  switch (effect.does) {
    case "replace":
      return { base: effect.value, fields: {} };
    case "patch":
      return { base: state.base, fields: { ...state.fields, [effect.field]: effect.value } };
    case "delete":
      return null;
  }
}
