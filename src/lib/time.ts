const pattern =
  /^(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * A time in the format of RFC 3339, whose seconds may be missing; null when it is none. JavaScript by itself takes 24:00 for
 * the next day, and the 30th of February for the 2nd of March.
 */
export function parseTime(text: string): Date | null {
  const [, day] = pattern.exec(text) ?? [];
  if (day === undefined || !isDay(day)) return null;
  const time = new Date(text);
  return Number.isNaN(time.valueOf()) ? null : time;
}

/** Whether there is such a day: `2028-02-29`. */
function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.valueOf()) && day.toISOString().startsWith(text);
}
