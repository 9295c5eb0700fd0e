import type { Db } from "mongodb";

/** The database, but for something that happens right before or after one statement on the organizations. */
export function meddling(
  db: Db,
  method: "findOne" | "updateOne",
  when: "before" | "after",
  isMeant: (filter: object, change?: object) => boolean,
  act: () => Promise<unknown>,
): Db {
  let done = false;
  const collection = (name: string) => {
    const real = db.collection(name);
    if (name !== "organizations") return real;
    return new Proxy(real, {
      get(target, property) {
        const value = Reflect.get(target, property);
        if (property !== method) return typeof value === "function" ? value.bind(target) : value;
        return async (...given: [object, object]) => {
          const now = !done && isMeant(...given);
          if (now) done = true;
          if (now && when === "before") await act();
          const answer = await value.apply(target, given);
          if (now && when === "after") await act();
          return answer;
        };
      },
    });
  };
  return new Proxy(db, {
    get(target, property) {
      const value = Reflect.get(target, property);
      return property === "collection" ? collection : typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A statement that has this in its filter or in what it changes. */
export const says =
  (text: string) =>
  (filter: object, change: object = {}): boolean =>
    JSON.stringify([filter, change]).includes(text);
