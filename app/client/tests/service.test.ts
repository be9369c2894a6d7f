import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BackupAbortedError, BackupApiError, BackupOfflineError, BackupService, type BackupStatus } from "../src/index.js";
import { Server } from "./server.js";

const ID = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";

function status(over: Partial<BackupStatus> = {}): BackupStatus {
  return { id: ID, status: "pending", startedAt: "2026-11-22T03:00:00.000Z", progress: 0, ...over };
}

const metadata = (id: string) => ({
  id, timestamp: "2026-11-22T03:00:00.000Z", source: "database", size: 1, checksum: "0".repeat(64), encrypted: true,
  compression: "zstd", region: "eu-west-1", bucket: "b", path: "p",
});

function service(server: Server, over: Partial<ConstructorParameters<typeof BackupService>[0]> = {}): BackupService {
  return new BackupService({ baseUrl: "https://api.example.org/", token: "t", fetch: server.fetch, ...over });
}

/** Lets timers run until what is waited for is there. */
async function run<T>(work: Promise<T>): Promise<T> {
  let done = false;
  const settled = work.finally(() => (done = true));
  settled.catch(() => {});
  for (let n = 0; n < 2_000 && !done; n += 1) await vi.advanceTimersByTimeAsync(500);
  return settled;
}

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-11-22T03:00:00Z") });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("requests", () => {
  it("asks for a backup with a token and a key, and remembers what was answered", async () => {
    const server = new Server({ status: 202, body: status() });
    const backups = service(server);
    expect(backups.getBackupStatus(ID)).toBeUndefined();
    expect(await backups.createManualBackup("orders")).toEqual(status());
    const [call] = server.calls;
    expect(call).toMatchObject({ method: "POST", path: "/v1/backups", body: { source: "orders" } });
    expect(call?.headers).toMatchObject({ authorization: "Bearer t", "content-type": "application/json" });
    expect(call?.headers["idempotency-key"]).toMatch(/^[!-~]{20,255}$/);
    expect(backups.getBackupStatus(ID)).toEqual(status());
  });

  it("sends a request whose answer was lost again with the same key, and another with another", async () => {
    const server = new Server("offline", { status: 503, body: {} }, { status: 502, body: "<html>" }, { status: 202, body: status() });
    const backups = service(server);
    await run(backups.startAutomaticBackup());
    await run(backups.startAutomaticBackup());
    const keys = server.calls.map((call) => call.headers["idempotency-key"]);
    expect(keys).toHaveLength(5);
    expect(new Set(keys.slice(0, 4)).size).toBe(1);
    expect(keys[4]).not.toBe(keys[0]);
    expect(server.calls[0]?.body).toBeUndefined();
  });

  it("gives up after so many tries, and says that nobody answers", async () => {
    const server = new Server("offline");
    await expect(run(service(server, { tries: 3 }).summary())).rejects.toBeInstanceOf(BackupOfflineError);
    expect(server.calls).toHaveLength(3);
  });

  it("gives up a try that takes too long", async () => {
    const server = new Server("silent", { body: {} });
    await run(service(server, { timeoutMs: 1_000 }).summary());
    expect(server.calls).toHaveLength(2);
  });

  it("does not send again what was refused, and says why", async () => {
    const problem = { type: "about:blank", title: "Conflict", status: 409, code: "conflict", detail: "it is settled already", requestId: "r" };
    const server = new Server({ status: 409, body: problem });
    const refused = await service(server).cancelBackup(ID).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BackupApiError);
    expect(refused).toMatchObject({ status: 409, code: "conflict", message: "it is settled already", requestId: "r" });
    expect(server.calls).toHaveLength(1);
  });

  it("waits as long as it is told, by the clock of the API where that is a date", async () => {
    const at = (seconds: number) => new Date(Date.parse("2026-11-23T00:00:00Z") + seconds * 1_000).toUTCString();
    for (const headers of [{ "retry-after": "7" }, { "retry-after": at(7), date: at(0) }]) {
      const server = new Server({ status: 429, body: {}, headers }, { body: {} });
      const begun = Date.now();
      const asked = service(server).summary();
      await vi.advanceTimersByTimeAsync(5_000);
      expect(server.calls).toHaveLength(1);
      await run(asked);
      expect(server.calls).toHaveLength(2);
      expect(Date.now() - begun).toBeLessThan(9_000);
    }
    // Nobody waits an hour.
    const server = new Server({ status: 429, body: {}, headers: { "retry-after": "3600" } });
    await expect(run(service(server).summary())).rejects.toMatchObject({ status: 429, retryAfterS: 3_600 });
    expect(server.calls).toHaveLength(1);
  });

  it("renews a token that is not believed, once", async () => {
    const token = vi.fn(({ renew }: { renew: boolean }) => Promise.resolve(renew ? "new" : "old"));
    const server = new Server((call) => (call.headers.authorization === "Bearer new" ? { body: {} } : { status: 401, body: {} }));
    await service(server, { token }).summary();
    expect(token.mock.calls.map(([options]) => options.renew)).toEqual([false, true]);
    const never = new Server({ status: 401, body: {} });
    await expect(service(never, { token }).summary()).rejects.toMatchObject({ status: 401 });
    expect(never.calls).toHaveLength(2);
    await expect(service(never).summary()).rejects.toMatchObject({ status: 401 });
    expect(never.calls).toHaveLength(3);
  });

  it("takes the page of a hotel's Wi-Fi for no answer", async () => {
    const server = new Server({ body: "<html>welcome</html>" });
    await expect(run(service(server, { tries: 2 }).summary())).rejects.toMatchObject({ code: "not_json" });
  });

  it("knows the time of the API when the phone's clock is wrong", async () => {
    const server = new Server({ body: {}, headers: { date: "Sun, 22 Nov 2026 05:00:00 GMT" } });
    const backups = service(server);
    await backups.summary();
    expect(backups.now()).toBe(Date.parse("2026-11-22T05:00:00.500Z"));
  });

  it("stops when whoever asked does not want to wait any more", async () => {
    const stop = new AbortController();
    const asked = service(new Server("silent")).summary({ signal: stop.signal });
    stop.abort();
    await expect(asked).rejects.toBeInstanceOf(BackupAbortedError);
    await expect(service(new Server("silent")).summary({ signal: stop.signal })).rejects.toBeInstanceOf(BackupAbortedError);
  });

  it("takes what is asked for again after it was given up for the same request", async () => {
    const server = new Server("offline");
    const backups = service(server, { tries: 2 });
    for (let n = 0; n < 2; n += 1) await run(backups.createManualBackup("all").catch(() => undefined));
    await run(backups.createManualBackup("orders").catch(() => undefined));
    const keys = server.calls.map((call) => call.headers["idempotency-key"]);
    expect(new Set(keys.slice(0, 4)).size).toBe(1);
    expect(keys[4]).not.toBe(keys[0]);
    // Once it is known what came of it, the next is another.
    const answered = new Server({ status: 500, body: { message: "Internal Server Error" } }, { status: 409, body: { code: "conflict" } }, { status: 202, body: status() });
    const again = service(answered);
    await run(again.createManualBackup("all").catch(() => undefined));
    await run(again.createManualBackup("all"));
    const [first, second, third] = answered.calls.map((call) => call.headers["idempotency-key"]);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  it("takes a session that cannot be refreshed for no network", async () => {
    const token = vi.fn(() => Promise.reject(new Error("AuthRetryableFetchError")));
    await expect(run(service(new Server({ body: {} }), { token, tries: 2 }).summary())).rejects.toBeInstanceOf(BackupOfflineError);
    expect(token).toHaveBeenCalledTimes(2);
    const silent = () => new Promise<string>(() => {});
    const server = new Server({ body: {} });
    await expect(run(service(server, { token: silent, tries: 1, timeoutMs: 1_000 }).summary())).rejects.toBeInstanceOf(BackupOfflineError);
    expect(server.calls).toHaveLength(0);
  });

  it("does nothing where only a plan is asked for", async () => {
    const server = new Server({ body: {} });
    await expect(service(server).restoreBackup({ backupId: "latest", targetEnvironment: "production", dryRun: true })).rejects.toThrow("planRestore");
    expect(server.calls).toHaveLength(0);
  });

  it("works without crypto", async () => {
    vi.stubGlobal("crypto", undefined);
    const server = new Server({ status: 202, body: status() });
    await service(server).startAutomaticBackup();
    await service(server).startAutomaticBackup();
    vi.unstubAllGlobals();
    const [one, other] = server.calls.map((call) => call.headers["idempotency-key"]);
    expect(one).toMatch(/^[!-~]{20,255}$/);
    expect(one).not.toBe(other);
  });
});

describe("following", () => {
  it("gives each change and asks as often as it is told", async () => {
    const server = new Server(
      { body: status({ status: "in_progress", progress: 10 }), headers: { etag: '"a"', "retry-after": "1" } },
      { status: 304, headers: { etag: '"a"', "retry-after": "5" } },
      { body: status({ status: "completed", progress: 100 }), headers: { etag: '"b"' } },
    );
    const backups = service(server);
    const seen: number[] = [];
    const begun = Date.now();
    await run((async () => {
      for await (const change of backups.watch(ID)) seen.push(change.progress);
    })());
    expect(seen).toEqual([10, 100]);
    expect(server.calls.map((call) => call.headers["if-none-match"])).toEqual([undefined, '"a"', '"a"']);
    expect(Date.now() - begun).toBeGreaterThanOrEqual(6_000);
    expect(backups.getBackupStatus(ID)?.status).toBe("completed");
  });

  it("goes on when the network comes back, and says that it was gone", async () => {
    const server = new Server({ body: status() }, "offline", "offline", { status: 503, body: {} }, { body: status({ status: "failed", error: "why" }) });
    const offline: boolean[] = [];
    const seen: string[] = [];
    await run((async () => {
      for await (const change of service(server).watch(ID, { onOffline: (is) => offline.push(is) })) seen.push(change.status);
    })());
    expect(seen).toEqual(["pending", "failed"]);
    expect(offline).toEqual([true, false]);
  });

  it("asks neither without end nor never, whatever it is told", async () => {
    for (const told of ["0", "86400"]) {
      const server = new Server({ body: status(), headers: { "retry-after": told } }, { status: 503, body: {}, headers: { "retry-after": told } }, { body: status({ status: "completed" }) });
      const begun = Date.now();
      await run((async () => {
        for await (const _ of service(server).watch(ID));
      })());
      expect(server.calls).toHaveLength(3);
      expect(Date.now() - begun).toBeGreaterThanOrEqual(2_000);
      expect(Date.now() - begun).toBeLessThan(130_000);
    }
  });

  it("stops asking when whoever follows has seen enough", async () => {
    const server = new Server({ body: status(), headers: { "retry-after": "1" } });
    const changes = service(server).watch(ID);
    await changes.next();
    const waiting = changes.next();
    await changes.return?.();
    expect(await run(waiting)).toEqual({ done: true, value: undefined });
    expect(server.calls).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends when it is refused, and when it is given up", async () => {
    const server = new Server({ status: 404, body: { code: "not_found" } });
    const changes = service(server).watch(ID);
    await expect(changes.next()).rejects.toMatchObject({ code: "not_found" });
    expect(await changes.next()).toEqual({ done: true, value: undefined });

    const stop = new AbortController();
    const endless = service(new Server({ body: status() })).watch(ID, { signal: stop.signal });
    await endless.next();
    const waiting = endless.next();
    stop.abort();
    await expect(waiting).rejects.toBeInstanceOf(BackupAbortedError);
  });
});

describe("what the specification has", () => {
  it("lists what can be restored, page by page", async () => {
    const page = (ids: number[], nextCursor?: string) => ({
      body: { backups: ids.map((n) => status({ id: String(n), status: "completed", metadata: metadata(String(n)) })), ...(nextCursor ? { nextCursor } : {}) },
    });
    const gone = { body: { backups: [status({ status: "completed", metadata: metadata("x"), expiredAt: "2026-11-22T03:00:00.000Z" })], nextCursor: "b" } };
    const server = new Server(page([5, 4], "a"), gone, page([3, 2, 1]));
    const found = await service(server).listBackups(4);
    expect(found.map((backup) => backup.id)).toEqual(["5", "4", "3", "2"]);
    expect(server.calls.map((call) => call.path)).toEqual([
      "/v1/backups?limit=4&status=completed",
      "/v1/backups?limit=2&cursor=a&status=completed",
      "/v1/backups?limit=2&cursor=b&status=completed",
    ]);
  });

  it("restores, and comes back when that is over", async () => {
    for (const [end, expected] of [["completed", true], ["failed", false]] as const) {
      const server = new Server({ status: 202, body: { id: "r", status: "pending" } }, { body: { id: "r", status: "in_progress" } }, { body: { id: "r", status: end } });
      const restored = service(server).restoreBackup({ backupId: "latest", targetEnvironment: "staging" });
      expect(await run(restored)).toBe(expected);
      expect(server.calls[0]?.body).toEqual({ backupId: "latest", targetEnvironment: "staging", dryRun: false });
      expect(server.calls[1]?.path).toBe("/v1/restores/r");
    }
  });

  it("cleans up, and says how many backups that were", async () => {
    const answers = (end: object) => new Server({ status: 202, body: { id: "c", status: "pending", removed: 0 } }, { body: { id: "c", removed: 3, ...end } });
    expect(await run(service(answers({ status: "completed" })).cleanupOldBackups())).toBe(3);
    await expect(run(service(answers({ status: "failed", error: "why" })).cleanupOldBackups())).rejects.toThrow("why");
  });
});
