/** Which copy is restored: the newest, one of the list, or the one of a moment. */

import type { BackupStatus } from "@gasrapido/backup-client";
import { useEffect, useState } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import { useAction } from "../data/useAction";
import { keyOf } from "../model/days";
import { isRestorable, proofOf, proofTone } from "../model/copy";
import { Live } from "../parts/Announcer";
import { Badge } from "../parts/Badge";
import { Button } from "../parts/Button";
import { Choice, Choices } from "../parts/Choice";
import { Field } from "../parts/Field";
import { Trouble } from "../parts/Trouble";
import { Muted, Txt } from "../parts/Txt";
import type { Words } from "../words";
import { copyAt, readClock, type What } from "./flow";

const SHOWN = 6;
const MORE = 20;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

export function WhatStep({ what, onChoose }: { what: What; onChoose: (what: What, valid: boolean) => void }) {
  const { words, seen, store, testID, theme, now } = useScreen();
  const [shown, setShown] = useState(SHOWN);
  const [copies, setCopies] = useState<readonly BackupStatus[]>(() => seen.backups.filter(isRestorable));
  const [isRead, setIsRead] = useState(false);
  const look = useAction(async () => {
    setCopies(await store.restorable());
    setIsRead(true);
  });
  const { run } = look;
  useEffect(() => void run(), [run]);
  const id = `${testID}.what`;
  const [newest] = copies;
  const list = what.kind === "copy" ? copies.filter((copy, i) => i < shown || copy.id === what.id) : [];
  if (newest === undefined) {
    if (look.problem !== undefined) {
      return (
        <>
          <Trouble problem={look.problem} />
          <Button label={words.t("action.retry")} onPress={() => void run()} busy={look.busy} />
        </>
      );
    }
    return isRead ? <Txt>{words.t("restore.none")}</Txt> : <Muted>{words.t("state.loading")}</Muted>;
  }
  return (
    <>
      <Choices label={words.t("restore.what")}>
        <Choice label={words.t("restore.latest")} hint={words.timeAndUtc(newest.metadata?.timestamp ?? newest.startedAt)} chosen={what.kind === "latest"} onChoose={() => onChoose({ kind: "latest" }, true)} testID={`${id}.latest`} />
        <Choice label={words.t("restore.copy")} chosen={what.kind === "copy"} onChoose={() => onChoose({ kind: "copy", id: newest.id }, true)} testID={`${id}.copy`} />
        <Choice label={words.t("restore.moment")} chosen={what.kind === "moment"} onChoose={() => onChoose({ kind: "moment", at: Math.min(now, endOfMinute(Date.parse(newest.metadata?.timestamp ?? newest.startedAt))) }, true)} testID={`${id}.moment`} />
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

/** A minute that is typed means all of it: a copy that was taken within is one of it. */
function endOfMinute(at: number): number {
  return Math.floor(at / MINUTE_MS) * MINUTE_MS + MINUTE_MS - 1;
}

function momentOf(words: Words, noon: number, { hour, minute }: { hour: number; minute: number }): number {
  return words.instant(words.day(noon), hour, minute);
}

/** A day by steps, and a time that is typed. */
function Moment({ at, copies, onChoose }: { at: number; copies: readonly BackupStatus[]; onChoose: (at: number, valid: boolean) => void }) {
  const { theme, words, now, testID } = useScreen();
  const [typed, setTyped] = useState(() => words.wall(at));
  const [noon, setNoon] = useState(() => words.instant(words.day(at), 12, 0));
  const instants = copies.map((copy) => Date.parse(copy.metadata?.timestamp ?? copy.startedAt));
  const [last = now] = instants;
  const first = instants[instants.length - 1] ?? now;
  const clock = readClock(typed);
  const chosen = clock === undefined ? undefined : momentOf(words, noon, clock);
  const found = chosen === undefined ? undefined : copyAt(copies, endOfMinute(chosen));
  const tell = (day: number, text: string) => {
    setNoon(day);
    setTyped(text);
    const read = readClock(text);
    const begun = read === undefined ? undefined : momentOf(words, day, read);
    const moment = begun === undefined ? at : Math.min(now, endOfMinute(begun));
    onChoose(moment, begun !== undefined && begun <= now && copyAt(copies, moment) !== undefined);
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
          <Live text={words.weekday(noon)}>
            <Txt bold>{words.weekday(noon)}</Txt>
          </Live>
          <Button label="›" spoken={`${words.t("restore.moment.day")} +1`} onPress={() => tell(noon + DAY_MS, typed)} locked={isLastDay ? "" : undefined} testID={`${id}.after`} />
        </View>
      </View>
      <Field label={words.t("restore.moment.time")} value={typed} onChange={(text) => tell(noon, text)} maxLength={5} wrong={wrong()} testID={`${id}.time`} />
      <Muted>{words.t("restore.moment.zone", { zone: words.timeZone })}</Muted>
      {found?.metadata === undefined || wrong() !== undefined ? null : <Txt bold>{words.t("restore.moment.means", { time: words.timeAndUtc(found.metadata.timestamp) })}</Txt>}
    </View>
  );
}
