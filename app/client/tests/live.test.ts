/**
 * Against the real API, through API Gateway on the local AWS, with the real functions behind it. Whoever runs it says where that is:
 * `BACKUP_API_URL`, `BACKUP_API_HOST` (the name that the gateway goes by) and a token for each role, as `infra/local/check-api` does.
 */

import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { BackupApiError, BackupService, type BackupStatus } from "../src/index.js";

function variable(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} must be set; run infra/local/check-api`);
  return value;
}

const url = variable("BACKUP_API_URL");
const host = variable("BACKUP_API_HOST");

/** By address and name: not every machine knows the names below `localhost`, and `fetch` takes no `Host`. */
const byName: typeof fetch = (input, init = {}) =>
  new Promise((resolve, reject) => {
    const options = { method: init.method ?? "GET", headers: { ...(init.headers as Record<string, string>), host }, signal: init.signal ?? undefined };
    const sent = request(String(input), options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        const status = answer.statusCode ?? 0;
        const headers = Object.entries(answer.headers).map(([name, value]) => [name, String(value)] as [string, string]);
        const body = Buffer.concat(chunks);
        resolve(new Response(status === 304 || body.length === 0 ? null : body, { status, headers }));
      });
    });
    sent.on("error", reject);
    sent.end(init.body);
  });

function as(role: "VIEWER" | "OPERATOR" | "ADMIN", through: typeof fetch = byName): BackupService {
  return new BackupService({ baseUrl: url, token: variable(`BACKUP_TOKEN_${role}`), fetch: through });
}

/** Loses the answer of each request that changes something, the first time. */
function lossy(): { fetch: typeof fetch; lost: () => number } {
  let lost = 0;
  const known = new Set<string>();
  const through: typeof fetch = async (input, init) => {
    const answer = await byName(input, init);
    const key = (init?.headers as Record<string, string>)["idempotency-key"];
    if (key !== undefined && !known.has(key)) {
      known.add(key);
      lost += 1;
      throw new TypeError("Network request failed");
    }
    return answer;
  };
  return { fetch: through, lost: () => lost };
}

async function follow(backups: BackupService, id: string): Promise<BackupStatus[]> {
  const seen: BackupStatus[] = [];
  for await (const status of backups.watch(id)) seen.push(status);
  return seen;
}

describe("the client and the API", () => {
  it("makes one backup although answers are lost, and follows it to its end", async () => {
    const network = lossy();
    const backups = as("OPERATOR", network.fetch);
    const before = (await backups.backups({ limit: 100 })).backups.length;
    const asked = await backups.createManualBackup("all");
    expect(asked.status).toBe("pending");
    expect(network.lost()).toBe(1);
    const seen = await follow(backups, asked.id);
    const end = seen[seen.length - 1];
    expect(end).toMatchObject({ id: asked.id, status: "completed", progress: 100, stalled: false, requestedBy: "check" });
    expect(end?.replicas?.map((replica) => replica.state)).toEqual(["complete", "complete", "complete"]);
    const percents = seen.map((status) => status.progress);
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
    expect((await backups.backups({ limit: 100 })).backups.length).toBe(before + 1);
    expect(backups.getBackupStatus(asked.id)).toEqual(end);
    expect((await backups.listBackups(1))[0]).toEqual(end?.metadata);
    const inside = await backups.tables(asked.id);
    expect(inside.tables.reduce((sum, table) => sum + table.rows, 0)).toBe(end?.rows);
  });

  it("says what a restore would do, and does it", async () => {
    const backups = as("OPERATOR");
    const request = { backupId: "latest", targetEnvironment: "staging" } as const;
    const plan = await backups.planRestore(request);
    expect(plan).toMatchObject({ targetEnvironment: "staging", masked: true, safetyBackup: false, replaces: false });
    expect(await backups.restoreBackup(request)).toBe(true);
    const [restore] = (await backups.restores({ limit: 1 })).restores;
    expect(restore).toMatchObject({ backupId: plan.backupId, status: "completed", progress: 100, phase: "done" });
    expect(restore?.restored?.rows).toBeGreaterThan(0);
    // What is there now is in use: without the words it is refused. With them this one is refused too, for the role is a superuser.
    expect(await backups.restoreBackup(request)).toBe(false);
    const failed = (await backups.restores({ limit: 1 })).restores[0];
    expect(failed?.error).toContain("not empty");
    expect(await backups.restoreBackup({ ...request, confirmation: plan.confirmation })).toBe(false);
    const refused = (await backups.restores({ limit: 1 })).restores[0];
    expect(refused).toMatchObject({ replaces: true, status: "failed" });
    expect(refused?.error).toContain("is a superuser");
  });

  it("cleans up by the policy, and keeps what is pinned", async () => {
    const backups = as("ADMIN");
    const plan = await backups.planCleanup();
    expect(plan.plan.every((decision) => decision.keptBy.length > 0)).toBe(true);
    expect(await backups.cleanupOldBackups()).toBe(0);
    const { backups: newest } = await backups.backups({ limit: 1, status: "completed" });
    const pinned = await backups.pinBackup(newest[0]?.id ?? "", true, "kept by a test");
    expect(pinned.pin?.note).toBe("kept by a test");
    expect((await backups.pinBackup(pinned.id, false)).pin).toBeUndefined();
    const { entries } = await backups.audit({ limit: 4 });
    expect(entries.map((entry) => entry.action)).toEqual(["backup.unpin", "backup.unpin", "backup.pin", "backup.pin"]);
  });

  it("tells whether all is well, page by page", async () => {
    const backups = as("VIEWER");
    const summary = await backups.summary();
    expect(["protected", "at_risk"]).toContain(summary.verdict);
    expect(summary.regions).toHaveLength(3);
    expect(Math.abs(backups.now() - Date.parse(summary.at))).toBeLessThan(5_000);
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await backups.backups({ limit: 1, ...(cursor === undefined ? {} : { cursor }) });
      ids.push(...page.backups.map((backup) => backup.id));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(ids).toEqual([...new Set(ids)].sort().reverse());
    expect((await backups.drills()).streak).toBeDefined();
  });

  it("is refused what its role is not for, and a backup that is over cannot be stopped", async () => {
    const viewer = as("VIEWER");
    await expect(viewer.startAutomaticBackup()).rejects.toMatchObject({ status: 403, code: "forbidden" });
    await expect(viewer.policy()).rejects.toBeInstanceOf(BackupApiError);
    const [newest] = (await viewer.backups({ limit: 1, status: "completed" })).backups;
    await expect(as("OPERATOR").cancelBackup(newest?.id ?? "")).rejects.toMatchObject({ status: 409, code: "conflict" });
    await expect(as("OPERATOR").startRestore({ backupId: "latest", targetEnvironment: "production" })).rejects.toMatchObject({ status: 403 });
    const stranger = new BackupService({ baseUrl: url, token: "nobody", fetch: byName });
    await expect(stranger.summary()).rejects.toMatchObject({ status: 401, code: "unauthorized" });
  });
});
