/** The built page in a real Chromium, with the holes of a phone's engine. */

import { AxeBuilder } from "@axe-core/playwright";
import type { MockState } from "@gasrapido/backup-client/mock";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { preview, type PreviewServer } from "vite";
import { afterAll, beforeAll } from "vitest";
import { launch } from "../chromium.ts";

export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1024, height: 900 };

export interface Stage {
  open(state: MockState, query?: Record<string, string>, context?: BrowserContextOptions): Promise<Page>;
}

const errors = new WeakMap<Page, string[]>();

/** What went wrong in a tab without being seen: errors that nobody caught, and what the console was told. */
export function errorsOf(page: Page): string[] {
  return errors.get(page) ?? [];
}

/** A new tab. */
export async function tab(browser: Browser, context: BrowserContextOptions = {}): Promise<Page> {
  const fresh = await browser.newContext({ viewport: PHONE, reducedMotion: "reduce", timezoneId: "Europe/Lisbon", locale: "en", ...context });
  const page = await fresh.newPage();
  // Chromium has them, Hermes has not: without them nothing that needs them passes here.
  await page.addInitScript(() => {
    for (const name of ["PluralRules", "RelativeTimeFormat", "ListFormat", "DurationFormat", "Segmenter", "DisplayNames"]) {
      Reflect.deleteProperty(Intl, name);
    }
  });
  const seen: string[] = [];
  errors.set(page, seen);
  page.on("pageerror", (error) => seen.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) seen.push(message.text());
  });
  return page;
}

/** Serves the page, and opens it in any state of the mock, for the tests of one file. */
export function stage(): Stage {
  let server: PreviewServer | undefined;
  let browser: Browser | undefined;
  let address = "";
  beforeAll(async () => {
    server = await preview({ root: new URL("..", import.meta.url).pathname, preview: { host: "127.0.0.1", port: 0 }, logLevel: "error" });
    address = server.resolvedUrls?.local[0] ?? "";
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
  return {
    async open(state, query = {}, context = {}) {
      const page = await tab(browser!, context);
      const asked = new URLSearchParams({ state, locale: "en", zone: "Europe/Lisbon", ...query });
      await page.goto(`${address}?${asked}`);
      return page;
    },
  };
}

/** A part of the screen. */
export function part(page: Page, id: string) {
  return page.getByTestId(`backups.${id}`);
}

export async function verdict(page: Page): Promise<string> {
  return (await part(page, "verdict").textContent()) ?? "";
}

/** What axe finds wrong with the page. */
export async function barriers(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map((v) => `${v.id}: ${v.help}\n${v.nodes.slice(0, 3).map((node) => `  ${node.html.slice(0, 300)}\n  ${node.failureSummary ?? ""}`).join("\n")}`);
}

/** What can be pressed and is smaller than a thumb, and what is cut off at the side. */
export function crowding(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const targets = [...document.querySelectorAll<HTMLElement>("[role=button], [role=radio], [role=checkbox], button, input, a")].filter((e) => e.offsetParent !== null);
    const small = targets.filter((e) => {
      const { width, height } = e.getBoundingClientRect();
      return width < 43.5 || height < 43.5;
    });
    const cut = [...document.querySelectorAll<HTMLElement>("#root *, [role=dialog] *")].filter((e) => {
      const { right, left, width } = e.getBoundingClientRect();
      return width > 1 && e.children.length === 0 && (right > innerWidth + 1 || left < -1) && getComputedStyle(e).position !== "absolute";
    });
    return [
      ...small.map((e) => `too small: ${e.getAttribute("aria-label") ?? e.outerHTML.slice(0, 120)}`),
      ...cut.map((e) => `cut off: ${e.outerHTML.slice(0, 160)}`),
      ...(document.documentElement.scrollWidth > innerWidth ? ["the page is wider than the screen"] : []),
    ];
  });
}
