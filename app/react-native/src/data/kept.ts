/** What was seen last, kept while the app is closed: of each project by itself, in a form that only this file knows. */

import type { Seen } from "./seen";

/** Where what was seen last is kept while the app is closed; such as AsyncStorage, or the browser's. */
export interface KeptStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): unknown;
}

type Kept = Pick<Seen, "summary" | "seenAt" | "backups" | "restores">;

const KEY = "gasrapido.backup.seen";
const VERSION = 2;
/** Of each list so many of the newest. */
const KEPT = 20;

const keyOf = (project: string) => `${KEY} ${project}`;

/** Keeps what is seen of a project. A storage that is full, or fails, keeps nothing: the next look shows it all again. */
export function keep(storage: KeptStorage | undefined, project: string, { summary, seenAt, backups, restores }: Kept): void {
  const kept = { version: VERSION, summary, seenAt, backups: backups.slice(0, KEPT), restores: restores.slice(0, KEPT) };
  try {
    void Promise.resolve(storage?.setItem(keyOf(project), JSON.stringify(kept))).catch(() => undefined);
  } catch {
    // As above.
  }
}

/** What was kept of a project; nothing where that was by another version, or cannot be read. */
export async function remember(storage: KeptStorage | undefined, project: string): Promise<Kept | undefined> {
  try {
    const text = await storage?.getItem(keyOf(project));
    if (!text) return undefined;
    const { version, ...kept } = JSON.parse(text) as Kept & { version: number };
    return version === VERSION && kept.summary ? kept : undefined;
  } catch {
    return undefined;
  }
}
