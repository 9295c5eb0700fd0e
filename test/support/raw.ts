import { connect } from "node:net";

/** Sends bytes as they are, as no HTTP client would, and reads until nothing comes any more. */
export function sendRaw(url: string, text: string | Uint8Array): Promise<string> {
  const { hostname, port } = new URL(url);
  const { promise, resolve } = Promise.withResolvers<string>();
  let answer = "";
  const socket = connect(Number(port), hostname, () => socket.write(text));
  // An answer comes at once; what is waited for is whether there is more than one.
  const done = setTimeout(() => socket.destroy(), 5_000);
  socket.on("data", (data) => {
    answer += data.toString("latin1");
    setTimeout(() => socket.destroy(), 300).unref();
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    clearTimeout(done);
    resolve(answer);
  });
  return promise;
}

/** The head of a request, with the empty line after it. */
export const head = (...lines: string[]) => `${lines.join("\r\n")}\r\n\r\n`;

export const statusesOf = (answer: string) =>
  [...answer.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
