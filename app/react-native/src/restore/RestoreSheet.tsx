/** A restore, from the choice of a copy to its result. */

import { useRef, useState } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import { useAction } from "../data/useAction";
import { lockOf } from "../data/lock";
import { targetName } from "../names";
import { Live } from "../parts/Announcer";
import { Button } from "../parts/Button";
import { Sheet } from "../parts/Sheet";
import { Trouble } from "../parts/Trouble";
import { Muted } from "../parts/Txt";
import { CheckStep, ConfirmStep } from "./CheckStep";
import { begin, replaces, requestOf, stepNames, targetLock, wishOf, type Flow, type StepName } from "./flow";
import { ProgressStep } from "./ProgressStep";
import { TargetStep } from "./TargetStep";
import { WhatStep } from "./WhatStep";

const NAMES = { what: "restore.what", target: "restore.target", check: "restore.check", confirm: "restore.confirm", progress: "restore.progress" } as const satisfies Record<StepName, string>;

export function RestoreSheet({ backupId, restoreId, onClose }: { backupId?: string | undefined; restoreId?: string | undefined; onClose: () => void }) {
  const { theme, words, seen, store, testID } = useScreen();
  const [flow, setFlow] = useState<Flow>(() => begin(backupId, restoreId, seen.summary?.you));
  /** Whether what is chosen can be restored. */
  const [isWhat, setIsWhat] = useState(true);
  const change = (changed: Partial<Flow>) => setFlow((before) => ({ ...before, ...changed }));
  const id = `${testID}.restoreSheet`;

  // The look that counts is the last one that was begun.
  const looks = useRef(0);
  const [looking, setLooking] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const look = async (wished: Flow) => {
    looks.current += 1;
    const mine = looks.current;
    const isLast = () => mine === looks.current;
    setLooking(true);
    setProblem(undefined);
    try {
      const wish = wishOf(wished);
      let plan = await store.service.planRestore(wish);
      // What it would be with the words that confirm it; of the very same copy.
      if (replaces(wished)) {
        plan = await store.service.planRestore({ backupId: plan.backupId, targetEnvironment: wish.targetEnvironment, confirmation: plan.confirmation });
      }
      if (isLast()) change({ plan, planOf: wish });
    } catch (error) {
      if (isLast()) setProblem(error);
    } finally {
      if (isLast()) setLooking(false);
    }
  };
  const start = useAction(async () => {
    const request = requestOf(flow);
    if (request === undefined) return;
    const { id: made } = await store.startRestore(request);
    change({ restoreId: made, step: "progress" });
  });

  const steps = stepNames(flow);
  const at = steps.indexOf(flow.step);
  const go = (step: StepName | undefined) => {
    if (step === undefined) return;
    looks.current += 1;
    setProblem(undefined);
    start.forget();
    if (step === "check") {
      const wished = { ...flow, step, plan: undefined, planOf: undefined, typed: "" };
      setFlow(wished);
      void look(wished);
    } else change({ step });
  };
  const isLast = steps[at + 1] === "progress";
  const target = targetName(flow.target, words);
  const lock = lockOf(seen, true) ?? targetLock(seen.summary?.you, flow.target);
  const ready: Record<StepName, boolean> = {
    what: isWhat,
    target: targetLock(seen.summary?.you, flow.target) === undefined,
    check: flow.plan !== undefined,
    confirm: true,
    progress: true,
  };
  const footer =
    flow.step === "progress" ? undefined : (
      <View style={{ flexDirection: "row", flexWrap: "wrap", gap: theme.space, justifyContent: "space-between" }}>
        {at > 0 ? <Button label={words.t("action.back")} onPress={() => go(steps[at - 1])} testID={`${id}.back`} /> : <View />}
        {isLast ? (
          <Button
            kind={replaces(flow) ? "danger" : "primary"}
            label={words.t("restore.start", { target })}
            onPress={() => void start.run()}
            busy={start.busy}
            locked={lock === undefined ? (requestOf(flow) === undefined ? "" : undefined) : words.t(lock)}
            testID={`${id}.start`}
          />
        ) : (
          <Button kind="primary" label={words.t("action.next")} onPress={() => go(steps[at + 1])} locked={ready[flow.step] ? undefined : ""} testID={`${id}.next`} />
        )}
      </View>
    );
  const stepName = words.t("restore.step", { n: at + 1, total: steps.length - 1, name: words.t(NAMES[flow.step]) });
  return (
    <Sheet title={words.t("restore.heading")} onClose={onClose} footer={footer} testID={id}>
      {flow.step === "progress" ? null : (
        <Live text={stepName}>
          <Muted>{stepName}</Muted>
        </Live>
      )}
      {flow.step === "what" ? <WhatStep what={flow.what} onChoose={(what, valid) => (change({ what }), setIsWhat(valid))} /> : null}
      {flow.step === "target" ? <TargetStep flow={flow} onChange={change} /> : null}
      {flow.step === "check" ? <CheckStep flow={flow} busy={looking} /> : null}
      {flow.step === "confirm" ? <ConfirmStep flow={flow} onType={(typed) => change({ typed })} /> : null}
      {flow.step === "progress" && flow.restoreId !== undefined ? <ProgressStep restoreId={flow.restoreId} /> : null}
      <Trouble problem={problem ?? start.problem} testID={`${id}.trouble`} />
    </Sheet>
  );
}
