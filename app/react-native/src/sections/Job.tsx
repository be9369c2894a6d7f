/** The backup that runs, or the last one where that failed; and the restore that runs. */

import type { BackupStatus, RestoreStatus } from "@gasrapido/backup-client";
import { View } from "react-native";
import { useScreen } from "../context";
import { useAction } from "../data/useAction";
import { copyStateOf, partOf } from "../model/copy";
import { isUnderWay } from "../model/job";
import { leftMs, STEPS, stepsOf, type StepState } from "../model/steps";
import { isWaiting, lockOfConnection, runningRestore, waitingRestore } from "../data/lock";
import { phaseName, targetName } from "../names";
import { Bar } from "../parts/Bar";
import { Button } from "../parts/Button";
import { Card } from "../parts/Card";
import { Confirm } from "../parts/Confirm";
import { CopyDetails } from "../parts/CopyDetails";
import { Mark } from "../parts/Mark";
import { Notice } from "../parts/Notice";
import { Trouble } from "../parts/Trouble";
import { Muted, Txt } from "../parts/Txt";

/** One that was asked for so long ago should have begun. */
const PENDING_LONG_MS = 2 * 60_000;

export function Jobs({ onRestore }: { onRestore: (restore: RestoreStatus) => void }) {
  const { seen } = useScreen();
  const [newest] = seen.backups;
  const running = seen.backups.find(isUnderWay);
  const restore = runningRestore(seen) ?? waitingRestore(seen);
  const shown = running ?? (newest && ["failed", "cancelled", "unknown"].includes(copyStateOf(newest)) ? newest : undefined);
  return (
    <>
      {restore ? <RestoreJob key={restore.id} restore={restore} onOpen={() => onRestore(restore)} /> : null}
      {shown ? <BackupJob key={shown.id} backup={shown} /> : null}
    </>
  );
}

function BackupJob({ backup }: { backup: BackupStatus }) {
  const { words, now, testID, store, seen } = useScreen();
  const cancel = useAction(() => store.cancelBackup(backup.id));
  const state = copyStateOf(backup);
  const part = partOf(backup);
  const title = part === undefined ? words.t("job.backup") : words.t("job.backup.part", { part });
  const id = `${testID}.job`;
  if (state === "unknown") {
    return (
      <Card heading={title} testID={id}>
        <Notice tone="neutral" title={words.t("job.unknown", { status: backup.status })} />
        <CopyDetails label={words.t("job.id", { id: backup.id })} text={backup.id} />
      </Card>
    );
  }
  if (state === "failed" || state === "cancelled") {
    const heading = words.t(state === "failed" ? "job.failed" : "job.cancelled");
    return (
      <Card heading={title} testID={id}>
        <Notice tone={state === "failed" ? "bad" : "neutral"} title={`${heading} · ${words.time(backup.completedAt ?? backup.startedAt)}`} text={backup.error}>
          <CopyDetails label={words.t("job.id", { id: backup.id })} text={`${heading}\n${backup.error ?? ""}\n${words.t("job.id", { id: backup.id })}`} />
        </Notice>
      </Card>
    );
  }
  const elapsed = now - Date.parse(backup.startedAt);
  const left = leftMs(backup, now);
  const silent = now - Date.parse(backup.heartbeatAt ?? backup.startedAt);
  const isPending = backup.status === "pending";
  const lock = lockOfConnection(seen);
  const canCancel = seen.summary?.you.backUp === true && backup.metadata === undefined && backup.cancelled === undefined;
  const facts = [
    words.t("job.elapsed", { duration: words.duration(elapsed) }),
    left === undefined ? undefined : words.t("job.left", { duration: words.duration(left) }),
    backup.bytes === undefined || isPending ? undefined : words.t("job.read", { bytes: words.bytes(backup.bytes) }),
    backup.bytesStored === undefined || isPending ? undefined : words.t("job.stored", { bytes: words.bytes(backup.bytesStored) }),
    backup.rows === undefined || isPending ? undefined : words.t("job.rows", { count: backup.rows }),
  ].filter((fact) => fact !== undefined);
  return (
    <Card heading={title} testID={id}>
      <Txt bold>{isPending ? words.t("job.pending") : words.t("job.running", { percent: words.percent(backup.progress) })}</Txt>
      <Bar percent={backup.progress} label={title} text={words.percent(backup.progress)} />
      <Steps backup={backup} />
      {backup.phase === "replicating" ? <Muted>{words.t("step.verify.later")}</Muted> : null}
      <Muted>{facts.join(" · ")}</Muted>
      {isPending && elapsed > PENDING_LONG_MS ? <Notice tone="warning" title={words.t("job.pendingLong", { duration: words.duration(elapsed) })} /> : null}
      {backup.stalled ? <Notice tone="warning" title={words.t("job.stalled", { duration: words.duration(silent) })} text={words.t("job.stalled.hint")} /> : null}
      {backup.cancelled === undefined ? <Muted>{words.t("job.closeApp")}</Muted> : <Notice tone="neutral" title={words.t("job.cancelling")} />}
      {canCancel ? (
        <Confirm
          label={words.t("action.cancel")}
          question={words.t("job.confirmCancel")}
          hint={words.t("job.confirmCancel.hint")}
          action={cancel}
          locked={lock === undefined ? undefined : words.t(lock)}
          testID={`${id}.cancel`}
        />
      ) : (
        <Trouble problem={cancel.problem} />
      )}
    </Card>
  );
}

const MARKS = { done: "good", active: "busy", waiting: "neutral", failed: "bad" } as const satisfies Record<StepState, string>;

function Steps({ backup }: { backup: BackupStatus }) {
  const { theme, words } = useScreen();
  const steps = stepsOf(backup);
  return (
    <View role="list" style={{ flexDirection: "row", flexWrap: "wrap", columnGap: theme.space * 2, rowGap: theme.space }}>
      {STEPS.map((step) => {
        const state = steps[step];
        return (
          <View key={step} accessible role="listitem" aria-label={`${words.t(`step.${step}`)}: ${words.t(`step.${state}`)}`} style={{ flexDirection: "row", alignItems: "center", gap: theme.space / 2 }}>
            {state === "waiting" ? (
              <View aria-hidden style={{ width: 16, height: 16, borderRadius: 8, borderWidth: 1.5, borderColor: theme.muted }} />
            ) : (
              <Mark tone={MARKS[state]} theme={theme} size={16} />
            )}
            <Txt size="small" bold={state === "active"} color={state === "waiting" ? theme.muted : theme.text}>
              {words.t(`step.${step}`)}
            </Txt>
          </View>
        );
      })}
    </View>
  );
}

function RestoreJob({ restore, onOpen }: { restore: RestoreStatus; onOpen: () => void }) {
  const { words, now, testID } = useScreen();
  const target = targetName(restore.targetEnvironment, words);
  const title = words.t("restore.running", { target });
  const waits = isWaiting(restore);
  return (
    <Card heading={title} testID={`${testID}.restoreJob`}>
      {waits ? (
        <Notice tone="warning" title={words.t("restore.waits", { time: words.time(restore.approval!.until) })} />
      ) : (
        <>
          <Txt bold>{words.t("job.running", { percent: words.percent(restore.progress) })}</Txt>
          <Bar percent={restore.progress} label={title} text={words.percent(restore.progress)} />
          <Muted>{`${phaseName(restore.phase, words)} · ${words.t("job.elapsed", { duration: words.duration(now - Date.parse(restore.startedAt)) })}`}</Muted>
          {restore.stalled ? <Notice tone="warning" title={words.t("job.stalled", { duration: words.duration(now - Date.parse(restore.heartbeatAt)) })} text={words.t("job.stalled.hint")} /> : null}
        </>
      )}
      <View style={{ alignItems: "flex-start" }}>
        <Button label={words.t("action.details")} onPress={onOpen} testID={`${testID}.restoreJob.open`} />
      </View>
    </Card>
  );
}
