/** What the address of the page asks for. */

import { isMockState, type MockState } from "@gasrapido/backup-client/mock";

export interface Options {
  /** The state that the mock plays, where no API is asked. */
  state: MockState;
  /** Where the API is, of a stack that runs. */
  api: string | undefined;
  locale: string | undefined;
  colorScheme: "light" | "dark" | undefined;
  timeZone: string | undefined;
  /** Texts are so much larger. */
  textScale: number;
  /** Milliseconds that a backup or a restore of the mock takes. */
  jobMs: number | undefined;
}

export function readOptions(search: string): Options {
  const query = new URLSearchParams(search);
  const text = (name: string) => query.get(name) ?? undefined;
  const state = text("state") ?? "protected";
  const scheme = text("scheme");
  return {
    state: isMockState(state) ? state : "protected",
    api: text("api"),
    locale: text("locale"),
    colorScheme: scheme === "light" || scheme === "dark" ? scheme : undefined,
    timeZone: text("zone"),
    textScale: Number(text("text") ?? 1) || 1,
    jobMs: text("job") === undefined ? undefined : Number(text("job")),
  };
}
