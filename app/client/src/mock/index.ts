/**
 * An API that needs no network: a project with a past, in whichever state a screen must show. Backups that are asked for run and end;
 * everything goes through the real client, so that errors, retries and lost networks are what they are in life.
 *
 * Never used by the client itself.
 */

import { BackupService } from "../service.js";
import type { BackupStatus, CleanupPlan, CleanupStatus, RestorePlan, RestoreRequest, RestoreStatus } from "../types.js";
import type { MockState } from "./states.js";
import {
  DAY, HOUR, MINUTE, PEOPLE, along, begun, completed, failedOf, idOf, iso, restoreAlong, restoreDone, restoreOf, summaryOf, tablesOf, worldOf,
  type World,
} from "./world.js";

export { MOCK_STATES, isMockState, type MockState } from "./states.js";

export interface MockOptions {
  /** What is played; `protected` without. */
  state?: MockState;
  /** The instant at which it begins, in milliseconds since 1970; now, without. From there its clock runs on. */
  now?: number;
  /** Milliseconds that each answer takes. */
  latencyMs?: number;
  /** Milliseconds that a backup or a restore takes. */
  jobMs?: number;
}

type Reply = { status: number; body?: unknown; headers?: Record<string, string> };
interface Job {
  begunAt: number;
}

/** What a screen asks for when it opens. */
const SEEN_ONCE = 8;
/** States in which what runs stands still, so that it can be looked at. */
const STILL: readonly MockState[] = ["pending", "running", "stalled", "replicating", "not_replicated", "restoring", "approval", "unknown_status"];

/** The API of a project that is made up. Give its `fetch` to a {@link BackupService}. */
export class MockApi {
  readonly state: MockState;
  readonly world: World;
  /** As if there were no network. */
  offline = false;
  readonly #begun = Date.now();
  readonly #base: number;
  readonly #latencyMs: number;
  readonly #jobMs: number;
  readonly #jobs = new Map<string, Job>();
  readonly #answers = new Map<string, Reply>();
  #made = 0;
  #answered = 0;
  #cleanup: CleanupStatus | undefined;

  constructor(options: MockOptions = {}) {
    this.state = options.state ?? "protected";
    this.#base = options.now ?? this.#begun;
    this.#latencyMs = options.latencyMs ?? 120;
    this.#jobMs = options.jobMs ?? 9_000;
    this.world = worldOf(this.state, this.#base);
    this.offline = this.state === "offline_old";
  }

  /** The time by its clock. */
  now(): number {
    return this.#base + (Date.now() - this.#begun);
  }

  readonly fetch: typeof fetch = async (input, init = {}) => {
    if (this.state === "loading") return new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(new TypeError("aborted"))));
    await new Promise((resolve) => setTimeout(resolve, this.#latencyMs));
    if (this.offline) throw new TypeError("Network request failed");
    const [, path = "/", query = ""] = /^https?:\/\/[^/]+(\/[^?]*)\??(.*)$/.exec(String(input)) ?? [];
    const method = init.method ?? "GET";
    const body = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
    const key = (init.headers as Record<string, string> | undefined)?.["idempotency-key"];
    const known = key === undefined ? undefined : this.#answers.get(key);
    const reply = known ?? this.#answer(method, path, new Map(query.split("&").filter(Boolean).map((part) => [part.split("=")[0] ?? "", decodeURIComponent(part.split("=")[1] ?? "")])), body);
    if (key !== undefined && reply.status < 500) this.#answers.set(key, reply);
    // What a screen looks at was answered once: then the tunnel begins.
    this.#answered += 1;
    if (this.state === "offline" && this.#answered >= SEEN_ONCE) this.offline = true;
    const headers = { date: new Date(this.now()).toUTCString(), "x-request-id": `mock-${this.#answered}`, ...reply.headers };
    return new Response(reply.body === undefined ? null : JSON.stringify(reply.body), { status: reply.status, headers });
  };

  #answer(method: string, path: string, query: Map<string, string>, body: unknown): Reply {
    if (this.state === "unauthorized") return problem(401, "unauthorized", "the token is over; sign in again, or refresh it");
    if (this.state === "forbidden") return problem(403, "forbidden", "this takes the role `viewer` or `operator` or `admin` or `restorer`");
    if (this.state === "error") return problem(500, "internal", "something is wrong with this deployment");
    if (this.state === "rate_limited") return problem(429, "too_many_requests", "too many requests", { "retry-after": "90" });
    this.#live();
    const parts = path.split("/").slice(2);
    const [what, id, verb] = parts;
    const { world } = this;
    if (method === "POST") return this.#write(what ?? "", id, verb, body);
    switch (what) {
      case "summary":
        return ok(summaryOf(world, this.now()));
      case "history":
        return ok(this.#history(Number(query.get("days") ?? 30)));
      case "backups": {
        if (id === undefined) return ok(page("backups", world.backups.filter((b) => !query.has("status") || b.status === query.get("status")), query));
        const backup = world.backups.find((b) => b.id === id);
        if (!backup) return problem(404, "not_found", `there is no backup ${id}`);
        return verb === "tables" ? ok(tablesOf(backup)) : ok(backup, isOver(backup) ? {} : { "retry-after": "1" });
      }
      case "restores": {
        if (id === undefined) return ok(page("restores", world.restores, query));
        const restore = world.restores.find((r) => r.id === id);
        return restore ? ok(restore, isOver(restore) ? {} : { "retry-after": "1" }) : problem(404, "not_found", `there is no restore ${id}`);
      }
      case "drills": {
        const seen = summaryOf(world, this.now());
        return ok({ ...page("drills", world.drills, query), streak: seen.streak });
      }
      case "usage":
        return world.backups.length === 0 ? problem(404, "not_found", "nothing was counted yet") : ok(world.usage);
      case "audit":
        return world.you.administer ? ok(page("entries", world.audit, query)) : problem(403, "forbidden", "this takes the role `admin`");
      case "rotations":
        return ok({ rotations: [] });
      case "cleanups":
        return id !== undefined && this.#cleanup ? ok(this.#cleanup) : ok({ cleanups: this.#cleanup ? [this.#cleanup] : [] });
      default:
        return problem(404, "not_found", "there is nothing at this path");
    }
  }

  #write(what: string, id: string | undefined, verb: string | undefined, body: unknown): Reply {
    const { world } = this;
    const now = this.now();
    const refused = (role: string) => problem(403, "forbidden", `this takes the role \`${role}\``);
    if (what === "backups" && id === undefined) {
      if (!world.you.backUp) return refused("operator");
      const part = (body as { source?: string } | undefined)?.source;
      const made = begun(this.#next(), now, { status: "pending", ...(part === undefined || part === "all" ? {} : { part }) });
      world.backups.unshift(made);
      this.#jobs.set(made.id, { begunAt: now });
      return accepted(made);
    }
    if (what === "backups" && verb === "cancel") {
      const at = world.backups.findIndex((b) => b.id === id);
      const backup = world.backups[at];
      if (!backup || isOver(backup)) return problem(409, "conflict", "it is over already");
      this.#jobs.delete(backup.id);
      return ok((world.backups[at] = { ...failedOf(backup, "it was cancelled"), cancelled: { at: iso(now), by: world.you.id } }));
    }
    if (what === "backups" && verb === "pin") {
      const backup = world.backups.find((b) => b.id === id);
      if (!backup) return problem(404, "not_found", `there is no backup ${id}`);
      const { pinned, note } = body as { pinned: boolean; note?: string };
      if (pinned) backup.pin = { at: iso(now), ...(note === undefined ? {} : { note }) };
      else delete backup.pin;
      return ok(backup);
    }
    if (what === "restores" && id === undefined) return this.#restore(body as RestoreRequest, now);
    if (what === "restores") {
      const at = world.restores.findIndex((r) => r.id === id);
      const restore = world.restores[at];
      if (!restore) return problem(404, "not_found", `there is no restore ${id}`);
      if (isOver(restore)) return problem(409, "conflict", "it is over already");
      if (verb === "cancel") {
        this.#jobs.delete(restore.id);
        return ok((world.restores[at] = { ...restore, status: "failed", error: "it was cancelled", completedAt: iso(now), cancelled: { at: iso(now), by: world.you.id } }));
      }
      this.#jobs.set(restore.id, { begunAt: now });
      return accepted((world.restores[at] = { ...restore, approval: { until: restore.approval?.until ?? iso(now), at: iso(now), by: world.you.id } }));
    }
    if (what === "cleanup") return this.#clean((body as { dryRun?: boolean } | undefined)?.dryRun === true, now);
    return problem(404, "not_found", "there is nothing at this path");
  }

  #restore(wish: RestoreRequest, now: number): Reply {
    const { world } = this;
    const whole = world.backups.filter((b) => b.metadata && b.expiredAt === undefined);
    const at = wish.restorePoint === undefined ? now : Date.parse(wish.restorePoint);
    const backup = wish.backupId === "latest" ? whole.find((b) => Date.parse(b.metadata!.timestamp) <= at) : whole.find((b) => b.id === wish.backupId);
    if (!backup?.metadata) {
      return problem(404, "not_found", `no backup is so old; the oldest is of ${whole[whole.length - 1]?.metadata?.timestamp ?? "never"}`);
    }
    const into = wish.targetEnvironment;
    if (!world.you.restoreInto.includes(into)) return problem(403, "forbidden", `this takes the role \`${into === "production" ? "restorer" : "operator"}\``);
    const words = `${into}/${backup.id.slice(-8)}`;
    if (into === "production" && !wish.dryRun && !world.you.secondFactor) return problem(403, "forbidden", "to restore into production, sign in with a second factor (`aal2`), and try again");
    if (wish.dryRun) {
      const plan: RestorePlan = {
        backupId: backup.id,
        takenAt: backup.metadata.timestamp,
        targetEnvironment: into,
        region: "eu-west-1",
        masked: into !== "production",
        size: backup.metadata.size,
        rows: backup.rows ?? 0,
        bytes: backup.bytes ?? 0,
        ...(world.drills[0]?.recoveryMs === undefined ? {} : { expectedMs: world.drills[0].recoveryMs }),
        schemas: ["auth", "public", "storage"],
        replaces: wish.confirmation !== undefined,
        confirmation: words,
        safetyBackup: into === "production",
        notInBackup: tablesOf(backup).coverage.filter((part) => part.state !== "backed_up"),
        warnings: [],
      };
      return ok(plan);
    }
    if (wish.confirmation === undefined ? into === "production" : wish.confirmation !== words) {
      return problem(422, "invalid", "the confirmation is not the one that this needs; nothing was done");
    }
    const restore = restoreOf(this.#next(), backup, into, now, { status: "pending", requestedBy: world.you.id, replaces: wish.confirmation !== undefined });
    world.restores.unshift(restore);
    this.#jobs.set(restore.id, { begunAt: now });
    return accepted(restore);
  }

  #clean(dryRun: boolean, now: number): Reply {
    const { world } = this;
    if (!world.you.administer) return problem(403, "forbidden", "this takes the role `admin`");
    const policy = { days: 30, last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, keepAtLeast: 3 };
    const kept = world.backups.filter((b) => b.metadata && b.expiredAt === undefined);
    // The last two of them have had their days.
    const goes = (i: number) => kept.length > 5 && i >= kept.length - 2;
    const plan: CleanupPlan = {
      removed: kept.filter((_, i) => goes(i)).length,
      policy,
      plan: kept
        .map((b, i) => ({
          id: b.id,
          source: b.source ?? "",
          takenAt: b.metadata!.timestamp,
          daysEndAt: goes(i) ? iso(now - 2 * HOUR) : iso(Date.parse(b.metadata!.timestamp) + 30 * DAY),
          keptBy: goes(i) ? [] : b.pin ? (["pinned", "days"] as const).slice() : (["days"] as const).slice(),
        }))
        .reverse(),
    };
    if (dryRun) return ok(plan);
    kept.forEach((b, i) => {
      if (goes(i)) b.expiredAt = iso(now);
    });
    this.#cleanup = {
      id: idOf(6, this.#next()), status: "completed", outcome: "done", startedAt: iso(now), completedAt: iso(now), stalled: false,
      removed: plan.removed, policy, expired: [], vaults: [], requestedBy: world.you.id,
    };
    return accepted(this.#cleanup);
  }

  #history(days: number) {
    const { world } = this;
    const from = this.now() - days * DAY;
    const outcome = (b: BackupStatus) =>
      b.status === "failed" ? (b.cancelled ? "cancelled" : "failed") : b.status !== "completed" ? "running" : b.drilled?.passed === false ? "warning" : "good";
    const runs = world.backups.map((b) => ({ id: b.id, at: b.startedAt, outcome: outcome(b) })).filter((run) => Date.parse(run.at) >= from);
    return { from: iso(from), at: iso(this.now()), runs, missed: world.missed.filter((at) => Date.parse(at) >= from) };
  }

  /** Brings what runs as far as it is by now. */
  #live(): void {
    const now = this.now();
    const { world } = this;
    if (STILL.includes(this.state)) {
      // Heard of a moment ago, however long it is looked at.
      const still = (job: { status: string; stalled?: boolean; heartbeatAt?: string }) => {
        if (job.status === "in_progress" && !job.stalled) job.heartbeatAt = iso(now);
      };
      world.backups.slice(0, 1).forEach(still);
      world.restores.slice(0, 1).forEach(still);
    }
    for (const [id, job] of this.#jobs) {
      const percent = Math.min(100, ((now - job.begunAt) / this.#jobMs) * 100);
      const b = world.backups.findIndex((backup) => backup.id === id);
      const r = world.restores.findIndex((restore) => restore.id === id);
      if (percent >= 100) this.#jobs.delete(id);
      const backup = world.backups[b];
      if (backup) {
        const made = completed(Number.parseInt(id.slice(-8), 16), now, { trigger: "manual", requestedBy: world.you.id, startedAt: backup.startedAt });
        if (percent >= 100) delete made.verified;
        world.backups[b] = percent >= 100 ? { ...made, ...(backup.part === undefined ? {} : { part: backup.part }) } : along(backup, percent, now);
      }
      const restore = world.restores[r];
      if (restore) world.restores[r] = percent >= 100 ? restoreDone(restore, now) : restoreAlong(restore, percent, now);
    }
  }

  #next(): number {
    this.#made += 1;
    return 5_000 + this.#made;
  }
}

/** A service whose API is made up. */
export function createMockBackupService(options: MockOptions = {}): BackupService {
  return serviceOf(new MockApi(options));
}

/** A service of an API that is made up, for whoever wants to turn its network off. */
export function serviceOf(api: MockApi): BackupService {
  return new BackupService({ baseUrl: "https://backup.example.org", token: "mock", fetch: api.fetch, timeoutMs: 60_000, tries: 2 });
}

export { DAY, HOUR, MINUTE, PEOPLE, summaryOf, worldOf, type World };

function isOver(job: BackupStatus | RestoreStatus): boolean {
  return job.status === "completed" || job.status === "failed";
}

function ok(body: unknown, headers: Record<string, string> = {}): Reply {
  return { status: 200, body, headers };
}

function accepted(body: unknown): Reply {
  return { status: 202, body };
}

function problem(status: number, code: string, detail: string, headers: Record<string, string> = {}): Reply {
  return { status, body: { type: "about:blank", title: String(status), status, code, detail, requestId: `mock-${code}` }, headers };
}

function page(name: string, all: readonly { id: string }[], query: Map<string, string>) {
  const limit = Number(query.get("limit") ?? 20);
  const after = query.get("cursor");
  const from = after === undefined ? 0 : all.findIndex((record) => record.id === after) + 1;
  const records = all.slice(from, from + limit);
  const last = records[records.length - 1];
  return { [name]: records, ...(last && from + limit < all.length ? { nextCursor: last.id } : {}) };
}
