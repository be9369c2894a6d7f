/** In one sentence: whether all is well. */

import type { Summary } from "@gasrapido/backup-client";
import { View } from "react-native";
import { useScreen } from "../context";
import { isUnderWay } from "../model/job";
import { lockOf, runningRestore } from "../data/lock";
import { protectionOf, toneOf, type Protection } from "../model/protection";
import { Button } from "../parts/Button";
import { Mark } from "../parts/Mark";
import { Muted, Txt } from "../parts/Txt";
import type { Words } from "../words";

/** Why it is not better, in the person's language where it is known; each once. */
function reasonsOf(protection: Protection, summary: Summary, now: number, words: Words): string[] {
  const lacking = summary.regions.filter((region) => region.state !== "complete").map((region) => region.region);
  const values = {
    age: words.duration(protection.recoveryPointMs ?? 0),
    target: words.duration(summary.recoveryPointTargetS * 1_000),
    regions: lacking.join(", "),
    ago: summary.lastDrill ? words.ago(now - Date.parse(summary.lastDrill.at)) : "",
  };
  const texts = protection.reasons.map(({ code, message }) => {
    const key = `reason.${code}`;
    return words.has(key) ? words.t(key, values) : message;
  });
  return [...new Set(texts)];
}

export function Hero({ onBackUp, onRestore }: { onBackUp: () => void; onRestore: () => void }) {
  const { theme, words, seen, now, testID, store } = useScreen();
  const { summary, seenAt } = seen;
  const backup = seen.backups.find((b) => isUnderWay(b) && b.metadata === undefined);
  const restore = runningRestore(seen);
  const protection = protectionOf(summary, seenAt, now, backup !== undefined || restore !== undefined);
  const { state, verdict } = protection;
  const tone = theme[toneOf(state)];
  const source = summary?.source ?? "";
  const seenAgo = words.ago(Math.max(0, now - seenAt));
  const sentence = () => {
    if (state === "working") return words.t(restore ? "protection.working.restore" : "protection.working.backup");
    return summary === undefined ? words.t("protection.unknown.nothing") : words.t(`protection.${state}.sentence`, { source });
  };
  const then = () => {
    const stale = protection.staleMs === undefined ? undefined : words.t("protection.stale", { ago: seenAgo });
    if (state === "working") {
      const until = words.t("protection.working.until", { verdict: words.t(`protection.${verdict}`) });
      return stale === undefined ? until : `${until} ${stale}`;
    }
    if (state === "unknown" && verdict !== "unknown") return words.t("protection.unknown.then", { ago: seenAgo, verdict: words.t(`protection.${verdict}`) });
    return stale;
  };
  const may = summary?.you;
  const backUpLock = lockOf(seen, may?.backUp === true);
  const restoreLock = lockOf(seen, (may?.restoreInto.length ?? 0) > 0);
  // One reason for both is said once.
  const shared = backUpLock !== undefined && backUpLock === restoreLock;
  const reason = (key: typeof backUpLock) => (key === undefined ? undefined : words.t(key));
  const told = then();
  return (
    <View testID={`${testID}.hero`} style={{ backgroundColor: theme.surface, borderRadius: theme.radius * 1.5, borderWidth: 1, borderColor: theme.line, overflow: "hidden" }}>
      <View style={{ backgroundColor: tone.ground, padding: theme.space * 2, gap: theme.space }}>
        <View style={{ flexDirection: "row", alignItems: "center", gap: theme.space * 1.5 }}>
          <Mark tone={toneOf(state)} theme={theme} size={36} />
          <View style={{ flex: 1 }}>
            <Txt size="title" level={2} color={tone.ink} testID={`${testID}.verdict`}>
              {words.t(`protection.${state}`)}
            </Txt>
          </View>
        </View>
        <Txt color={tone.ink}>{sentence()}</Txt>
        {told === undefined ? null : <Txt color={tone.ink}>{told}</Txt>}
        {summary === undefined || state === "protected" ? null : reasonsOf(protection, summary, now, words).map((text) => <Txt key={text} color={tone.ink}>{`• ${text}`}</Txt>)}
      </View>
      {summary === undefined ? null : (
      <View style={{ padding: theme.space * 2, gap: theme.space * 2 }}>
        <Times />
        <Tiles protection={protection} />
        <View style={{ flexDirection: "row", flexWrap: "wrap", gap: theme.space }}>
          <Button kind="primary" label={words.t("action.backUp")} onPress={onBackUp} locked={shared ? "" : reason(backUpLock)} testID={`${testID}.backUp`} />
          <Button label={words.t("action.restore")} onPress={onRestore} locked={shared ? "" : reason(restoreLock)} testID={`${testID}.restore`} />
          <Button kind="quiet" label={words.t("action.refresh")} onPress={() => void store.refresh()} testID={`${testID}.refresh`} />
        </View>
        {shared ? <Muted>{reason(backUpLock)}</Muted> : null}
      </View>
      )}
    </View>
  );
}

function Times() {
  const { words, seen, now } = useScreen();
  const { lastGood, nextDue } = seen.summary!;
  const last = lastGood === undefined ? words.t("protection.lastGood.none") : words.t("protection.lastGood", { ago: words.ago(now - Date.parse(lastGood.takenAt)) });
  const next = nextDue === undefined ? words.t("protection.next.none") : words.t("protection.next", { when: words.until(Date.parse(nextDue) - now) });
  return (
    <View style={{ gap: 2 }}>
      <Txt bold>{last}</Txt>
      <Muted size="body">{next}</Muted>
    </View>
  );
}

function Tiles({ protection }: { protection: Protection }) {
  const { theme, words, seen, now } = useScreen();
  const summary = seen.summary!;
  const { recoveryTimeMs, lastDrill, streak, regions, recoveryPointTargetS } = summary;
  const unknown = words.t("tile.unknown");
  const { recoveryPointMs } = protection;
  const whole = regions.filter((region) => region.state === "complete").length;
  const tiles = [
    {
      name: words.t("tile.recoveryPoint"),
      value: recoveryPointMs === undefined ? unknown : words.t("tile.recoveryPoint.value", { age: words.duration(recoveryPointMs >= 60_000 ? Math.floor(recoveryPointMs / 60_000) * 60_000 : recoveryPointMs) }),
      hint: words.t("tile.recoveryPoint.target", { target: words.duration(recoveryPointTargetS * 1_000) }),
    },
    {
      name: words.t("tile.recoveryTime"),
      value: recoveryTimeMs === undefined ? unknown : words.duration(recoveryTimeMs),
      hint: recoveryTimeMs === undefined ? "" : words.t("tile.recoveryTime.measured"),
    },
    {
      name: words.t("tile.proof"),
      value: lastDrill === undefined ? words.t("tile.never") : words.ago(now - Date.parse(lastDrill.at)),
      hint: lastDrill === undefined ? "" : lastDrill.passed ? words.t("tile.proof.streak", { count: streak.passedInARow }) : words.t("drills.failed"),
    },
    { name: words.t("tile.regions"), value: words.t("tile.regions.value", { n: whole, total: regions.length }), hint: words.t("tile.regions.hint") },
  ];
  return (
    <View style={{ flexDirection: "row", flexWrap: "wrap", gap: theme.space }}>
      {tiles.map(({ name, value, hint }) => (
        <View key={name} style={{ flexGrow: 1, flexBasis: "40%", borderWidth: 1, borderColor: theme.line, borderRadius: theme.radius, padding: theme.space * 1.5, gap: 2 }}>
          <Muted>{name}</Muted>
          <Txt bold>{value}</Txt>
          {hint === "" ? null : <Muted>{hint}</Muted>}
        </View>
      ))}
    </View>
  );
}
