/** How far a restore is, and what came of it. */

import type { RestoreStatus } from "@gasrapido/backup-client";
import { useEffect } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import { useAction } from "../data/useAction";
import { leftMs } from "../model/steps";
import { isWaiting, lockOfConnection } from "../data/lock";
import { endOf, phaseName, targetName } from "../names";
import { Bar } from "../parts/Bar";
import { Button } from "../parts/Button";
import { Fact } from "../parts/Fact";
import { Confirm } from "../parts/Confirm";
import { CopyDetails } from "../parts/CopyDetails";
import { Notice } from "../parts/Notice";
import { Trouble } from "../parts/Trouble";
import { Muted, Txt } from "../parts/Txt";
import { Warnings } from "../parts/Warnings";

export function ProgressStep({ restoreId }: { restoreId: string }) {
  const { words, seen, store } = useScreen();
  const restore = seen.restores.find((r) => r.id === restoreId);
  const look = useAction(() => store.refresh());
  const { run } = look;
  const isKnown = restore !== undefined;
  useEffect(() => {
    if (!isKnown) void run();
  }, [run, isKnown]);
  if (restore === undefined) return <Muted>{words.t("state.loading")}</Muted>;
  return restore.status === "completed" || restore.status === "failed" ? <Result restore={restore} /> : <Running restore={restore} />;
}

function Running({ restore }: { restore: RestoreStatus }) {
  const { theme, words, seen, now, store, testID } = useScreen();
  const cancel = useAction(() => store.cancelRestore(restore.id));
  const approve = useAction(() => store.approveRestore(restore.id));
  const target = targetName(restore.targetEnvironment, words);
  const title = words.t("restore.running", { target });
  const left = leftMs(restore, now);
  const you = seen.summary?.you;
  const mayChange = you?.restoreInto.includes(restore.targetEnvironment) === true;
  const waits = isWaiting(restore);
  const unseen = lockOfConnection(seen);
  const offline = unseen === undefined ? undefined : words.t(unseen);
  const facts = [
    words.t("job.elapsed", { duration: words.duration(now - Date.parse(restore.startedAt)) }),
    ...(left === undefined ? [] : [words.t("job.left", { duration: words.duration(left) })]),
    ...(restore.rowsTotal > 0 ? [words.t("restore.rows", { rows: restore.rows, total: restore.rowsTotal })] : []),
  ];
  return (
    <View style={{ gap: theme.space * 1.5 }} testID={`${testID}.restoreProgress`}>
      <Txt size="heading" level={3}>
        {title}
      </Txt>
      {waits ? (
        <Notice tone="warning" title={words.t("restore.waits", { time: words.time(restore.approval!.until) })}>
          {mayChange && restore.requestedBy !== you?.id ? (
            <Button
              kind="primary"
              label={words.t("action.approve")}
              onPress={() => void approve.run()}
              busy={approve.busy}
              locked={offline ?? (you?.secondFactor === true ? undefined : words.t("restore.secondFactor"))}
              testID={`${testID}.approve`}
            />
          ) : null}
        </Notice>
      ) : (
        <>
          <Txt bold>{`${phaseName(restore.phase, words)} · ${words.percent(restore.progress)}`}</Txt>
          <Bar percent={restore.progress} label={title} text={words.percent(restore.progress)} />
          <Muted>{facts.join(" · ")}</Muted>
          {restore.stalled ? <Notice tone="warning" title={words.t("job.stalled", { duration: words.duration(now - Date.parse(restore.heartbeatAt)) })} text={words.t("job.stalled.hint")} /> : null}
        </>
      )}
      <Muted>{words.t("job.closeApp")}</Muted>
      <Trouble problem={approve.problem} />
      {mayChange ? (
        <Confirm
          label={words.t("action.cancel")}
          question={words.t("restore.confirmCancel")}
          hint={words.t("restore.confirmCancel.hint")}
          action={cancel}
          locked={offline}
          testID={`${testID}.restoreCancel`}
        />
      ) : null}
    </View>
  );
}

function Result({ restore }: { restore: RestoreStatus }) {
  const { theme, words, testID } = useScreen();
  const target = targetName(restore.targetEnvironment, words);
  const { restored } = restore;
  const isDone = restore.status === "completed";
  const { tone, title } = endOf(restore, words);
  return (
    <View style={{ gap: theme.space * 1.5 }} testID={`${testID}.result`}>
      <Notice tone={tone} title={title} text={restore.error}>
        {restore.error === undefined ? null : <CopyDetails label={words.t("job.id", { id: restore.id })} text={`${title}\n${restore.error}\n${restore.id}`} />}
      </Notice>
      {restored === undefined ? null : (
        <View>
          <Fact name={words.t("restore.result.rows")}>{words.t("restore.result.ofTotal", { n: restored.rows, total: restore.rowsTotal })}</Fact>
          <Fact name={words.t("restore.result.tables")}>{words.t("restore.result.ofTotal", { n: restored.tables, total: restore.tablesTotal })}</Fact>
          {restored.blobs > 0 ? <Fact name={words.t("restore.result.files")}>{`${words.number(restored.blobs)} · ${words.bytes(restored.blobBytes)}`}</Fact> : null}
          <Fact name={words.t("restore.result.where")}>{target}</Fact>
          <Fact name={words.t("restore.result.from")}>{`${words.timeAndUtc(restore.takenAt)} · ${restored.region}`}</Fact>
          {restore.completedAt === undefined ? null : <Fact name={words.t("restore.result.took")}>{words.duration(Date.parse(restore.completedAt) - Date.parse(restore.startedAt))}</Fact>}
          <Fact name={words.t("restore.check.masked")}>{words.t(restore.masked ? "restore.check.masked.yes" : "restore.check.masked.no")}</Fact>
        </View>
      )}
      <Warnings warnings={restored?.warnings} />
      <View style={{ gap: theme.space / 2 }}>
        <Txt size="heading" level={3}>
          {words.t("restore.next.heading")}
        </Txt>
        <Txt>{words.t(isDone ? `restore.next.${restore.targetEnvironment}` : "restore.next.failed")}</Txt>
      </View>
    </View>
  );
}
