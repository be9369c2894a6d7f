/** What a person does with the screen, in the order in which a person does it. */

import { describe, expect, it } from "vitest";
import type { Page } from "playwright-core";
import type { MockApi } from "@gasrapido/backup-client/mock";
import { DESK, barriers, crowding, errorsOf, part, stage, verdict } from "./browser";

const { open } = stage();

/** The network of the mock goes, or comes back. */
async function network(page: Page, on: boolean): Promise<void> {
  await page.evaluate((offline) => {
    (globalThis as unknown as { backups: MockApi }).backups.offline = offline;
  }, !on);
}

async function announced(page: Page): Promise<string> {
  return (await page.locator("[aria-live=polite][role=status]").first().textContent()) ?? "";
}

async function done(page: Page): Promise<void> {
  expect(errorsOf(page)).toEqual([]);
  await page.context().close();
}

describe("a backup", () => {
  it("is asked for, followed to its end, and is then the newest copy", async () => {
    const page = await open("protected", { job: "4000" });
    await part(page, "backUp").click();
    const sheet = page.getByRole("dialog", { name: "What should be backed up?" });
    await sheet.waitFor();
    await part(page, "backUpSheet.schema.public").waitFor();
    expect.soft(await barriers(page), "the choice of a source").toEqual([]);
    expect.soft(await crowding(page), "the choice of a source").toEqual([]);
    await part(page, "backUpSheet.start").click();
    await sheet.waitFor({ state: "hidden" });
    await part(page, "job").waitFor();
    expect(await verdict(page)).toBe("Working");
    const seen: number[] = [];
    const said = new Set<string>();
    while ((await part(page, "job").count()) > 0) {
      const now = await page.getByRole("progressbar", { name: "Backup" }).getAttribute("aria-valuenow", { timeout: 500 }).catch(() => null);
      if (now !== null) seen.push(Number(now));
      said.add(await announced(page));
      await page.waitForTimeout(100);
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen[seen.length - 1]).toBeGreaterThan(50);
    // Each quarter is said once, and not each percent.
    expect([...said].filter((text) => text.includes("Backup:")).length).toBeLessThanOrEqual(5);
    expect([...said].filter((text) => text.includes("Backup:")).length).toBeGreaterThanOrEqual(2);
    await page.getByText("Last good copy just now").or(page.getByText(/Last good copy 5\s*s ago/)).first().waitFor();
    expect(await verdict(page)).toBe("Protected");
    await done(page);
  });

  it("is one, however often the button is pressed", async () => {
    const page = await open("protected", { job: "60000" });
    await part(page, "backUp").click();
    await part(page, "backUpSheet.start").dblclick();
    await part(page, "job").waitFor();
    const running = await page.evaluate(() => (globalThis as unknown as { backups: MockApi }).backups.world.backups.filter((b) => b.status !== "completed" && b.status !== "failed").length);
    expect(running).toBe(1);
    await done(page);
  });

  it("is stopped by whoever says so twice", async () => {
    const page = await open("protected", { job: "60000" });
    await part(page, "backUp").click();
    await part(page, "backUpSheet.start").click();
    await part(page, "job.cancel").click();
    await page.getByRole("alert").getByText("Stop this backup?").waitFor();
    expect.soft(await barriers(page), "the question whether it is stopped").toEqual([]);
    await part(page, "job.cancel.yes").click();
    await page.getByText("The backup was stopped").first().waitFor();
    await done(page);
  });

  it("goes on while the page is loaded anew", async () => {
    const page = await open("running");
    await part(page, "job").waitFor();
    await page.reload();
    await part(page, "job").waitFor();
    expect(await verdict(page)).toBe("Working");
    await done(page);
  });
});

describe("a restore", () => {
  it("into development begins with a check, and ends with a result that stays", async () => {
    const page = await open("protected", { job: "3000" });
    await part(page, "restore").click();
    const sheet = page.getByRole("dialog", { name: "Restore" });
    await sheet.waitFor();
    expect.soft(await barriers(page), "what is restored").toEqual([]);
    await part(page, "restoreSheet.next").click();
    expect(await part(page, "target.development").getAttribute("aria-checked")).toBe("true");
    expect.soft(await barriers(page), "where to").toEqual([]);
    expect.soft(await crowding(page), "where to").toEqual([]);
    await part(page, "restoreSheet.next").click();
    await part(page, "check").waitFor();
    await sheet.getByText("nothing: a target in use is refused").waitFor();
    expect.soft(await barriers(page), "the check").toEqual([]);
    await part(page, "restoreSheet.start").click();
    await part(page, "restoreProgress").waitFor();
    expect.soft(await barriers(page), "the progress").toEqual([]);
    await part(page, "result").waitFor();
    await sheet.getByText("Restored into Development").waitFor();
    expect(await part(page, "result").innerText()).toMatch(/4,\d{3},\d{3} of 4,\d{3},\d{3}/);
    expect.soft(await barriers(page), "the result").toEqual([]);
    await part(page, "restoreSheet.close").click();
    await part(page, "lastRestore").waitFor();
    await part(page, "lastRestore.open").click();
    await part(page, "result").waitFor();
    await done(page);
  });

  it("into production takes the typed words", async () => {
    const page = await open("protected", { job: "3000" });
    await part(page, "restore").click();
    await part(page, "restoreSheet.next").click();
    await part(page, "target.production").click();
    await part(page, "restoreSheet.next").click();
    await part(page, "check").waitFor();
    await page.getByText("a fresh copy of Production is made first").first().waitFor();
    await part(page, "restoreSheet.next").click();
    const start = part(page, "restoreSheet.start");
    expect(await start.getAttribute("aria-disabled")).toBe("true");
    const words = (await page.getByLabel(/^Type .* to confirm$/).getAttribute("aria-label"))!.replace(/^Type (.*) to confirm$/, "$1");
    await part(page, "confirmation").fill(words.slice(0, -1));
    expect(await start.getAttribute("aria-disabled")).toBe("true");
    await page.getByText("That is not the same yet.").waitFor();
    expect.soft(await barriers(page), "the words that confirm it").toEqual([]);
    await part(page, "confirmation").fill(words);
    await start.click();
    await part(page, "restoreProgress").waitFor();
    await part(page, "restoreSheet.close").click();
    // Nothing else can be begun meanwhile.
    expect(await part(page, "backUp").getAttribute("aria-disabled")).toBe("true");
    await page.getByText("A restore is running: nothing can be changed until it is over.").first().waitFor();
    await done(page);
  });

  it("is of the copy that was chosen last, however late the answer to the first choice comes", async () => {
    const page = await open("protected");
    await part(page, "restore").click();
    await part(page, "restoreSheet.next").click();
    await part(page, "restoreSheet.next").click();
    // The plan of the newest copy is on its way.
    await part(page, "restoreSheet.back").click();
    await part(page, "restoreSheet.back").click();
    await part(page, "what.copy").click();
    const third = page.getByRole("radiogroup", { name: "A copy" }).getByRole("radio").nth(2);
    const chosen = (await third.innerText()).split("\n")[0]!;
    await third.click();
    await part(page, "restoreSheet.next").click();
    await part(page, "restoreSheet.next").click();
    await part(page, "check").getByText(chosen).waitFor();
    await part(page, "restoreSheet.start").click();
    await part(page, "restoreProgress").waitFor();
    const asked = await page.evaluate(() => {
      const { world } = (globalThis as unknown as { backups: MockApi }).backups;
      return [world.restores[0]!.backupId, world.backups.map((b) => b.id)] as const;
    });
    expect(asked[1].indexOf(asked[0])).toBe(2);
    await done(page);
  });

  it("can be stopped by whoever says so twice, inside of the sheet", async () => {
    const page = await open("restoring");
    await part(page, "restoreJob.open").click();
    await part(page, "restoreCancel").click();
    await page.getByText("Stop this restore?").waitFor();
    expect.soft(await barriers(page), "the question whether it is stopped").toEqual([]);
    await part(page, "restoreCancel.yes").click();
    await part(page, "result").getByText("The restore into Production was stopped").waitFor();
    await done(page);
  });

  it("into an environment that this version does not know is shown by its name", async () => {
    const page = await open("restored");
    await part(page, "lastRestore").waitFor();
    await page.evaluate(() => {
      const { world } = (globalThis as unknown as { backups: MockApi }).backups;
      Object.assign(world.restores[0]!, { targetEnvironment: "sandbox" });
      Object.assign(world.backups[0]!, { trigger: "moon", phase: "dreaming" });
    });
    await part(page, "refresh").click();
    await part(page, "lastRestore").getByText("Restored into sandbox", { exact: false }).waitFor();
    await part(page, "lastRestore.open").click();
    await part(page, "result").getByText("sandbox", { exact: true }).first().waitFor();
    await done(page);
  });

  it("to a moment means the newest copy before it, within what there is", async () => {
    const page = await open("protected");
    await part(page, "restore").click();
    await part(page, "what.moment").click();
    // It begins with the newest copy itself.
    const newest = await page.evaluate(() => (globalThis as unknown as { backups: MockApi }).backups.world.backups[0]!.metadata!.timestamp.slice(11, 16));
    await page.getByText(new RegExp(`^That is the copy of .*${newest} UTC`)).waitFor();
    await page.getByText(/^There are copies from /).waitFor();
    await part(page, "moment.time").fill("25:00");
    await page.getByText("Write the time as hours:minutes, such as 14:30.").waitFor();
    expect(await part(page, "restoreSheet.next").getAttribute("aria-disabled")).toBe("true");
    await part(page, "moment.before").click();
    await part(page, "moment.time").fill("23:59");
    await page.getByText(/^That is the copy of /).waitFor();
    expect.soft(await barriers(page), "a moment").toEqual([]);
    expect.soft(await crowding(page), "a moment").toEqual([]);
    await part(page, "restoreSheet.next").click();
    await part(page, "restoreSheet.next").click();
    await part(page, "check").waitFor();
    await done(page);
  });

  it("that another person asked for is consented to", async () => {
    const page = await open("approval");
    await part(page, "restoreJob.open").click();
    await part(page, "approve").click();
    await page.getByText(/Preparing|Loading rows/).first().waitFor();
    await done(page);
  });
});

describe("copies", () => {
  it("are looked at, kept, and restored from", async () => {
    const page = await open("protected");
    await page.getByRole("button", { name: /restored in a test|took/ }).nth(4).click();
    const sheet = part(page, "copy");
    await sheet.waitFor();
    await sheet.getByText("public.orders", { exact: true }).waitFor();
    await sheet.getByText(/Not in the copy: vault/).waitFor();
    expect.soft(await barriers(page), "a copy").toEqual([]);
    expect.soft(await crowding(page), "a copy").toEqual([]);
    await part(page, "copy.pin").click();
    await part(page, "copy.pin").getByText("No longer keep").waitFor();
    await part(page, "copy.restore").click();
    await page.getByRole("dialog", { name: "Restore" }).waitFor();
    expect(await part(page, "what.copy").getAttribute("aria-checked")).toBe("true");
    await done(page);
  });

  it("are chosen by status and by day, and more are loaded", async () => {
    const page = await open("missed", {}, { viewport: DESK });
    const count = () => page.locator("[data-testid^='backups.copy.']").count();
    await part(page, "more").waitFor();
    await part(page, "filter.failed").click();
    await page.getByText("failed", { exact: true }).first().waitFor();
    expect(await count()).toBeLessThanOrEqual(2);
    await part(page, "filter.all").click();
    const days = page.locator("[data-testid^='backups.day.']");
    expect(await days.count()).toBe(30);
    await page.getByRole("button", { name: /was due and never came/ }).first().click();
    await page.getByRole("heading", { name: /^Copies of / }).waitFor();
    await expect.poll(count).toBe(3);
    await done(page);
  });
});

describe("a cleanup", () => {
  it("shows what would go before it goes", async () => {
    const page = await open("protected", {}, { viewport: DESK });
    await part(page, "cleanup").click();
    await page.getByText("2 copies would be removed; 117 stay.").waitFor();
    expect.soft(await barriers(page), "what would go").toEqual([]);
    await part(page, "cleanUpSheet.confirm").click();
    await page.getByText("2 copies were removed.").waitFor();
    await part(page, "cleanUpSheet.close").click();
    await part(page, "storage").getByText(/^The last cleanup removed 2, /).waitFor();
    await done(page);
  });
});

describe("a phone", () => {
  it("that loses its network shows what it knows, and does nothing", async () => {
    const page = await open("protected");
    await part(page, "days").waitFor();
    await network(page, false);
    await part(page, "refresh").click();
    await part(page, "status").getByText("No connection.", { exact: false }).waitFor();
    expect(await part(page, "backUp").getAttribute("aria-disabled")).toBe("true");
    await network(page, true);
    await part(page, "retry").click();
    await part(page, "status").waitFor({ state: "hidden" });
    expect(await part(page, "backUp").getAttribute("aria-disabled")).not.toBe("true");
    await done(page);
  });

  it("never says protected of what it saw too long ago", async () => {
    const page = await open("protected");
    await part(page, "days").waitFor();
    await page.clock.install();
    await network(page, false);
    await page.clock.runFor(10 * 60_000);
    await page.getByText(/^As seen /).waitFor();
    await page.clock.runFor(10 * 60_000);
    await expect.poll(() => verdict(page), { timeout: 10_000 }).toBe("Unknown");
    await done(page);
  });

  it("with letters of twice the size cuts nothing off", async () => {
    for (const state of ["protected", "running", "failed"] as const) {
      const page = await open(state, { text: "2" });
      await part(page, "hero").waitFor();
      expect.soft(await crowding(page), `${state} at 200 %`).toEqual([]);
      await part(page, "backUp").click();
      await page.getByRole("dialog").waitFor();
      expect.soft(await crowding(page), `${state}, the choice of a source at 200 %`).toEqual([]);
      await done(page);
    }
  });

  it("is worked with a keyboard alone", async () => {
    const page = await open("protected", {}, { viewport: DESK });
    await part(page, "backUp").focus();
    await page.keyboard.press("Enter");
    const sheet = page.getByRole("dialog");
    await sheet.waitFor();
    await expect.poll(() => page.evaluate(() => document.activeElement?.closest("[role=dialog]") !== null)).toBe(true);
    for (let n = 0; n < 20; n += 1) await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.closest("[role=dialog]") !== null), "the focus stays inside").toBe(true);
    await page.keyboard.press("Escape");
    await sheet.waitFor({ state: "hidden" });
    await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute("data-testid"))).toBe("backups.backUp");
    await done(page);
  });

  it("that wants less motion has none", async () => {
    const page = await open("running", {}, { reducedMotion: "reduce" });
    await part(page, "job").waitFor();
    const moving = await page.evaluate(() => document.getAnimations().filter((a) => a.playState === "running").length);
    expect(moving).toBe(0);
    await done(page);
  });
});
