import { defineConfig } from "vitest/config";

// The parts that know nothing of a phone, and the hooks with react-native-web; what only the native tree shows is tested by Jest.
export default defineConfig({
  resolve: { alias: { "react-native": "react-native-web" }, conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"] } },
  test: { include: ["tests/*.test.{ts,tsx}"], testTimeout: 30_000, server: { deps: { inline: ["@gasrapido/backup-client", "react-native-web"] } } },
});
