/**
 * Puts a few of the pictures that the tests leave in `target/pictures` together for docs/pictures. Run by `make pictures`, after the
 * tests.
 */

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { launch } from "./chromium.ts";

const TAKEN = fileURLToPath(new URL("../../target/pictures/", import.meta.url));
const KEPT = fileURLToPath(new URL("../../docs/pictures/", import.meta.url));

/** Each: file, width of a picture in it, quality, and the pictures. */
const SHEETS: [file: string, width: number, quality: number, names: string[]][] = [
  ["app.jpg", 300, 82, ["protected.en.390.light", "running.pt-BR.390.dark", "failed.pt-PT.390.light", "offline_old.en.390.dark"]],
  ["desk.jpg", 900, 78, ["missed.en.1024.light"]],
  [
    "states.jpg",
    170,
    70,
    [
      "loading.en.390.light", "empty.pt-PT.390.light", "at_risk.pt-BR.390.light", "not_protected.en.390.dark", "offline.pt-PT.390.light", "unauthorized.pt-BR.390.dark", "read_only.en.390.light",
      "error.pt-PT.390.dark", "rate_limited.pt-BR.390.light", "pending.en.390.light", "stalled.pt-PT.390.dark", "not_replicated.pt-BR.390.light", "not_verified.en.390.light", "expired.pt-PT.390.light",
      "missed.pt-BR.390.dark", "restoring.en.390.light", "approval.pt-PT.390.light", "restored.pt-BR.390.dark", "unknown_status.en.390.light", "verifying.pt-PT.390.dark", "forbidden.pt-BR.390.light",
    ],
  ],
  ["restore.jpg", 700, 78, ["journey.check", "journey.result"]],
];

const browser = await launch();
mkdirSync(KEPT, { recursive: true });
for (const [file, width, quality, names] of SHEETS) {
  const missing = names.filter((name) => !existsSync(`${TAKEN}${name}.png`));
  if (missing.length > 0) {
    console.error(`pictures: not taken yet: ${missing.join(", ")}; run: make test-app`);
    process.exit(1);
  }
  const columns = Math.min(names.length, 7);
  const images = names.map((name) => `<img style="width:${width}px;border-radius:8px" src="data:image/png;base64,${readFileSync(`${TAKEN}${name}.png`).toString("base64")}">`);
  const page = await browser.newPage({ viewport: { width: columns * (width + 10) + 10, height: 100 } });
  await page.setContent(`<body style="margin:10px;background:#7c8894"><div style="display:grid;grid-template-columns:repeat(${columns},${width}px);gap:10px;align-items:start">${images.join("")}</div>`);
  await page.waitForFunction(() => [...document.images].every((image) => image.complete));
  await page.screenshot({ path: `${KEPT}${file}`, type: "jpeg", quality, fullPage: true });
  console.log(`pictures: docs/pictures/${file}`);
}
await browser.close();
