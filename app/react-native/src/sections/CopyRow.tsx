/** One copy in the list. Takes what it shows and nothing else: there may be a thousand. */

import type { BackupStatus } from "@gasrapido/backup-client";
import { memo } from "react";
import { Pressable, Text, View } from "react-native";
import { copyStateOf, isLockTooShort, partOf, proofOf, proofTone, regionStateOf, regionTone, type CopyState } from "../model/copy";
import { triggerName } from "../names";
import { Badge } from "../parts/Badge";
import { TARGET } from "../parts/Button";
import { Mark } from "../parts/Mark";
import { textStyle } from "../parts/Txt";
import type { Theme, ToneName } from "../theme";
import type { Words } from "../words";

const TONES: Record<CopyState, ToneName> = { good: "good", failed: "bad", cancelled: "neutral", running: "busy", replicating: "busy", expired: "neutral", unknown: "neutral" };

export interface CopyRowProps {
  backup: BackupStatus;
  growth: number | undefined;
  theme: Theme;
  words: Words;
  onOpen: (id: string) => void;
  testID: string;
}

export const CopyRow = memo(function CopyRow({ backup, growth, theme, words, onOpen, testID }: CopyRowProps) {
  const state = copyStateOf(backup);
  const at = backup.metadata?.timestamp ?? backup.startedAt;
  const title = words.time(at);
  const facts = factsOf(backup, growth, words);
  const muted = textStyle(theme, "small", theme.muted);
  const shows = state === "good" || state === "replicating" || state === "expired";
  return (
    <Pressable
      role="button"
      onPress={() => onOpen(backup.id)}
      testID={testID}
      style={({ pressed }) => ({
        minHeight: TARGET,
        flexDirection: "row",
        gap: theme.space * 1.5,
        paddingVertical: theme.space * 1.5,
        paddingHorizontal: theme.space * 2,
        backgroundColor: pressed ? theme.neutral.ground : theme.surface,
        borderBottomWidth: 1,
        borderBottomColor: theme.line,
        opacity: state === "expired" ? 0.85 : 1,
      })}
    >
      <Mark tone={TONES[state]} theme={theme} />
      <View style={{ flex: 1, gap: 4 }}>
        <Text style={textStyle(theme, "body", undefined, true)}>{title}</Text>
        {state === "good" ? null : <Text style={textStyle(theme, "small", theme[TONES[state]].ink, true)}>{stateText(state, backup, words)}</Text>}
        <Text style={muted}>{facts.join(" · ")}</Text>
        {shows ? (
          <View style={{ flexDirection: "row", flexWrap: "wrap", gap: 4 }}>
            <Badge tone={proofTone(proofOf(backup))} text={words.t(`proof.${proofOf(backup)}`)} theme={theme} />
            {state === "expired"
              ? null
              : regionsToShow(backup).map(({ region, state: of }) => <Badge key={region} tone={regionTone(of)} text={of === "complete" ? region : words.t(`region.${of}`, { region })} theme={theme} />)}
            {isLockTooShort(backup) ? <Badge tone="bad" text={words.t("copy.notLocked")} theme={theme} /> : null}
            {backup.pin === undefined ? null : <Badge tone="neutral" text={words.t("copy.pinned")} theme={theme} />}
          </View>
        ) : null}
      </View>
    </Pressable>
  );
});

function regionsToShow(backup: BackupStatus) {
  return (backup.replicas ?? []).map((replica) => ({ region: replica.region, state: regionStateOf(replica, backup) }));
}

export function stateText(state: CopyState, backup: BackupStatus, words: Words): string {
  if (state === "good") return words.t("copies.filter.completed");
  if (state === "unknown") return words.t("job.unknown", { status: backup.status });
  return words.t(`copy.${state}`);
}

function factsOf(backup: BackupStatus, growth: number | undefined, words: Words): string[] {
  const facts: string[] = [];
  if (backup.metadata) {
    facts.push(words.bytes(backup.metadata.size));
    if (growth !== undefined && Math.abs(growth) >= 500) facts.push(words.t(growth > 0 ? "copy.grew" : "copy.shrank", { bytes: words.bytes(Math.abs(growth)) }));
  }
  if (backup.completedAt !== undefined && backup.status === "completed") facts.push(words.t("copy.took", { duration: words.duration(Date.parse(backup.completedAt) - Date.parse(backup.startedAt)) }));
  if (backup.trigger !== undefined) facts.push(triggerName(backup.trigger, words));
  const part = partOf(backup);
  if (part !== undefined) facts.push(words.t("copy.part", { part }));
  if (backup.expiredAt === undefined && backup.daysEndAt !== undefined) facts.push(words.t(isLockTooShort(backup) ? "copy.expires" : "copy.keptLocked", { date: words.date(backup.daysEndAt) }));
  return facts;
}
