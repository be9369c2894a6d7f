import type { BackupStatus, History, Summary } from "@gasrapido/backup-client";
import { DAY, HOUR, MINUTE, MOCK_STATES, MockApi, summaryOf, worldOf } from "@gasrapido/backup-client/mock";
import { describe, expect, it } from "vitest";
import { copyStateOf, growthOf, isRestorable, proofOf, regionStateOf } from "../src/model/copy";
import { countDays, daysOf } from "../src/model/days";
import { FRESH_MS, STALE_MAX_MS, protectionOf } from "../src/model/protection";
import { leftMs, stepsOf } from "../src/model/steps";
import { begin, copyAt, isConfirmed, readClock, replaces, requestOf, stepNames, targetLock, wishOf } from "../src/restore/flow";
import { Words } from "../src/words";

const NOW = Date.parse("2026-11-26T12:00:00.000Z");
const summary = (change: Partial<Summary> = {}): Summary => ({ ...summaryOf(worldOf("protected", NOW), NOW), ...change });
const copies = worldOf("protected", NOW).backups;
const copy = (change: Partial<BackupStatus> = {}): BackupStatus => ({ ...structuredClone(copies[5]!), ...change });

describe("protection", () => {
  it("is what the API says while that is fresh", () => {
    for (const verdict of ["protected", "at_risk", "not_protected"] as const) {
      expect(protectionOf(summary({ verdict }), NOW, NOW, false)).toMatchObject({ state: verdict, verdict, staleMs: undefined });
    }
    expect(protectionOf(summary(), NOW, NOW, true)).toMatchObject({ state: "working", verdict: "protected" });
    expect(protectionOf(undefined, 0, NOW, true).state).toBe("unknown");
    // Of an API that is newer than this.
    expect(protectionOf(summary({ verdict: "splendid" as Summary["verdict"] }), NOW, NOW, false).state).toBe("unknown");
  });

  it("is never protected of a copy that has grown too old, whatever was said", () => {
    const said = summary();
    const old = NOW + 9 * HOUR;
    expect(protectionOf(said, old, old, false)).toMatchObject({ state: "at_risk", reasons: [{ code: "backup_too_old" }] });
    const { lastGood: _, ...without } = said;
    expect(protectionOf(without, NOW, NOW, false)).toMatchObject({ state: "at_risk", reasons: [{ code: "no_backup" }] });
    expect(protectionOf(summary({ lastGood: { id: "x", takenAt: "soon" } }), NOW, NOW, false).state).not.toBe("protected");
  });

  it("is unknown of what was seen too long ago, at every age", () => {
    for (const verdict of ["protected", "at_risk", "not_protected"] as const) {
      for (let age = 0; age < 3 * DAY; age += 7 * MINUTE) {
        for (const working of [false, true]) {
          const { state, staleMs } = protectionOf(summary({ verdict }), NOW, NOW + age, working);
          if (age > STALE_MAX_MS) expect([verdict, age, state]).toEqual([verdict, age, "unknown"]);
          expect(staleMs === undefined).toBe(age <= FRESH_MS);
        }
      }
    }
    // What was seen in the future was seen by another clock: how old it is, nobody knows.
    expect(protectionOf(summary(), NOW, NOW - HOUR, false).state).toBe("unknown");
    expect(protectionOf(summary(), NOW, NOW - 2_000, false).state).toBe("protected");
  });
});

describe("days", () => {
  const words = new Words("en", {}, "Europe/Lisbon");
  const id = (n: number) => `019ab3c4-5d6e-7f80-9a1b-00010000000${n}`;
  const run = (at: string, outcome: History["runs"][number]["outcome"], n = 1) => ({ id: id(n), at, outcome });
  const days = (runs: History["runs"], missed: string[] = []) => daysOf({ from: "", at: new Date(NOW).toISOString(), runs, missed }, words, NOW);
  const outcome = (runs: History["runs"], missed: string[] = []) => days(runs, missed).at(-2)?.outcome;

  it("are 30, also where one has 25 hours", () => {
    const october = daysOf(undefined, words, Date.parse("2026-11-02T00:30:00.000Z"));
    expect(october).toHaveLength(30);
    expect(new Set(october.map((day) => day.key)).size).toBe(30);
    expect([october[0]?.key, october.at(-1)?.key]).toEqual(["2026-10-04", "2026-11-02"]);
  });

  it("are as bad as the worst that was not made good", () => {
    const [early, late] = ["2026-11-25T03:00:00.000Z", "2026-11-25T15:00:00.000Z"];
    expect(outcome([])).toBe("none");
    expect(outcome([run(early, "good")])).toBe("good");
    expect(outcome([run(late, "good"), run(early, "failed")])).toBe("warning");
    expect(outcome([run(late, "failed"), run(early, "good")])).toBe("failed");
    expect(outcome([run(late, "warning"), run(early, "good")])).toBe("warning");
    expect(outcome([run(late, "running"), run(early, "failed")])).toBe("failed");
    expect(outcome([run(late, "cancelled"), run(early, "good")])).toBe("good");
    expect(outcome([run(late, "good")], [early])).toBe("missed");
  });

  it("that were not looked at yet are not known", () => {
    const seen = daysOf({ from: "", at: "2026-11-24T09:00:00.000Z", runs: [], missed: [] }, words, NOW);
    expect(seen.slice(-3).map((day) => day.outcome)).toEqual(["none", "unknown", "unknown"]);
  });

  it("begin at midnight where the person is", () => {
    const tokyo = daysOf({ from: "", at: new Date(NOW).toISOString(), runs: [run("2026-11-25T15:30:00.000Z", "good")], missed: [] }, new Words("en", {}, "Asia/Tokyo"), NOW);
    expect(tokyo.find((day) => day.outcome === "good")?.key).toBe("2026-11-26");
    expect(countDays(tokyo)).toEqual({ good: 1, warning: 0, failed: 0, missed: 0, none: 29, unknown: 0 });
  });
});

describe("a copy", () => {
  it("is what its record says, and unknown where that is not known", () => {
    expect(copyStateOf(copy())).toBe("good");
    expect(copyStateOf(copy({ expiredAt: "x" }))).toBe("expired");
    expect(copyStateOf(copy({ status: "failed", cancelled: { at: "x", by: "y" } }))).toBe("cancelled");
    expect(copyStateOf(copy({ status: "in_progress", phase: "replicating" }))).toBe("replicating");
    expect(copyStateOf(copy({ status: "hibernating" as BackupStatus["status"] }))).toBe("unknown");
    expect([copy(), copy({ expiredAt: "x" }), copy({ supersededBy: "x" }), copy({ status: "failed" })].map(isRestorable)).toEqual([true, false, false, false]);
  });

  it("is proven by what was done with it, and no more", () => {
    const drilled = { at: "x", passed: true, whole: true, region: "r", rows: 1, bytes: 1 };
    const { verified, drilled: _, ...bare } = copy();
    expect(proofOf(bare as BackupStatus)).toBe("never");
    expect(proofOf({ ...bare, verified: { fromHour: 1 } } as BackupStatus)).toBe("reading");
    expect(proofOf({ ...bare, verified } as BackupStatus)).toBe("read");
    expect(proofOf({ ...bare, drilled } as BackupStatus)).toBe("restored");
    expect(proofOf({ ...bare, drilled: { ...drilled, whole: false } } as BackupStatus)).toBe("sampled");
    expect(proofOf({ ...bare, verified, drilled: { ...drilled, passed: false } } as BackupStatus)).toBe("failed");
  });

  it("lags where it is over and not whole", () => {
    const replica = { role: "secondary", region: "r", bucket: "b", state: "pending" } as const;
    expect(regionStateOf(replica, copy())).toBe("pending");
    expect(regionStateOf(replica, copy({ status: "in_progress" }))).toBe("running");
    expect(regionStateOf(replica, copy({ status: "in_progress", stalled: true }))).toBe("pending");
    expect(regionStateOf({ ...replica, state: "damaged" }, copy({ status: "in_progress" }))).toBe("damaged");
  });

  it("has grown since the one before it that was made", () => {
    const growth = growthOf(copies);
    const [a, b] = [copies[0]!, copies[1]!];
    expect(growth.get(a.id)).toBe(a.metadata!.size - b.metadata!.size);
    expect(growth.has(copies.at(-1)!.id)).toBe(false);
  });
});

describe("the steps of a backup", () => {
  it("are under way together while rows are read, and never ahead of it", () => {
    const at = (change: Partial<BackupStatus>) => Object.values(stepsOf(copy({ status: "in_progress", ...change }))).map((state) => state[0]).join("");
    expect(at({ status: "pending" })).toBe("wwwww");
    expect(at({ phase: "preparing" })).toBe("awwww");
    expect(at({ phase: "copying" })).toBe("aaaww");
    expect(at({ phase: "committing" })).toBe("ddaww");
    expect(at({ phase: "replicating" })).toBe("dddaw");
    expect(at({ phase: "dreaming" as NonNullable<BackupStatus["phase"]> })).toBe("wwwww");
    expect(at({ status: "completed" })).toBe("ddddd");
    expect(at({ status: "failed" })).toBe("wwwww");
  });

  it("have a time that is left only where the pace tells", () => {
    const job = { startedAt: new Date(NOW - 40_000).toISOString(), progress: 40, phase: "copying" };
    expect(leftMs(job, NOW)).toBe(60_000);
    for (const change of [{ progress: 9 }, { stalled: true }, { phase: "replicating" }, { startedAt: new Date(NOW - 9_000).toISOString() }]) {
      expect(leftMs({ ...job, ...change }, NOW)).toBeUndefined();
    }
  });
});

describe("a restore", () => {
  const you = (restoreInto: Summary["you"]["restoreInto"]): Summary["you"] => ({ id: "ana", backUp: true, restoreInto, secondFactor: true, administer: false });

  it("begins with the least dangerous target that is allowed", () => {
    expect(begin(undefined, undefined, you(["production", "staging"])).target).toBe("staging");
    expect(begin("x", undefined, you(["production"]))).toMatchObject({ what: { kind: "copy", id: "x" }, target: "production", step: "what" });
  });

  it("is asked for of the very copy that was looked at, and where it replaces something by the words", () => {
    const plan = { backupId: "b", targetEnvironment: "staging", confirmation: "staging/b" } as NonNullable<ReturnType<typeof begin>["plan"]>;
    const asked = { ...begin(undefined, undefined, you(["staging"])), what: { kind: "moment", at: NOW } as const };
    expect(wishOf(asked)).toEqual({ backupId: "latest", targetEnvironment: "staging", restorePoint: "2026-11-26T12:00:00.000Z" });
    expect(requestOf(asked)).toBeUndefined();
    const flow = { ...asked, planOf: wishOf(asked) };
    expect(requestOf({ ...flow, plan })).toEqual({ backupId: "b", targetEnvironment: "staging" });
    const replacing = { ...flow, plan, replace: true };
    expect(requestOf(replacing)).toBeUndefined();
    expect(requestOf({ ...replacing, typed: "staging/" })).toBeUndefined();
    expect(requestOf({ ...replacing, typed: " staging/b " })).toEqual({ backupId: "b", targetEnvironment: "staging", confirmation: "staging/b" });
    // A plan of another copy, or another target, confirms nothing.
    expect(requestOf({ ...replacing, what: { kind: "latest" }, typed: "staging/b" })).toBeUndefined();
    expect(requestOf({ ...flow, target: "production", plan, typed: "staging/b" })).toBeUndefined();
    expect([replaces(flow), replaces(replacing), replaces({ ...flow, target: "production" })]).toEqual([false, true, true]);
    expect([stepNames(flow).length, stepNames(replacing).length]).toEqual([4, 5]);
    expect(isConfirmed(flow)).toBe(false);
  });

  it("into production takes a second factor, and is not chosen without", () => {
    const without = { ...you(["production"]), secondFactor: false };
    expect(targetLock(without, "production")).toBe("restore.secondFactor");
    expect(targetLock(without, "staging")).toBe("restore.target.notAllowed");
    expect(begin(undefined, undefined, without).target).not.toBe("production");
  });

  it("reads the time of a clock, and finds the newest copy before it", () => {
    const read = ["14:30", " 9.05 ", "23h59", "24:00", "12:60", "noon", "1230", ""].map((text) => readClock(text));
    expect(read).toEqual([{ hour: 14, minute: 30 }, { hour: 9, minute: 5 }, { hour: 23, minute: 59 }, undefined, undefined, undefined, undefined, undefined]);
    const at = Date.parse(copies[7]!.metadata!.timestamp);
    expect([copyAt(copies, at)?.id, copyAt(copies, at + 1)?.id, copyAt(copies, at - 1)?.id]).toEqual([copies[7]!.id, copies[7]!.id, copies[8]!.id]);
    expect(copyAt(copies, 0)).toBeUndefined();
  });
});

it("the mock plays every state", () => {
  for (const state of MOCK_STATES) expect(new MockApi({ state, now: NOW }).world.you.id).not.toBe("");
});
