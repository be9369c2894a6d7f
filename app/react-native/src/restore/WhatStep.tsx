/** Which copy is restored: the newest, one of the list, or the one of a moment. */

import type { BackupStatus } from "@gasrapido/backup-client";
import { useEffect, useState } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import { useAction } from "../data/useAction";
import { keyOf } from "../model/days";
import { isRestorable, proofOf, proofTone } from "../model/copy";
import { Badge } from "../parts/Badge";
import { Button } from "../parts/Button";
import { Choice, Choices } from "../parts/Choice";
import { Field } from "../parts/Field";
import { Trouble } from "../parts/Trouble";
import { Muted, Txt } from "../parts/Txt";
import { copyAt, readClock, type What } from "./flow";

const SHOWN = 6;
const MORE = 20;
const DAY_MS = 86_400_000;

export function WhatStep({ what, onChoose }: { what: What; onChoose: (what: What, valid: boolean) => void }) {
  const { words, seen, store, testID, theme } = useScreen();
  const [shown, setShown] = useState(SHOWN);
  const [copies, setCopies] = useState<readonly BackupStatus[]>(() => seen.backups.filter(isRestorable));
  const look = useAction(() => store.restorable().then(setCopies));
  const { run } = look;
  useEffect(() => void run(), [run]);
  const id = `${testID}.what`;
  const [newest] = copies;
  const list = what.kind === "copy" ? copies.filter((copy, i) => i < shown || copy.id === what.id) : [];
  if (newest === undefined) return look.busy ? <Muted>{words.t("state.loading")}</Muted> : <Txt>{words.t("restore.none")}</Txt>;
  return (
    <>
      <Choices label={words.t("restore.what")}>
        <Choice label={words.t("restore.latest")} hint={words.timeAndUtc(newest.metadata?.timestamp ?? newest.startedAt)} chosen={what.kind === "latest"} onChoose={() => onChoose({ kind: "latest" }, true)} testID={`${id}.latest`} />
        <Choice label={words.t("restore.copy")} chosen={what.kind === "copy"} onChoose={() => onChoose({ kind: "copy", id: newest.id }, true)} testID={`${id}.copy`} />
        <Choice label={words.t("restore.moment")} chosen={what.kind === "moment"} onChoose={() => onChoose({ kind: "moment", at: Date.parse(newest.metadata?.timestamp ?? newest.startedAt) }, true)} testID={`${id}.moment`} />
      </Choices>
      {what.kind === "copy" ? (
        <Choices label={words.t("restore.copy")}>
          {list.map((copy) => (
            <Choice
              key={copy.id}
              label={words.time(copy.metadata?.timestamp ?? copy.startedAt)}
              hint={words.bytes(copy.metadata?.size ?? 0)}
              chosen={copy.id === what.id}
              onChoose={() => onChoose({ kind: "copy", id: copy.id }, true)}
              mark={<Badge tone={proofTone(proofOf(copy))} text={words.t(`proof.${proofOf(copy)}`)} theme={theme} />}
            />
          ))}
          {copies.length > shown ? <Button label={words.t("action.more")} onPress={() => setShown(shown + MORE)} /> : null}
        </Choices>
      ) : null}
      {what.kind === "moment" ? <Moment at={what.at} copies={copies} onChoose={(at, valid) => onChoose({ kind: "moment", at }, valid)} /> : null}
      <Trouble problem={look.problem} />
    </>
  );
}

/** A day by steps, and a time that is typed. */
function Moment({ at, copies, onChoose }: { at: number; copies: readonly BackupStatus[]; onChoose: (at: number, valid: boolean) => void }) {
  const { theme, words, now, testID } = useScreen();
  const [typed, setTyped] = useState(() => {
    const found = /(\d{2}):(\d{2})/.exec(new Date(at).toISOString());
    const clock = words.clock(at);
    return /^\d{1,2}:\d{2}$/.test(clock) ? clock : (found?.[0] ?? "12:00");
  });
  const [noon, setNoon] = useState(() => words.instant(words.day(at), 12, 0));
  const instants = copies.map((copy) => Date.parse(copy.metadata?.timestamp ?? copy.startedAt));
  const [last = now] = instants;
  const first = instants[instants.length - 1] ?? now;
  const clock = readClock(typed);
  const chosen = clock === undefined ? undefined : words.instant(words.day(noon), clock.hour, clock.minute);
  const found = chosen === undefined ? undefined : copyAt(copies, chosen);
  const tell = (day: number, text: string) => {
    setNoon(day);
    setTyped(text);
    const read = readClock(text);
    const moment = read === undefined ? undefined : words.instant(words.day(day), read.hour, read.minute);
    onChoose(moment ?? at, moment !== undefined && moment <= now && copyAt(copies, moment) !== undefined);
  };
  const id = `${testID}.moment`;
  const isFirstDay = keyOf(words.day(noon)) <= keyOf(words.day(first));
  const isLastDay = keyOf(words.day(noon)) >= keyOf(words.day(now));
  const wrong = () => {
    if (chosen === undefined) return words.t("restore.moment.invalid");
    if (chosen > now) return words.t("restore.moment.after");
    return found === undefined ? words.t("restore.moment.before", { first: words.time(first) }) : undefined;
  };
  return (
    <View style={{ gap: theme.space * 1.5 }}>
      <Muted>{words.t("restore.moment.bounds", { first: words.time(first), last: words.time(last) })}</Muted>
      <View style={{ gap: theme.space / 2 }}>
        <Txt size="small" bold>
          {words.t("restore.moment.day")}
        </Txt>
        <View style={{ flexDirection: "row", alignItems: "center", justifyContent: "space-between", gap: theme.space }}>
          <Button label="‹" spoken={`${words.t("restore.moment.day")} −1`} onPress={() => tell(noon - DAY_MS, typed)} locked={isFirstDay ? "" : undefined} testID={`${id}.before`} />
          <Txt bold aria-live="polite">{words.weekday(noon)}</Txt>
          <Button label="›" spoken={`${words.t("restore.moment.day")} +1`} onPress={() => tell(noon + DAY_MS, typed)} locked={isLastDay ? "" : undefined} testID={`${id}.after`} />
        </View>
      </View>
      <Field label={words.t("restore.moment.time")} value={typed} onChange={(text) => tell(noon, text)} maxLength={5} wrong={wrong()} testID={`${id}.time`} />
      <Muted>{words.t("restore.moment.zone", { zone: words.timeZone })}</Muted>
      {found?.metadata === undefined || wrong() !== undefined ? null : <Txt bold>{words.t("restore.moment.means", { time: words.timeAndUtc(found.metadata.timestamp) })}</Txt>}
    </View>
  );
}
