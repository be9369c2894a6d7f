/** All that is known of one copy. */

import type { BackupStatus, TableList } from "@gasrapido/backup-client";
import { useEffect, useState } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import { useAction } from "../data/useAction";
import { copyStateOf, isLockTooShort, isRestorable, partOf, proofOf, proofTone, regionStateOf, regionTone } from "../model/copy";
import { lockOf } from "../data/lock";
import { triggerName } from "../names";
import { Badge } from "../parts/Badge";
import { Button } from "../parts/Button";
import { Fact } from "../parts/Fact";
import { CopyDetails } from "../parts/CopyDetails";
import { Notice } from "../parts/Notice";
import { Sheet } from "../parts/Sheet";
import { Trouble } from "../parts/Trouble";
import { Muted, Txt } from "../parts/Txt";
import { Warnings } from "../parts/Warnings";
import type { Words } from "../words";
import { stateText } from "./CopyRow";

/** Of what is inside, so much is listed. */
const TABLES_SHOWN = 12;

/** What a copy is called. */
export function titleOf(backup: BackupStatus, words: Words): string {
  return words.t("copy.heading", { time: words.time(backup.metadata?.timestamp ?? backup.startedAt) });
}

export function CopySheet({ backup, onClose, onRestore }: { backup: BackupStatus; onClose: () => void; onRestore: (backup: BackupStatus) => void }) {
  const { theme, words, seen, store, testID, nameOf } = useScreen();
  const id = `${testID}.copy`;
  const at = backup.metadata?.timestamp ?? backup.startedAt;
  const state = copyStateOf(backup);
  const pin = useAction((pinned: boolean) => store.pinBackup(backup.id, pinned));
  const you = seen.summary?.you;
  const pinLock = lockOf(seen, you?.administer === true);
  const restoreLock = lockOf(seen, (you?.restoreInto.length ?? 0) > 0);
  const isPinned = backup.pin !== undefined;
  const restore = isRestorable(backup) ? (
    <Button
      kind="primary"
      label={words.t("copy.restoreThis")}
      onPress={() => onRestore(backup)}
      locked={restoreLock === undefined ? undefined : words.t(restoreLock)}
      testID={`${id}.restore`}
    />
  ) : undefined;
  const part = partOf(backup);
  const trigger = backup.trigger === undefined ? undefined : triggerName(backup.trigger, words);
  return (
    <Sheet title={titleOf(backup, words)} onClose={onClose} testID={id} footer={restore}>
      {state === "good" ? null : (
        <Notice tone={state === "failed" ? "bad" : "neutral"} title={stateText(state, backup, words)} text={backup.error}>
          {backup.error === undefined ? null : <CopyDetails label={words.t("job.id", { id: backup.id })} text={`${backup.error}\n${backup.id}`} />}
        </Notice>
      )}
      <View>
        {backup.metadata === undefined ? null : <Fact name={words.t("copy.shows")}>{words.timeAndUtc(at)}</Fact>}
        {backup.completedAt === undefined || backup.status !== "completed" ? null : <Fact name={words.t("copy.ended")}>{words.timeAndUtc(backup.completedAt)}</Fact>}
        {backup.source === undefined ? null : <Fact name={words.t("copy.source")}>{part === undefined ? backup.source : `${backup.source} · ${words.t("copy.part", { part })}`}</Fact>}
        {trigger === undefined ? null : <Fact name={words.t("copy.trigger")}>{backup.requestedBy === undefined ? trigger : `${trigger} (${nameOf(backup.requestedBy)})`}</Fact>}
        <Fact name={words.t("copy.proof")}>
          <View style={{ flexDirection: "row" }}>
            <Badge tone={proofTone(proofOf(backup))} text={proofText(backup, words)} theme={theme} />
          </View>
        </Fact>
        <Fact name={words.t("copy.regions")}>
          <View style={{ flexDirection: "row", flexWrap: "wrap", gap: 4 }}>
            {(backup.replicas ?? []).map((replica) => (
              <Badge key={replica.region} tone={regionTone(regionStateOf(replica, backup))} text={words.t(`region.${regionStateOf(replica, backup)}`, { region: replica.region })} theme={theme} />
            ))}
          </View>
        </Fact>
        {backup.metadata ? (
          <>
            <Fact name={words.t("copy.size")}>{`${words.bytes(backup.metadata.size)} · ${backup.metadata.compression} · ${words.t("copy.encrypted")}`}</Fact>
            <Fact name={words.t("copy.content")}>
              {words.t("copy.content.value", { rows: words.t("job.rows", { count: backup.rows ?? 0 }), tables: words.t("copy.tables", { count: backup.tablesTotal ?? 0 }) })}
            </Fact>
          </>
        ) : null}
        {backup.segments && backup.metadata ? (
          <Fact name={words.t("copy.changed")}>
            {words.t("copy.changed.value", { copied: backup.segments.segmentsCopied, total: backup.segments.segmentsCopied + backup.segments.segmentsReused })}
          </Fact>
        ) : null}
        {backup.fullReason === undefined ? null : <Fact name={words.t("copy.full")}>{backup.fullReason}</Fact>}
        {backup.daysEndAt === undefined ? null : (
          <Fact name={words.t("copy.keeping")}>
            {[
              words.t("copy.expires", { date: words.date(backup.daysEndAt) }),
              isLockTooShort(backup) ? words.t("copy.notLocked") : words.t("copy.locked", { date: words.date(backup.daysEndAt) }),
              ...(isPinned ? [`${words.t("copy.pinned")}${backup.pin?.note === undefined ? "" : ` (${backup.pin.note})`}`] : []),
            ].join(" · ")}
          </Fact>
        )}
        {backup.metadata ? (
          <>
            <Fact name={words.t("copy.checksum")}>{`SHA-256 ${backup.metadata.checksum}`}</Fact>
            <Fact name={words.t("copy.path")}>{`${backup.metadata.bucket}/${backup.metadata.path}`}</Fact>
          </>
        ) : null}
      </View>
      <Warnings warnings={backup.warnings} />
      {isRestorable(backup) ? <Inside backup={backup} /> : null}
      {isRestorable(backup) ? (
        <View style={{ alignItems: "flex-start", gap: theme.space }}>
          <Button
            label={words.t(isPinned ? "action.unpin" : "action.pin")}
            onPress={() => void pin.run(!isPinned)}
            busy={pin.busy}
            locked={pinLock === undefined ? undefined : words.t(pinLock)}
            testID={`${id}.pin`}
          />
          <Trouble problem={pin.problem} />
        </View>
      ) : null}
    </Sheet>
  );
}

function proofText(backup: BackupStatus, words: Words): string {
  const text = words.t(`proof.${proofOf(backup)}`);
  const { drilled, verified } = backup;
  const when = drilled?.at ?? verified?.readAt;
  const took = drilled?.recoveryMs === undefined ? [] : [words.duration(drilled.recoveryMs)];
  return [text, ...(when === undefined ? [] : [words.time(when)]), ...(drilled === undefined ? [] : [drilled.region]), ...took].join(" · ");
}

function Inside({ backup }: { backup: BackupStatus }) {
  const { theme, words, store } = useScreen();
  const [list, setList] = useState<TableList>();
  const look = useAction(() => store.service.tables(backup.id).then(setList));
  const { run } = look;
  useEffect(() => void run(), [run]);
  const rest = list === undefined ? 0 : list.tablesTotal - Math.min(TABLES_SHOWN, list.tables.length);
  const missing = list?.coverage.filter((part) => part.state !== "backed_up" && part.state !== "not_applicable") ?? [];
  return (
    <View style={{ gap: theme.space / 2 }}>
      <Txt size="heading" level={3}>
        {words.t("copy.inside")}
      </Txt>
      <Trouble problem={look.problem} />
      {list === undefined && look.problem === undefined ? <Muted>{words.t("state.loading")}</Muted> : null}
      {list?.tables.slice(0, TABLES_SHOWN).map((table) => (
        <Line key={`${table.schema}.${table.name}`} name={`${table.schema}.${table.name}`} value={words.t("copy.inside.table", { rows: words.t("job.rows", { count: table.rows }), bytes: words.bytes(table.bytes) })} />
      ))}
      {rest > 0 ? <Muted>{words.t("copy.inside.more", { count: rest })}</Muted> : null}
      {list?.buckets.map((bucket) => (
        <Line key={bucket.bucket} name={bucket.bucket} value={`${words.t("copy.inside.objects", { count: bucket.objects })}, ${words.bytes(bucket.bytes)}`} />
      ))}
      {missing.map((part) => (
        <Muted key={part.part}>{`${words.t("copy.inside.missing", { part: part.part })}${part.detail === undefined ? "" : `: ${part.detail}`}`}</Muted>
      ))}
    </View>
  );
}

function Line({ name, value }: { name: string; value: string }) {
  const { theme } = useScreen();
  return (
    <View style={{ flexDirection: "row", flexWrap: "wrap", justifyContent: "space-between", columnGap: theme.space * 2 }}>
      <Txt size="small">{name}</Txt>
      <Muted>{value}</Muted>
    </View>
  );
}
