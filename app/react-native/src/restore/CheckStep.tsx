/** What the restore would do, and the words that confirm it. */

import { View } from "react-native";
import { useScreen } from "../context";
import { targetName } from "../names";
import { Fact } from "../parts/Fact";
import { Field } from "../parts/Field";
import { Notice } from "../parts/Notice";
import { Muted, Txt } from "../parts/Txt";
import { Warnings } from "../parts/Warnings";
import { isConfirmed, replaces, type Flow } from "./flow";

export function CheckStep({ flow, busy }: { flow: Flow; busy: boolean }) {
  const { words, testID } = useScreen();
  const { plan } = flow;
  if (plan === undefined) return busy ? <Muted>{words.t("restore.checking")}</Muted> : null;
  const target = targetName(plan.targetEnvironment, words);
  const willReplace = replaces(flow);
  const size = { rows: words.t("job.rows", { count: plan.rows }), bytes: words.bytes(plan.bytes) };
  return (
    <View testID={`${testID}.check`}>
      <Fact name={words.t("restore.check.copy")}>{words.timeAndUtc(plan.takenAt)}</Fact>
      <Fact name={words.t("restore.check.integrity")}>{words.t("restore.check.integrity.value")}</Fact>
      <Fact name={words.t("restore.check.size")}>{plan.masked ? words.t("restore.check.size.most", size) : `${size.rows} · ${size.bytes}`}</Fact>
      <Fact name={words.t("restore.check.time")}>{plan.expectedMs === undefined ? words.t("restore.check.time.unknown") : words.duration(plan.expectedMs)}</Fact>
      <Fact name={words.t("restore.check.region")}>{plan.region}</Fact>
      <Fact name={words.t("restore.check.masked")}>{words.t(plan.masked ? "restore.check.masked.yes" : "restore.check.masked.no")}</Fact>
      <Fact name={words.t("restore.check.overwrites")}>
        {willReplace ? words.t("restore.check.overwrites.yes", { schemas: plan.schemas.join(", "), target }) : words.t("restore.check.overwrites.no")}
      </Fact>
      <Fact name={words.t("restore.check.safety")}>{words.t(plan.safetyBackup ? "restore.check.safety.yes" : "restore.check.safety.no", { target })}</Fact>
      {plan.notInBackup.length === 0 ? null : (
        <Fact name={words.t("restore.check.missing")}>
          <View>
            {plan.notInBackup.map((part) => (
              <Txt key={part.part} size="small">{`• ${part.part}${part.detail === undefined ? "" : `: ${part.detail}`}`}</Txt>
            ))}
          </View>
        </Fact>
      )}
      <Warnings warnings={plan.warnings} />
    </View>
  );
}

export function ConfirmStep({ flow, onType }: { flow: Flow; onType: (text: string) => void }) {
  const { words, testID } = useScreen();
  const { plan, typed } = flow;
  if (plan === undefined) return null;
  const target = targetName(plan.targetEnvironment, words);
  const isWrong = typed !== "" && !isConfirmed(flow);
  return (
    <>
      <Notice tone="bad" title={words.t("restore.confirm.warning", { target, time: words.time(plan.takenAt) })} text={plan.safetyBackup ? words.t("restore.check.safety.yes", { target }) : undefined} />
      <Field
        label={words.t("restore.confirm.type", { words: plan.confirmation })}
        value={typed}
        onChange={onType}
        wrong={isWrong ? words.t("restore.confirm.wrong") : undefined}
        autoCapitalize="none"
        testID={`${testID}.confirmation`}
      />
    </>
  );
}
