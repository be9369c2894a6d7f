import { BackupApiError, BackupOfflineError, type BackupService } from "@gasrapido/backup-client";
import { MockApi, serviceOf, type MockState } from "@gasrapido/backup-client/mock";
import { afterEach, describe, expect, it } from "vitest";
import { BackupStore, type BackupEvent, type StoreOptions } from "../src/data/store";
import type { Seen } from "../src/data/seen";
import type { KeptStorage } from "../src/data/kept";

const stores: BackupStore[] = [];
afterEach(() => stores.splice(0).forEach((store) => store.stop()));

function open(state: MockState = "protected", options: StoreOptions = {}, service?: BackupService) {
  const api = new MockApi({ state, latencyMs: 1, jobMs: 2_500 });
  const store = new BackupStore(service ?? serviceOf(api), { pollMs: 100_000, ...options });
  stores.push(store);
  return { api, store };
}

async function until(store: BackupStore, condition: (seen: Seen) => boolean, ms = 15_000): Promise<Seen> {
  if (condition(store.get())) return store.get();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`it did not come to be: ${JSON.stringify({ ...store.get(), backups: store.get().backups.length })}`)), ms);
    const stop = store.subscribe(() => {
      if (!condition(store.get())) return;
      clearTimeout(timer);
      stop();
      resolve(store.get());
    });
  });
}

const hasReports = ({ history, usage, drills, audit, cleanups }: Seen) => [history, usage, drills, audit, cleanups].every((report) => report !== undefined);

describe("the store", () => {
  it("sees all there is, and tells why it cannot", async () => {
    const { store } = open();
    store.start();
    const seen = await until(store, hasReports);
    expect(seen).toMatchObject({ connection: "ok", problem: undefined });
    expect([seen.backups.length, seen.restores.length, seen.drills?.length, seen.audit?.length]).toEqual([20, 1, 10, 4]);
    for (const [state, connection] of [["unauthorized", "unauthorized"], ["forbidden", "forbidden"], ["error", "error"], ["rate_limited", "limited"]] as const) {
      const { store: other } = open(state);
      await other.refresh();
      expect(other.get().connection).toBe(connection);
      expect(other.get().problem).toBeInstanceOf(BackupApiError);
    }
  });

  it("waits as long as it is told where there were too many requests", async () => {
    const { store } = open("rate_limited");
    await store.refresh();
    expect(store.get().againAt! - store.service.now()).toBeGreaterThan(80_000);
  });

  it("keeps what it saw when the network goes, and says so", async () => {
    const { api, store } = open();
    await store.refresh();
    const { seenAt, backups } = store.get();
    api.offline = true;
    await store.refresh();
    expect(store.get()).toMatchObject({ connection: "offline", seenAt, backups });
    expect(store.get().problem).toBeInstanceOf(BackupOfflineError);
    api.offline = false;
    await store.refresh();
    expect(store.get()).toMatchObject({ connection: "ok", problem: undefined });
  });

  it("follows a backup to its end, whoever asked for it, and tells the host once", async () => {
    const events: BackupEvent[] = [];
    const { store } = open("protected", { onEvent: (event) => events.push(event) });
    store.start();
    await until(store, (s) => s.summary !== undefined);
    const asked = await store.startBackup("all");
    expect(store.get().backups[0]).toMatchObject({ id: asked.id, status: "pending" });
    const seen = await until(store, (s) => s.backups.find((b) => b.id === asked.id)?.status === "completed" && s.summary?.lastGood?.id === asked.id);
    expect(seen.summary?.running).toBeUndefined();
    expect(events).toEqual([{ type: "backup.completed", id: asked.id }]);
    // One that somebody else asked for is seen by the next look, and followed as well.
    const other = await store.service.createManualBackup("public");
    await store.refresh();
    await until(store, (s) => s.backups.find((b) => b.id === other.id)?.status === "completed");
    expect(events).toHaveLength(2);
  });

  it("follows a restore, and what it stops is stopped", async () => {
    const events: BackupEvent[] = [];
    const { store } = open("protected", { onEvent: (event) => events.push(event) });
    store.start();
    await until(store, (s) => s.summary !== undefined);
    const restore = await store.startRestore({ backupId: "latest", targetEnvironment: "staging" });
    const seen = await until(store, (s) => s.restores.find((r) => r.id === restore.id)?.status === "completed");
    expect(seen.restores[0]?.restored?.rows).toBe(seen.restores[0]?.rowsTotal);
    const second = await store.startRestore({ backupId: "latest", targetEnvironment: "staging" });
    await store.cancelRestore(second.id);
    await until(store, () => events.length === 2);
    expect(events[1]).toMatchObject({ type: "restore.failed", id: second.id, error: "it was cancelled" });
  });

  it("asks for nothing while it is stopped", async () => {
    const { api, store } = open("running", { pollMs: 5 });
    let asked = 0;
    const through = api.fetch;
    Object.assign(api, { fetch: (...args: Parameters<typeof fetch>) => ((asked += 1), through(...args)) });
    const counted = new BackupStore(serviceOf(api), { pollMs: 5 });
    counted.start();
    await until(counted, hasReports);
    counted.stop();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = asked;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(asked).toBe(before);
    expect(store.get().summary).toBeUndefined();
  });

  it("reads a list down page by page, each copy once, and lists by status without gaps", async () => {
    const { api, store } = open("many");
    await store.refresh();
    while (store.hasMore("failed")) await store.loadMore("failed");
    expect(store.list("failed").map((b) => b.id)).toEqual(api.world.backups.filter((b) => b.status === "failed").map((b) => b.id));
    // What was read of the failed ones alone is not in the list of all.
    expect(store.list("all").length).toBe(20);
    await Promise.all([store.loadMore("all"), store.loadMore("all")]);
    expect(store.list("all").length).toBe(70);
    while (store.hasMore("all")) await store.loadMore("all");
    expect(store.list("all").map((b) => b.id)).toEqual(api.world.backups.map((b) => b.id));
    expect(store.hasMore("completed")).toBe(false);
    expect((await store.restorable()).length).toBe(api.world.backups.filter((b) => b.status === "completed").length);
  });

  it("leaves out what it read before when a gap has come between", async () => {
    const { api, store } = open();
    await store.refresh();
    await store.loadMore("all");
    expect(store.list("all").length).toBe(70);
    // A week in a drawer.
    const newer = Array.from({ length: 30 }, (_, i) => ({ ...structuredClone(api.world.backups[0]!), id: `019ab3c4-5d6e-7f80-9a1b-00010000${(60_000 - i).toString(16)}` }));
    api.world.backups.unshift(...newer);
    await store.refresh();
    expect(store.list("all").length).toBe(20);
    await store.loadMore("all");
    expect(store.list("all").map((b) => b.id)).toEqual(api.world.backups.slice(0, 70).map((b) => b.id));
  });

  it("does not undo what was done by a look that began before", async () => {
    const { api, store } = open();
    await store.refresh();
    const [, second] = store.get().backups;
    // The look is answered after the pin, with what was before it.
    let answer: () => void = () => undefined;
    const through = api.fetch;
    const slow = serviceOf(Object.assign(Object.create(Object.getPrototypeOf(api)), { fetch: async (...args: Parameters<typeof fetch>) => {
      const answered = await through(...args);
      if (String(args[0]).includes("/v1/backups?")) await new Promise<void>((resolve) => (answer = resolve));
      return answered;
    } }) as MockApi);
    const late = new BackupStore(slow);
    stores.push(late);
    const look = late.refresh();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await late.pinBackup(second!.id, true);
    answer();
    await look;
    expect(late.get().backups.find((b) => b.id === second!.id)?.pin).toBeDefined();
  });

  it("never shows what is over as under way again", async () => {
    const { api, store } = open("running");
    await store.refresh();
    const running = store.get().backups[0]!;
    await store.cancelBackup(running.id);
    api.world.backups[0] = running;
    await store.refresh();
    expect(store.get().backups[0]?.status).toBe("failed");
  });

  it("tells of a job that ended while nobody looked", async () => {
    const events: BackupEvent[] = [];
    const { store } = open("protected", {
      onEvent: (event) => {
        events.push(event);
        throw new Error("the host's own mistake");
      },
    });
    store.start();
    await until(store, (s) => s.summary !== undefined);
    const { id } = await store.startBackup("all");
    store.stop();
    await new Promise((resolve) => setTimeout(resolve, 2_700));
    store.start();
    await until(store, (s) => s.backups.find((b) => b.id === id)?.status === "completed");
    expect(events).toEqual([{ type: "backup.completed", id }]);
    expect(store.get().connection).toBe("ok");
  });

  it("follows all that runs, and is not upset by one that is gone", async () => {
    const { api, store } = open("protected");
    store.start();
    await until(store, hasReports);
    const ids = [(await store.startBackup("all")).id, (await store.startBackup("public")).id];
    const restore = await store.startRestore({ backupId: "latest", targetEnvironment: "staging" });
    const gone = await store.startBackup("auth");
    api.world.backups = api.world.backups.filter((b) => b.id !== gone.id);
    await until(store, (s) => ids.every((id) => s.backups.find((b) => b.id === id)?.status === "completed") && s.restores.find((r) => r.id === restore.id)?.status === "completed");
    expect(store.get().connection).toBe("ok");
    expect(store.get().backups.some((b) => b.id === gone.id)).toBe(false);
  });

  it("takes an answer of 500 while it follows for what it is, and not for a lost network", async () => {
    const { api } = open();
    let broken = false;
    const through = api.fetch;
    const store = new BackupStore(
      serviceOf(Object.assign(Object.create(Object.getPrototypeOf(api)), {
        fetch: (...args: Parameters<typeof fetch>) => (broken ? Promise.resolve(new Response("{}", { status: 503 })) : through(...args)),
      }) as MockApi),
      { pollMs: 100_000 },
    );
    stores.push(store);
    store.start();
    await until(store, hasReports);
    const { id } = await store.startBackup("all");
    const seen: string[] = [];
    store.subscribe(() => seen.push(store.get().connection));
    broken = true;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    broken = false;
    await until(store, (s) => s.backups.find((b) => b.id === id)?.status === "completed");
    expect(new Set(seen)).toEqual(new Set(["ok"]));
  });

  it("shows the reports that can be had where one cannot", async () => {
    const { api } = open();
    const through = api.fetch;
    const store = new BackupStore(
      serviceOf(Object.assign(Object.create(Object.getPrototypeOf(api)), {
        fetch: (...args: Parameters<typeof fetch>) => (String(args[0]).includes("/v1/usage") ? Promise.resolve(new Response("{}", { status: 400 })) : through(...args)),
      }) as MockApi),
    );
    stores.push(store);
    await store.refresh();
    const { history, drills, usage, connection, reportsProblem } = store.get();
    expect([history !== undefined, drills?.length, usage, connection]).toEqual([true, 10, undefined, "ok"]);
    expect(reportsProblem).toBeInstanceOf(BackupApiError);
  });

  it("sees the gap also where a backup was asked for before it looked", async () => {
    const { api, store } = open();
    await store.refresh();
    await store.loadMore("all");
    const newer = Array.from({ length: 30 }, (_, i) => ({ ...structuredClone(api.world.backups[0]!), id: `019ab3c4-5d6e-7f80-9a1b-00010000${(4_900 - i).toString(16)}` }));
    api.world.backups.unshift(...newer);
    await store.startBackup("all");
    await store.refresh();
    while (store.list("all").length < 60) await store.loadMore("all");
    expect(store.list("all").map((b) => b.id)).toEqual(api.world.backups.slice(0, store.list("all").length).map((b) => b.id));
  });

  it("lets go what it kept of another project, or another person", async () => {
    const kept = new Map<string, string>();
    const storage: KeptStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
    const first = open("running", { storage });
    await first.store.refresh();
    expect([...kept.keys()][0]).toContain("backup.example.org");
    const second = open("empty", { storage });
    second.api.world.you = { ...second.api.world.you, id: "somebody else" };
    second.store.start();
    const seen = await until(second.store, (s) => s.connection === "ok");
    expect([seen.backups.length, seen.summary?.verdict]).toEqual([0, "not_protected"]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(second.store.get().connection).toBe("ok");
  });

  it("follows a cleanup to its end", async () => {
    const { store } = open();
    store.start();
    await until(store, hasReports);
    const cleanup = await store.startCleanup();
    const seen = await until(store, (s) => s.cleanups?.find((c) => c.id === cleanup.id)?.status === "completed");
    expect(seen.cleanups?.[0]?.removed).toBe(2);
  });

  it("shows what was kept until it has looked, and never takes it for news", async () => {
    const kept = new Map<string, string>();
    const storage: KeptStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
    const first = open("protected", { storage });
    await first.store.refresh();
    const { seenAt } = first.store.get();
    expect(kept.size).toBe(1);
    const second = open("protected", { storage });
    second.api.offline = true;
    second.store.start();
    const seen = await until(second.store, (s) => s.connection === "offline");
    expect([seen.seenAt, seen.backups.length, seen.restores.length]).toEqual([seenAt, 20, 1]);
    second.api.offline = false;
    await second.store.refresh();
    expect(second.store.hasMore("all")).toBe(true);
    // What another version kept, or nobody can read, is nothing.
    for (const broken of ["{", "null", JSON.stringify({ version: 1, summary: {} })]) {
      kept.set([...kept.keys()][0]!, broken);
      const third = open("protected", { storage });
      third.store.start();
      expect((await until(third.store, (s) => s.connection === "ok")).summary).toBeDefined();
    }
    const refusing: KeptStorage = { getItem: () => Promise.reject(new Error("no")), setItem: () => Promise.reject(new Error("full")) };
    const fourth = open("protected", { storage: refusing });
    fourth.store.start();
    expect((await until(fourth.store, (s) => s.connection === "ok")).summary).toBeDefined();
  });
});
