/** What the copies take and cost, and what may go. */

import type { CleanupPlan, CleanupStatus } from "@gasrapido/backup-client";
import { useEffect, useState } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import { isUnderWay } from "../model/job";
import { useAction } from "../data/useAction";
import { lockOf } from "../data/lock";
import { Button } from "../parts/Button";
import { Card } from "../parts/Card";
import { Notice } from "../parts/Notice";
import { Sheet } from "../parts/Sheet";
import { Trouble } from "../parts/Trouble";
import { Muted, Txt } from "../parts/Txt";

/** Of what would go, so much is listed. */
const SHOWN = 20;

export function Storage({ onCleanUp }: { onCleanUp: () => void }) {
  const { theme, words, seen, now, testID } = useScreen();
  const { usage, cleanups } = seen;
  if (usage === undefined) return null;
  const lock = lockOf(seen, seen.summary?.you.administer === true);
  const largest = Math.max(1, ...(usage?.vaults ?? []).map((vault) => vault.bytes));
  const running = cleanups?.find(isUnderWay);
  const last = cleanups?.find((cleanup) => cleanup.requestedBy !== undefined && !isUnderWay(cleanup));
  return (
    <Card heading={words.t("storage.heading")} testID={`${testID}.storage`}>
      {usage === null ? (
        <Muted>{words.t("storage.none")}</Muted>
      ) : (
        <>
          {usage.vaults.map((vault) => (
            <View key={vault.region} style={{ gap: 4 }}>
              <View style={{ flexDirection: "row", flexWrap: "wrap", justifyContent: "space-between", columnGap: theme.space }}>
                <Txt size="small" bold>
                  {vault.region}
                </Txt>
                <Txt size="small">{words.t("storage.region", { bytes: words.bytes(vault.bytes), cost: words.usd(vault.usdAMonth) })}</Txt>
              </View>
              <View aria-hidden style={{ height: 6, borderRadius: 3, backgroundColor: theme.neutral.ground }}>
                <View style={{ height: 6, borderRadius: 3, width: `${(vault.bytes / largest) * 100}%`, backgroundColor: theme.primary }} />
              </View>
            </View>
          ))}
          <Txt>{words.t("storage.total", { cost: words.usd(usage.vaults.reduce((sum, vault) => sum + vault.usdAMonth, 0)) })}</Txt>
          {usage.growthBytesADay !== undefined && usage.growthBytesADay > 0 && usage.forecastBytes !== undefined ? (
            <Muted>{words.t("storage.growth", { bytes: words.bytes(usage.growthBytesADay), forecast: words.bytes(usage.forecastBytes) })}</Muted>
          ) : null}
          <Muted>{words.t("storage.counted", { ago: words.ago(now - Date.parse(usage.at)) })}</Muted>
        </>
      )}
      {running ? <Notice tone="busy" title={words.t("cleanup.running")} /> : null}
      {last ? <LastCleanup cleanup={last} /> : null}
      <View style={{ alignItems: "flex-start" }}>
        <Button
          label={words.t("cleanup.action")}
          onPress={onCleanUp}
          locked={running ? "" : lock === undefined ? undefined : words.t(lock)}
          testID={`${testID}.cleanup`}
        />
      </View>
    </Card>
  );
}

function LastCleanup({ cleanup }: { cleanup: CleanupStatus }) {
  const { words, now } = useScreen();
  const ago = words.ago(now - Date.parse(cleanup.completedAt ?? cleanup.startedAt));
  if (cleanup.status === "failed") return <Notice tone="bad" title={`${words.t("cleanup.failed")} · ${ago}`} text={cleanup.error} />;
  return <Muted>{words.t("cleanup.last", { count: cleanup.removed, ago })}</Muted>;
}

export function CleanUpSheet({ onClose }: { onClose: () => void }) {
  const { words, seen, store, testID } = useScreen();
  const [plan, setPlan] = useState<CleanupPlan>();
  const [startedId, setStartedId] = useState<string>();
  const look = useAction(() => store.service.planCleanup().then(setPlan));
  const clean = useAction(() => store.startCleanup().then((cleanup) => setStartedId(cleanup.id)));
  const { run } = look;
  useEffect(() => void run(), [run]);
  const started = seen.cleanups?.find((cleanup) => cleanup.id === startedId);
  const goes = (plan?.plan ?? []).filter((decision) => decision.keptBy.length === 0);
  const lock = lockOf(seen, seen.summary?.you.administer === true);
  const id = `${testID}.cleanUpSheet`;
  const footer =
    plan !== undefined && plan.removed > 0 && startedId === undefined ? (
      <Button
        kind="danger"
        label={words.t("cleanup.confirm", { count: plan.removed })}
        onPress={() => void clean.run()}
        busy={clean.busy}
        locked={lock === undefined ? undefined : words.t(lock)}
        testID={`${id}.confirm`}
      />
    ) : undefined;
  return (
    <Sheet title={words.t("cleanup.heading")} onClose={onClose} testID={id} footer={footer}>
      <Trouble problem={look.problem ?? clean.problem} />
      {started === undefined ? null : isUnderWay(started) ? (
        <Notice alert tone="busy" title={words.t("cleanup.running")} text={words.t("job.closeApp")} />
      ) : started.status === "failed" ? (
        <Notice alert tone="bad" title={words.t("cleanup.failed")} text={started.error} />
      ) : (
        <Notice alert tone="good" title={words.t("cleanup.done", { count: started.removed })} testID={`${id}.done`} />
      )}
      {plan === undefined && look.problem === undefined ? <Muted>{words.t("state.loading")}</Muted> : null}
      {plan !== undefined && startedId === undefined ? (
        <>
          <Txt bold>{plan.removed === 0 ? words.t("cleanup.nothing") : words.t("cleanup.removes", { count: plan.removed, kept: plan.plan.length - plan.removed })}</Txt>
          <Muted>{words.t("cleanup.policy", { days: words.t("time.day", { n: plan.policy.days, count: plan.policy.days }), least: plan.policy.keepAtLeast })}</Muted>
          {plan.removed === 0 ? null : <Txt>{words.t("cleanup.which")}</Txt>}
          {goes.slice(0, SHOWN).map((decision) => (
            <Txt key={decision.id} size="small">{`• ${words.time(decision.takenAt)}`}</Txt>
          ))}
          {goes.length > SHOWN ? <Muted>{`+ ${words.number(goes.length - SHOWN)}`}</Muted> : null}
        </>
      ) : null}
    </Sheet>
  );
}
