import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `react-native` is its counterpart for browsers, and our packages are taken as they are written.
export default defineConfig({
  plugins: [react()],
  resolve: {
    alias: { "react-native": "react-native-web" },
    conditions: ["source", "module", "browser", "development|production"],
    extensions: [".web.tsx", ".web.ts", ".tsx", ".ts", ".js"],
  },
  base: "./",
  // One page, and nothing to load later.
  build: { outDir: "dist", target: "es2022", chunkSizeWarningLimit: 1_000 },
  server: { host: "127.0.0.1", strictPort: false },
});
