/** Who restored, kept or removed what. By the audit for whoever may see it; by the restores and cleanups for all others. */

import { View } from "react-native";
import { useScreen } from "../context";
import type { Seen } from "../data/seen";
import { targetName } from "../names";
import { Card } from "../parts/Card";
import { Muted, Txt } from "../parts/Txt";
import type { Words } from "../words";

interface Entry {
  id: string;
  at: string;
  who: string;
  what: string;
  detail: string | undefined;
}

const SHOWN = 8;
const REFUSED = 400;

function activityOf(seen: Seen, words: Words, nameOf: (id: string) => string): Entry[] {
  if (seen.audit !== undefined) {
    // Each request has two entries; the one without a status is of before it was done.
    return seen.audit
      .filter((entry) => entry.status !== undefined)
      .map((entry) => {
        const key = `activity.${entry.action}`;
        const what = words.has(key) ? words.t(key) : words.t("activity.other", { action: entry.action });
        const refused = (entry.status ?? 0) >= REFUSED ? `${words.t("activity.refused")}${entry.problem === undefined ? "" : `: ${entry.problem}`}` : undefined;
        const detail = [entry.detail, refused].filter((part) => part !== undefined).join(" · ");
        return { id: entry.id, at: entry.at, who: entry.actor.email ?? nameOf(entry.actor.id), what, detail: detail === "" ? undefined : detail };
      });
  }
  const restores = seen.restores.map((restore) => ({
    id: restore.id,
    at: restore.startedAt,
    who: nameOf(restore.requestedBy),
    what: words.t("activity.restored", { target: targetName(restore.targetEnvironment, words) }),
    detail: restore.status === "failed" ? restore.error : undefined,
  }));
  const cleanups = (seen.cleanups ?? [])
    .filter((cleanup) => cleanup.requestedBy !== undefined || cleanup.removed > 0)
    .map((cleanup) => ({
      id: cleanup.id,
      at: cleanup.startedAt,
      who: cleanup.requestedBy === undefined ? words.t("copy.schedule") : nameOf(cleanup.requestedBy),
      what: words.t("cleanup.done", { count: cleanup.removed }),
      detail: cleanup.error,
    }));
  return [...restores, ...cleanups].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}

export function Activity() {
  const { theme, words, seen, testID, nameOf } = useScreen();
  if (seen.audit === undefined && seen.cleanups === undefined) return null;
  const entries = activityOf(seen, words, nameOf).slice(0, SHOWN);
  return (
    <Card heading={words.t("activity.heading")} testID={`${testID}.activity`}>
      {entries.length === 0 ? <Muted>{words.t("activity.none")}</Muted> : null}
      {entries.map((entry) => (
        <View key={entry.id} style={{ gap: 2, paddingBottom: theme.space / 2 }}>
          <Txt size="small">
            <Txt size="small" bold>
              {entry.who}
            </Txt>
            {` · ${entry.what}`}
          </Txt>
          <Muted>{entry.detail === undefined ? words.time(entry.at) : `${words.time(entry.at)} · ${entry.detail}`}</Muted>
        </View>
      ))}
    </Card>
  );
}
