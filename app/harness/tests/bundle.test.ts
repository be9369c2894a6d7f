/** What the component adds to an app that has React and React Native already. */

import { gzipSync } from "node:zlib";
import { build } from "vite";
import { expect, it } from "vitest";

const LIMIT = 60 * 1_024;

it("adds at most 60 KB, compressed, to an app that has React Native", async () => {
  const entry = "virtual:app";
  const result = await build({
    configFile: false,
    logLevel: "error",
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: [
      {
        name: "app",
        resolveId: (id) => (id === entry ? id : null),
        load: (id) =>
          id === entry
            ? 'import { BackupService } from "@gasrapido/backup-client"; import { BackupManagementScreen } from "@gasrapido/backup-react-native"; export { BackupService, BackupManagementScreen };'
            : null,
      },
    ],
    root: new URL("..", import.meta.url).pathname,
    build: {
      write: false,
      target: "es2022",
      minify: true,
      rolldownOptions: { input: entry, external: [/^react(\/|$)/, /^react-native(\/|$)/], preserveEntrySignatures: "strict", output: { codeSplitting: false } },
    },
  });
  const outputs = (Array.isArray(result) ? result : [result]).flatMap((bundle) => ("output" in bundle ? bundle.output : []));
  const code = outputs.map((chunk) => (chunk.type === "chunk" ? chunk.code : "")).join("");
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`the component, its three languages and the client: ${(code.length / 1_024).toFixed(1)} KB, ${(size / 1_024).toFixed(1)} KB compressed`);
  // The mock is not in it, and neither is React.
  expect(code).toContain("createManualBackup");
  expect(code).not.toContain("gasrapido-backup-eu-west-1");
  expect(size).toBeLessThanOrEqual(LIMIT);
  expect(size).toBeGreaterThan(LIMIT / 10);
});
