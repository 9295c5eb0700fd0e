import { setTimeout as sleep } from "node:timers/promises";

export type Crowd = {
  /** Shown in the headers, with how many of one key may be at work at once. */
  name: string;
  atOnce: number;
  /** Waits for a place; null when there is none in time. The function that it returns has to be called at the end. */
  enter(key: string): Promise<(() => void) | null> | (() => void);
};

/** Whoever is refused hears of it a little later: so trying again at once is no way to keep everybody busy. */
const refusalMs = 250;

type Room = { inside: number; waiting: ((leave: (() => void) | null) => void)[] };

/**
 * Lets a bounded number of requests of one key be at work at once, and few more wait, in the order in which they came: whoever
 * sends more than that holds up only itself.
 */
export function createCrowd(options: { name: string; atOnce: number; waitingMax: number; waitMs: number }): Crowd {
  const { name, atOnce, waitingMax, waitMs } = options;
  const rooms = new Map<string, Room>();

  const leaving = (key: string, room: Room) => {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = room.waiting.shift();
      // Whoever waited takes the place over.
      if (next) return next(leaving(key, room));
      if (--room.inside === 0) rooms.delete(key);
    };
  };

  return {
    name,
    atOnce,
    enter(key) {
      const room = rooms.get(key) ?? { inside: 0, waiting: [] };
      if (room.inside < atOnce) {
        if (room.inside++ === 0) rooms.set(key, room);
        return leaving(key, room);
      }
      if (room.waiting.length >= waitingMax) return sleep(refusalMs, null);
      const { promise, resolve } = Promise.withResolvers<(() => void) | null>();
      const timer = setTimeout(() => {
        room.waiting.splice(room.waiting.indexOf(come), 1);
        resolve(null);
      }, waitMs);
      const come = (leave: (() => void) | null) => {
        clearTimeout(timer);
        resolve(leave);
      };
      room.waiting.push(come);
      return promise;
    },
  };
}
