/** What it is restored into. */

import type { Environment } from "@gasrapido/backup-client";
import { useScreen } from "../context";
import { Check, Choice, Choices } from "../parts/Choice";
import { Badge } from "../parts/Badge";
import { ENVIRONMENTS, targetLock, type Flow } from "./flow";

export function TargetStep({ flow, onChange }: { flow: Flow; onChange: (changed: Partial<Flow>) => void }) {
  const { theme, words, seen, testID } = useScreen();
  const you = seen.summary?.you;
  const id = `${testID}.target`;
  const lockText = (target: Environment) => {
    const key = targetLock(you, target);
    return key === undefined ? undefined : words.t(key);
  };
  return (
    <>
      <Choices label={words.t("restore.target")}>
        {ENVIRONMENTS.map((target) => (
          <Choice
            key={target}
            label={words.t(`restore.${target}`)}
            hint={words.t(`restore.${target}.hint`)}
            chosen={flow.target === target}
            onChoose={() => onChange({ target, plan: undefined })}
            locked={lockText(target)}
            mark={target === "production" ? <Badge tone="bad" text="!" theme={theme} /> : undefined}
            testID={`${id}.${target}`}
          />
        ))}
      </Choices>
      {flow.target === "production" ? null : (
        <Check label={words.t("restore.replace")} hint={words.t("restore.replace.hint")} checked={flow.replace} onChange={(replace) => onChange({ replace, plan: undefined })} testID={`${id}.replace`} />
      )}
    </>
  );
}
