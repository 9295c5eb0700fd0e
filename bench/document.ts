/** The document that is measured: what a shop or a ticket system stores, some 1,000 bytes of it. */

const colors = ["red", "green", "blue", "white"];
const words = "the quick brown fox jumps over the lazy dog and finds a quiet place to sleep ";

/** As it is sent: JSON, a date as Extended JSON or as Parse has it, a double that isn't whole. */
export function benchDocument(number: number, date: (iso: string) => unknown, textBytes = 660) {
  return {
    title: `Document ${number}`,
    color: colors[number % colors.length],
    amount: (number % 1000) + 0.25,
    count: number,
    done: number % 2 === 0,
    made_at: date(new Date(1_700_000_000_000 + number * 1000).toISOString()),
    tags: ["bench", `tag${number % 10}`, `group${number % 100}`],
    address: { street: `${number} Long Street`, city: "Springfield", zip: String(10_000 + (number % 90_000)) },
    text: words.repeat(Math.ceil(textBytes / words.length)).slice(0, textBytes),
  };
}

export const extendedDate = (iso: string) => ({ $date: iso });
export const parseDate = (iso: string) => ({ __type: "Date", iso });
export const storedDate = (iso: string) => new Date(iso);
