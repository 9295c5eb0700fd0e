import { expect, test } from "bun:test";
import { createLogger } from "../../src/log.ts";
import { startService } from "../../src/serve.ts";
import { croupier } from "../support/command.ts";
import { freshDatabaseName, stopAndDrop, testConfig, useService } from "../support/service.ts";

const service = useService();

test("a service whose port is taken ends at once with a line that names PORT", async () => {
  const { port } = new URL(service.url);
  const { code, out, errors } = await croupier(freshDatabaseName(), ["serve"], { PORT: port });
  expect({ code, out, errors }).toEqual({
    code: 1,
    out: "",
    errors: `port ${port} on 127.0.0.1 is in use: set PORT to another one, or stop the program that listens there\n`,
  });
});

test.each([
  [{ CROUPIER_ENV: "development" }, 1],
  [{ CROUPIER_ENV: "development", CORS_ORIGINS: "https://app.example" }, 0],
  [{}, 0],
] as [Record<string, string>, number][])(
  "the log says once that pages on localhost may use the API, if they may: %j",
  async (settings, times) => {
    const lines: string[] = [];
    const running = await startService(
      testConfig(settings),
      createLogger("info", { write: (line) => void lines.push(line) }),
    );
    await running.ready;
    await stopAndDrop(running);
    expect(lines.filter((line) => line.includes("pages on localhost")).length).toBe(times);
  },
);
