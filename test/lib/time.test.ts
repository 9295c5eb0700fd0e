import { expect, test } from "bun:test";
import { parseTime } from "../../src/lib/time.ts";

test("a time is read as RFC 3339 has it", () => {
  expect(parseTime("2028-02-29T23:59:59.123456+05:30")).toEqual(new Date("2028-02-29T18:29:59.123Z"));
  expect(parseTime("2028-02-29T00:00Z")).toEqual(new Date("2028-02-29T00:00:00Z"));
});

test.each([
  ..."24:00:00 24:00 23:60:00 23:59:60 25:00:00".split(" ").map((time) => `2027-01-31T${time}Z`),
  ...["+24:00", "-00:60", "", "z"].map((offset) => `2027-01-31T12:00:00${offset}`),
  ...["2027-02-29", "2027-13-01", "2027-00-01", "2027-01-00", "27-01-01"].map((day) => `${day}T12:00:00Z`),
  "2027-01-31 12:00:00Z",
  " 2027-01-31T12:00:00Z",
])("is no time: %s", (text) => {
  expect(parseTime(text)).toBeNull();
});
