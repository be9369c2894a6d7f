/** A `fetch` that answers from a list, and notes what it was asked. */

export interface Call {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: unknown;
}

type Reply = { status?: number; body?: unknown; headers?: Record<string, string> } | "offline" | "silent" | ((call: Call) => Reply);

export class Server {
  readonly calls: Call[] = [];
  readonly #replies: Reply[];

  /** The last reply is given again and again. */
  constructor(...replies: Reply[]) {
    this.#replies = replies;
  }

  readonly fetch: typeof fetch = (input, init = {}) => {
    const call: Call = {
      method: init.method ?? "GET",
      path: String(input).replace("https://api.example.org", ""),
      headers: { ...(init.headers as Record<string, string>) },
      body: typeof init.body === "string" ? JSON.parse(init.body) : undefined,
    };
    this.calls.push(call);
    let reply = this.#replies.length > 1 ? this.#replies.shift() : this.#replies[0];
    if (typeof reply === "function") reply = reply(call);
    if (reply === undefined || reply === "offline") return Promise.reject(new TypeError("Network request failed"));
    if (reply === "silent") {
      return new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
    }
    const { status = 200, body, headers = {} } = reply as Exclude<Reply, string | ((call: Call) => Reply)>;
    const text = body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body);
    return Promise.resolve(new Response(status === 304 ? null : text, { status, headers }));
  };
}
