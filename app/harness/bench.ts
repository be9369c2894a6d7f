/** What `benches/app` runs. */

import type { Page } from "playwright-core";
import { preview } from "vite";
import { launch } from "./chromium.ts";

const at = process.argv.indexOf("--rounds");
const rounds = at > 0 ? Number(process.argv[at + 1]) : 5;
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error("bench-app: --rounds takes a whole number above 0");
  process.exit(2);
}
const COPIES = 1_000;
const SCROLL_MS = 4_000;

const server = await preview({ root: import.meta.dirname, preview: { host: "127.0.0.1", port: 0 }, logLevel: "error" });
const address = server.resolvedUrls?.local[0] ?? "";
const browser = await launch();
const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const empty = "data:text/html,<title>empty</title><p>nothing</p>";

/** Milliseconds from the navigation to the first contentful paint. */
async function firstPaint(url: string): Promise<number> {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  await page.goto(url);
  const ms = await page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        new PerformanceObserver((list) => {
          const paint = list.getEntriesByName("first-contentful-paint")[0];
          if (paint) resolve(paint.startTime);
        }).observe({ type: "paint", buffered: true });
      }),
  );
  await context.close();
  return ms;
}

interface Frames {
  fps: number;
  longest: number;
}

/** Frames a second and the longest frame while something scrolls, or nothing does. */
function frames(page: Page, selector: string | null): Promise<Frames> {
  return page.evaluate(
    ([of, forMs]) =>
      new Promise<Frames>((resolve) => {
        const box = of === null ? null : document.querySelector(of);
        const bottom = box === null ? 0 : box.scrollHeight - box.clientHeight;
        const begun = performance.now();
        let [count, last, longest] = [0, begun, 0];
        const frame = (now: number) => {
          count += 1;
          longest = Math.max(longest, now - last);
          last = now;
          const share = (now - begun) / forMs;
          // Down and up again, a screen and more at each frame.
          if (box !== null) box.scrollTop = bottom * (1 - Math.abs(1 - 2 * share));
          if (share < 1) requestAnimationFrame(frame);
          else resolve({ fps: ((count - 1) * 1000) / (now - begun), longest });
        };
        requestAnimationFrame(frame);
      }),
    [selector, SCROLL_MS] as const,
  );
}

const own: number[] = [];
const peer: number[] = [];
await firstPaint(`${address}?state=protected`);
for (let n = 0; n < rounds; n += 1) {
  peer.push(await firstPaint(empty));
  own.push(await firstPaint(`${address}?state=protected&locale=en`));
}
console.log(`first paint    page ${median(own).toFixed(0)} ms (${Math.min(...own).toFixed(0)} to ${Math.max(...own).toFixed(0)}), empty page ${median(peer).toFixed(0)} ms, ratio ${(median(own) / median(peer)).toFixed(1)}`);

const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
const page = await context.newPage();
await page.goto(`${address}?state=many&locale=en`);
const more = page.getByTestId("backups.more");
const box = "[data-testid='backups.list']";
for (let known = 20; known < COPIES; known += 50) {
  await page.evaluate((of) => {
    const list = document.querySelector(of)!;
    list.scrollTop = list.scrollHeight;
  }, box);
  await more.first().click({ timeout: 20_000 });
  await page.waitForTimeout(250);
}
await page.waitForTimeout(500);
const height = await page.evaluate((of) => document.querySelector(of)!.scrollHeight, box);
const still: Frames[] = [];
const moving: Frames[] = [];
for (let n = 0; n < rounds; n += 1) {
  still.push(await frames(page, null));
  moving.push(await frames(page, box));
}
const fps = (list: Frames[]) => median(list.map((f) => f.fps));
console.log(
  `1,000 copies   scrolling ${fps(moving).toFixed(1)} frames a second (lowest round ${Math.min(...moving.map((f) => f.fps)).toFixed(1)}), longest frame ${Math.max(...moving.map((f) => f.longest)).toFixed(0)} ms, ` +
    `still ${fps(still).toFixed(1)}, ratio ${(fps(moving) / fps(still)).toFixed(2)}; ${height.toLocaleString("en")} px high`,
);
await browser.close();
await server.close();
process.exit(0);
