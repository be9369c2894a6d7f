/**
 * Requests over a bad network: tried again where that is safe, never done twice, never longer than they may take.
 *
 * Uses `fetch` and timers, and nothing else: no `URL`, no streams, no `crypto.randomUUID`, which not every engine has.
 */

import { BackupAbortedError, BackupApiError, BackupOfflineError } from "./errors.js";
import type { Problem } from "./types.js";

export interface TransportOptions {
  /** Where the API is: the output `ApiUrl` of the deployment. */
  baseUrl: string;
  /**
   * The access token of who asks, or what gives it. It is asked again, with `renew`, when the API does not believe the token: so give
   * what refreshes the session then.
   */
  token: string | ((options: { renew: boolean }) => string | Promise<string>);
  /** Instead of the engine's own. */
  fetch?: typeof fetch;
  /** Milliseconds that one try may take; 15,000 unless it says otherwise. */
  timeoutMs?: number;
  /** Tries of one request, the first one included; 5 unless it says otherwise. */
  tries?: number;
}

export interface RequestOptions {
  signal?: AbortSignal;
  /** The entity tag of what is known: where that has not changed, nothing is sent. */
  etag?: string;
  /** How often at most; those of the transport without. */
  tries?: number;
}

export interface Answer<T> {
  /** Nothing when what is known has not changed. */
  body: T | undefined;
  etag: string | undefined;
  location: string | undefined;
  /** Seconds after which to ask again, where the API says so. */
  retryAfterS: number | undefined;
}

const TIMEOUT_MS = 15_000;
const TRIES = 5;
const PAUSE_FIRST_MS = 400;
const PAUSE_MAX_MS = 10_000;
/** Longer than any `Retry-After` that a person waits for. */
const RETRY_AFTER_MAX_S = 60;
/** Statuses after which the same request may succeed. */
const PASSING = [408, 425, 429, 502, 503, 504];
/** Statuses that say nothing of whether it was done. */
const isUnsure = (status: number) => status >= 500 || [401, 408, 425, 429].includes(status);

export class Transport {
  readonly #options: TransportOptions;
  /** Keys of requests of which it is not known whether they were done: asked for once more, they are the same requests. */
  readonly #unsure = new Map<string, string>();
  #skewMs = 0;

  constructor(options: TransportOptions) {
    this.#options = { ...options, baseUrl: options.baseUrl.replace(/\/+$/, "") };
  }

  /** The time by the clock of the API, as well as it is known: a phone's own may be hours off. */
  now(): number {
    return Date.now() + this.#skewMs;
  }

  get<T>(path: string, options: RequestOptions = {}): Promise<Answer<T>> {
    return this.#send<T>("GET", path, undefined, options);
  }

  /**
   * Asks for something. Tried again with the same key, it is done once; and so it is when somebody asks again for the same after
   * it was given up without an answer.
   */
  async post<T>(path: string, body: unknown, options: RequestOptions = {}): Promise<Answer<T>> {
    const request = `${path} ${JSON.stringify(body ?? null)}`;
    const key = this.#unsure.get(request) ?? newKey();
    this.#unsure.set(request, key);
    try {
      const answer = await this.#send<T>("POST", path, body, options, key);
      this.#unsure.delete(request);
      return answer;
    } catch (error) {
      if (error instanceof BackupApiError && !isUnsure(error.status)) this.#unsure.delete(request);
      throw error;
    }
  }

  async #send<T>(method: string, path: string, body: unknown, options: RequestOptions, key?: string): Promise<Answer<T>> {
    const tries = options.tries ?? this.#options.tries ?? TRIES;
    let renewed = false;
    let renew = false;
    for (let n = 1; ; n += 1) {
      throwIfAborted(options.signal);
      let pauseMs = fullJitter(n);
      try {
        return await this.#try<T>(method, path, body, options, key, renew);
      } catch (error) {
        if (error instanceof BackupApiError && error.status === 401 && !renewed && typeof this.#options.token === "function") {
          [renewed, renew, n] = [true, true, n - 1];
          continue;
        }
        renew = false;
        const passes = error instanceof BackupOfflineError || (error instanceof BackupApiError && mayPass(error));
        if (!passes || n >= tries) throw error;
        if (error instanceof BackupApiError && error.retryAfterS !== undefined) {
          if (error.retryAfterS > RETRY_AFTER_MAX_S) throw error;
          // All who were told the same come back at different times.
          pauseMs = error.retryAfterS * 1_000 + pauseMs;
        }
      }
      await sleep(pauseMs, options.signal);
    }
  }

  async #try<T>(
    method: string,
    path: string,
    body: unknown,
    options: RequestOptions,
    key: string | undefined,
    renew: boolean,
  ): Promise<Answer<T>> {
    const { token, baseUrl } = this.#options;
    const headers: Record<string, string> = { accept: "application/json" };
    if (key !== undefined) headers["idempotency-key"] = key;
    if (body !== undefined) headers["content-type"] = "application/json";
    if (options.etag !== undefined) headers["if-none-match"] = options.etag;

    const own = new AbortController();
    const stop = () => own.abort();
    options.signal?.addEventListener("abort", stop);
    if (options.signal?.aborted) stop();
    const timer = setTimeout(stop, this.#options.timeoutMs ?? TIMEOUT_MS);
    try {
      // Without a network a session cannot be refreshed either: that is no answer, like any other.
      const bearer = typeof token === "string" ? token : await orAborted(token({ renew }), own.signal);
      headers["authorization"] = `Bearer ${bearer}`;
      const begun = Date.now();
      const init: RequestInit = { method, headers, signal: own.signal };
      if (body !== undefined) init.body = JSON.stringify(body);
      const call = this.#options.fetch ?? fetch;
      const response = await call(baseUrl + path, init);
      const text = response.status === 304 ? "" : await response.text();
      this.#noteTime(response.headers.get("date"), begun);
      return this.#read<T>(response, text);
    } catch (error) {
      if (error instanceof BackupApiError) throw error;
      throwIfAborted(options.signal);
      const why = own.signal.aborted ? "the API did not answer in time" : "the API cannot be reached";
      throw new BackupOfflineError(why, { cause: error });
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", stop);
    }
  }

  #read<T>(response: Response, text: string): Answer<T> {
    const header = (name: string) => response.headers.get(name) ?? undefined;
    const retryAfterS = this.#seconds(header("retry-after"));
    const meta = { etag: header("etag"), location: header("location"), retryAfterS };
    if (response.status === 304) return { body: undefined, ...meta };
    let body: unknown;
    try {
      body = text === "" ? undefined : JSON.parse(text);
    } catch {
      // Whatever stands between, such as the Wi-Fi of a hotel, answers with a page of its own.
      if (response.ok) throw new BackupApiError(502, { code: "not_json", detail: "something else than the API answered" }, undefined, undefined);
    }
    if (!response.ok) {
      const problem = typeof body === "object" && body !== null ? (body as Partial<Problem>) : {};
      throw new BackupApiError(response.status, problem, header("x-request-id"), retryAfterS);
    }
    return { body: body as T, ...meta };
  }

  /** Of a `Retry-After`, in seconds or as a date by the clock of the API. */
  #seconds(value: string | undefined): number | undefined {
    if (value === undefined) return undefined;
    const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - this.now()) / 1_000;
    return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
  }

  #noteTime(date: string | null, begun: number): void {
    const theirs = date === null ? Number.NaN : Date.parse(date);
    if (Number.isFinite(theirs)) {
      // It was written somewhere between; the header has whole seconds.
      const skew = theirs + 500 - (begun + Date.now()) / 2;
      this.#skewMs = Math.abs(skew) < 2_000 ? 0 : skew;
    }
  }
}

/** Whether the same request may succeed a little later. One that crashed has no code, and its key makes it safe to send again. */
function mayPass(error: BackupApiError): boolean {
  return PASSING.includes(error.status) || (error.status === 500 && error.code === "unknown");
}

/** What somebody else does, but no longer than it is waited for. */
function orAborted<T>(work: T | Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Error("it took too long"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    Promise.resolve(work)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", stop));
  });
}

/** Comes back after a while, or says that nobody wants to wait any more. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(aborted());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted();
}

function aborted(): BackupAbortedError {
  return new BackupAbortedError("it was given up by whoever asked");
}

/** A pause before the next try: anything up to a bound that doubles, so that many phones do not come back together. */
export function fullJitter(tried: number): number {
  return Math.random() * Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** (tried - 1));
}

/** A key that was not used before. */
function newKey(): string {
  const bytes = new Uint8Array(16);
  const source = (globalThis as { crypto?: { getRandomValues?(array: Uint8Array): Uint8Array } }).crypto;
  if (source?.getRandomValues) source.getRandomValues(bytes);
  // It need not be secret, only new: the API keeps keys apart by person.
  else for (let i = 0; i < bytes.length; i += 1) bytes[i] = Math.floor(Math.random() * 256);
  let key = "";
  for (const byte of bytes) key += byte.toString(16).padStart(2, "0");
  return `${Date.now().toString(36)}-${key}`;
}
