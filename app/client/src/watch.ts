/** Follows what is under way, until it is done. */

import { BackupApiError, BackupOfflineError } from "./errors.js";
import { fullJitter, sleep, type Answer, type RequestOptions } from "./transport.js";

export interface WatchOptions {
  /** Ends it. */
  signal?: AbortSignal;
  /** Called when nobody answers, and when somebody does again: what was seen last may be old meanwhile. */
  onOffline?: (offline: boolean) => void;
}

/** What can be followed. */
export interface Followed {
  status: "pending" | "in_progress" | "completed" | "failed";
}

/** Without a word of the API, ask again after so many seconds. */
const PAUSE_S = 2;
/** Whatever it is told, it asks no more often and no less often than this. */
const bounded = (seconds: number) => Math.min(60, Math.max(1, seconds));
/** While nobody answers, a try takes no longer than that. */
const OFFLINE_TRIES = 1;

/**
 * Gives each change of what is followed, the last of which is `completed` or `failed`. It asks as often as the API says, and is told
 * only what changed. While there is no network it goes on trying; it ends by an error only when it is refused, or given up.
 */
export function watch<T extends Followed>(
  look: (options: RequestOptions) => Promise<Answer<T>>,
  options: WatchOptions = {},
): AsyncIterableIterator<T> {
  const { onOffline } = options;
  // Ended by whoever gave the signal, or by whoever follows.
  const own = new AbortController();
  const stop = () => own.abort();
  if (options.signal?.aborted) stop();
  options.signal?.addEventListener("abort", stop, { once: true });
  const signal = own.signal;
  const end = () => {
    done = true;
    options.signal?.removeEventListener("abort", stop);
  };
  let etag: string | undefined;
  let pauseMs = 0;
  let failures = 0;
  let offline = false;
  let done = false;
  const setOffline = (is: boolean) => {
    if (is !== offline) onOffline?.(is);
    offline = is;
  };

  const next = async (): Promise<IteratorResult<T>> => {
    while (!done) {
      try {
        if (pauseMs > 0) await sleep(pauseMs, signal);
        const request: RequestOptions = { tries: OFFLINE_TRIES, signal };
        if (etag !== undefined) request.etag = etag;
        const { body, etag: tag, retryAfterS } = await look(request);
        setOffline(false);
        failures = 0;
        etag = tag;
        pauseMs = bounded(retryAfterS ?? PAUSE_S) * 1_000;
        if (body !== undefined) {
          if (body.status === "completed" || body.status === "failed") end();
          return { done: false, value: body };
        }
      } catch (error) {
        const passes = error instanceof BackupOfflineError || (error instanceof BackupApiError && (error.status >= 500 || error.status === 429));
        if (!passes) {
          const isOver = done;
          end();
          // Whoever follows has ended it.
          if (isOver) break;
          throw error;
        }
        failures += 1;
        // One that answers badly is there.
        setOffline(error instanceof BackupOfflineError);
        const told = error instanceof BackupApiError ? error.retryAfterS : undefined;
        pauseMs = (told === undefined ? 0 : bounded(told) * 1_000) + fullJitter(failures + 1);
      }
    }
    return { done: true, value: undefined };
  };
  // By hand, for engines that know no asynchronous generators.
  return {
    next,
    return: () => {
      end();
      stop();
      return Promise.resolve({ done: true as const, value: undefined });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** The last that was seen of what was followed to its end. */
export async function last<T>(changes: AsyncIterableIterator<T>): Promise<T | undefined> {
  let seen: T | undefined;
  for (let step = await changes.next(); !step.done; step = await changes.next()) seen = step.value;
  return seen;
}
