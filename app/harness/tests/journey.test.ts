/**
 * A person's way through the page with the real API and the real functions behind it, on the local AWS: signs in, backs up, watches
 * it, looks at the copy, restores it into development, and sees the result. Whoever runs it says where the page is: `BACKUP_PAGE_URL`,
 * as `infra/local/check-api` does.
 */

import { mkdirSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launch } from "../chromium.ts";
import { DESK, barriers, errorsOf, part, tab, verdict } from "./browser";

const PICTURES = new URL("../../../target/pictures/", import.meta.url).pathname;
mkdirSync(PICTURES, { recursive: true });
const JOB_MS = 90_000;

let browser: Browser | undefined;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

it("signs in, backs up, watches, looks, restores, and sees the result", async () => {
  const url = process.env["BACKUP_PAGE_URL"];
  if (!url) throw new Error("BACKUP_PAGE_URL must be set; run infra/local/check-api");
  const page = await tab(browser!, { viewport: { ...DESK, height: 1_100 } });
  const picture = (name: string) => page.screenshot({ path: `${PICTURES}journey.${name}.png` });
  await page.goto(`${url}&locale=en&zone=Europe/Lisbon`);

  // Whoever only looks can change nothing.
  await page.getByTestId("signIn.viewer").click();
  await part(page, "status").getByText("You can look, and change nothing: your role is viewer.").waitFor();
  await page.reload();
  await page.getByTestId("signIn.operator").click();
  await part(page, "hero").waitFor();
  const before = await page.locator("[data-testid^='backups.copy.']").count();
  const newest = () => page.locator("[data-testid^='backups.copy.']").first().getAttribute("data-testid");
  const first = before > 0 ? await newest() : null;

  await part(page, "backUp").click();
  await part(page, "backUpSheet.all").waitFor();
  await part(page, "backUpSheet.start").click();
  await part(page, "job").waitFor();
  expect(await verdict(page)).toBe("Working");
  await picture("running");
  // It goes on while the page is away.
  await page.reload();
  await page.getByTestId("signIn.operator").click();
  await part(page, "hero").waitFor();
  await part(page, "job").waitFor({ state: "hidden", timeout: JOB_MS });
  await expect.poll(newest, { timeout: 20_000 }).not.toBe(first);
  await page.getByText(/^Last good copy (just now|\d+\u00a0s ago)/).waitFor({ timeout: 20_000 });

  await page.locator("[data-testid^='backups.copy.']").first().click();
  const copy = part(page, "copy");
  await copy.getByText(/^public\./).first().waitFor();
  for (const region of ["eu-west-1", "us-east-1", "ap-southeast-1"]) await copy.getByText(`${region}: whole`).waitFor();
  await picture("copy");
  await part(page, "copy.restore").click();

  await part(page, "restoreSheet.next").click();
  expect(await part(page, "target.production").getAttribute("aria-disabled")).toBe("true");
  expect(await part(page, "target.development").getAttribute("aria-checked")).toBe("true");
  await part(page, "restoreSheet.next").click();
  await part(page, "check").waitFor();
  await part(page, "check").getByText("masked", { exact: true }).waitFor();
  await picture("check");
  await part(page, "restoreSheet.start").click();
  await part(page, "result").waitFor({ timeout: JOB_MS });
  const result = await part(page, "result").innerText();
  expect(result).toContain("Restored into Development");
  const [, restored, total] = /Rows restored\s+([\d,]+) of ([\d,]+)/.exec(result) ?? [];
  expect(Number(restored?.replaceAll(",", ""))).toBeGreaterThan(1_000);
  expect(restored).toBe(total);
  expect(await barriers(page)).toEqual([]);
  await picture("result");
  await part(page, "restoreSheet.close").click();
  await part(page, "lastRestore").getByText("Restored into Development", { exact: false }).waitFor();
  expect(errorsOf(page)).toEqual([]);
});
