/** Each state says what it must, in three languages, on a phone and a desk, light and dark; pictures of all are left to look at. */

import { mkdirSync } from "node:fs";
import { MESSAGES, type Locale, type MessageKey } from "@gasrapido/backup-react-native/messages";
import { MOCK_STATES, type MockState } from "@gasrapido/backup-client/mock";
import { describe, it } from "vitest";
import { DESK, PHONE, barriers, crowding, errorsOf, part, stage, verdict } from "./browser";

const PICTURES = new URL("../../../target/pictures/", import.meta.url).pathname;
mkdirSync(PICTURES, { recursive: true });

type Verdict = "protected" | "at_risk" | "not_protected" | "working" | "unknown";

/** What each state must show: the verdict, parts of the screen, and texts. */
const EXPECTED: Record<MockState, { verdict?: Verdict; parts?: string[]; says?: MessageKey[]; without?: string[]; locked?: boolean }> = {
  protected: { verdict: "protected", parts: ["days", "backUp"], without: ["job", "status"] },
  loading: { parts: ["loading"], says: ["state.loading"], without: ["hero"] },
  empty: { verdict: "not_protected", parts: ["empty", "backUp"], says: ["state.empty", "reason.no_backup", "reason.never_proven"], without: ["days"] },
  at_risk: { verdict: "at_risk" },
  not_protected: { verdict: "not_protected" },
  offline: { verdict: "protected", parts: ["status", "days"], says: ["state.offline.hint", "locked.offline"], locked: true },
  offline_old: { verdict: "unknown", parts: ["status"], says: ["protection.unknown.sentence", "locked.offline"], locked: true },
  unauthorized: { verdict: "unknown", parts: ["status"], says: ["state.unauthorized", "protection.unknown.nothing"], without: ["backUp"] },
  forbidden: { verdict: "unknown", parts: ["status"], says: ["state.forbidden"], without: ["backUp"] },
  read_only: { verdict: "protected", parts: ["status"], says: ["state.readOnly", "locked.role"], locked: true },
  error: { verdict: "unknown", parts: ["status"], says: ["state.error"], without: ["backUp"] },
  rate_limited: { verdict: "unknown", parts: ["status"], without: ["backUp"] },
  pending: { verdict: "working", parts: ["job"], says: ["job.pending", "protection.working.backup"] },
  running: { verdict: "working", parts: ["job", "job.cancel"], says: ["job.closeApp"] },
  stalled: { verdict: "working", parts: ["job"], says: ["job.stalled.hint"] },
  replicating: { verdict: "protected", parts: ["job"], says: ["step.replicate"] },
  verifying: { verdict: "protected", says: ["proof.reading"] },
  not_replicated: { verdict: "protected", parts: ["job"], says: ["job.stalled.hint"] },
  not_verified: { verdict: "at_risk", says: ["reason.never_proven", "proof.never"] },
  failed: { verdict: "at_risk", parts: ["job"], says: ["reason.last_backup_failed", "action.copyDetails"] },
  missed: { verdict: "protected", parts: ["days"] },
  expired: { verdict: "protected", says: ["copy.expired"] },
  restoring: { verdict: "working", parts: ["restoreJob"], says: ["protection.working.restore", "locked.restoring"], locked: true },
  approval: { verdict: "protected", parts: ["restoreJob"] },
  restored: { verdict: "protected", parts: ["lastRestore"] },
  unknown_status: { parts: ["job"] },
  many: { verdict: "protected", parts: ["days"] },
};

/** Of a text with values in it the longest part that is always the same. */
function constant(text: string): string {
  return text.split(/\{\w+\}/).sort((a, b) => b.length - a.length)[0]!.trim();
}

const { open } = stage();

describe.concurrent.each(["en", "pt-PT", "pt-BR"] as const)("in %s", (locale: Locale) => {
  it.for(MOCK_STATES)("the state %s", async (state, { expect }) => {
    const expected = EXPECTED[state];
    const text = (key: MessageKey) => MESSAGES[locale][key] as string;
    const page = await open(state, { locale });
    for (const id of [...(expected.parts ?? []), ...(expected.verdict === undefined ? [] : ["verdict"])]) await part(page, id).first().waitFor();
    if (expected.verdict !== undefined) expect(await verdict(page)).toBe(text(`protection.${expected.verdict}`));
    for (const key of expected.says ?? []) await page.getByText(constant(text(key))).first().waitFor({ timeout: 5_000 });
    for (const id of expected.without ?? []) expect(await part(page, id).count(), id).toBe(0);
    if (expected.locked) {
      for (const id of ["backUp", "restore"]) expect(await part(page, id).getAttribute("aria-disabled"), id).toBe("true");
    }
    // No placeholder was left unfilled.
    expect(await page.locator("#root").innerText()).not.toMatch(/\{\w+\}|undefined|NaN/);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      for (const [name, size] of [["390", PHONE], ["1024", DESK]] as const) {
        await page.setViewportSize(size);
        await page.waitForTimeout(120);
        await page.screenshot({ path: `${PICTURES}${state}.${locale}.${name}.${colorScheme}.png` });
        const what = `${state} ${locale} ${name} ${colorScheme}`;
        // What is announced and reached is the same in each language, and colours are the same at each width.
        if (locale === "en" && (name === "390" || colorScheme === "light")) expect.soft(await barriers(page), what).toEqual([]);
        if (colorScheme === "light") expect.soft(await crowding(page), what).toEqual([]);
      }
    }
    expect(errorsOf(page)).toEqual([]);
    await page.context().close();
  });
});
