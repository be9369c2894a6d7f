import { defineConfig } from "vitest/config";

// One browser, and the machine has few cores: one file after the other.
export default defineConfig({ test: { include: ["tests/*.test.ts"], testTimeout: 240_000, hookTimeout: 60_000, fileParallelism: false, maxConcurrency: 3 } });
