/** The app builds for the web and for a phone: the export for Android is compiled to the bytecode that a phone runs. */

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const OUT = fileURLToPath(new URL("../../target/expo", import.meta.url));
const HERMES = Buffer.from([0xc6, 0x1f, 0xbc, 0x03, 0xc1, 0x03, 0x19, 0x1f]);

function files(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(ending)).map((name) => `${folder}/${name}`);
}

it("is exported for the web and for Android, as bytecode of Hermes", { timeout: 600_000 }, () => {
  const environment = { ...process.env, CI: "1", EXPO_OFFLINE: "1", EXPO_NO_TELEMETRY: "1", NODE_ENV: "production" };
  execFileSync("npx", ["expo", "export", "-p", "web", "-p", "android", "--output-dir", OUT, "--clear"], { cwd: fileURLToPath(new URL(".", import.meta.url)), env: environment, stdio: "pipe" });
  const [bytecode] = files(OUT, ".hbc");
  const compiled = readFileSync(bytecode!);
  expect(compiled.subarray(0, 8)).toEqual(HERMES);
  console.log(`for Android: ${(compiled.length / 1e6).toFixed(1)} MB of bytecode, version ${compiled.readUInt32LE(8)}`);
  const [script] = files(OUT, ".js");
  expect(readFileSync(script!, "utf8")).toContain("backUpSheet");
});
