import { useState } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import type { Action } from "../data/useAction";
import { Button } from "./Button";
import { Notice } from "./Notice";
import { Trouble } from "./Trouble";

/** Something that is asked once more before it is done. It is asked in its place: there may be a dialog around it. */
export function Confirm({ label, question, hint, action, locked, testID }: {
  label: string;
  question: string;
  hint: string;
  action: Action<[], void>;
  locked: string | undefined;
  testID: string;
}) {
  const { theme, words } = useScreen();
  const [asking, setAsking] = useState(false);
  if (!asking) {
    return (
      <View style={{ gap: theme.space, alignItems: "flex-start" }}>
        <Button label={label} onPress={() => setAsking(true)} busy={action.busy} locked={locked} testID={testID} />
        <Trouble problem={action.problem} />
      </View>
    );
  }
  const yes = () => {
    setAsking(false);
    void action.run();
  };
  return (
    <Notice tone="warning" title={question} text={hint} testID={`${testID}.question`} alert>
      <View style={{ flexDirection: "row", flexWrap: "wrap", gap: theme.space }}>
        <Button kind="danger" label={label} onPress={yes} locked={locked} testID={`${testID}.yes`} />
        <Button label={words.t("action.back")} onPress={() => setAsking(false)} testID={`${testID}.no`} />
      </View>
    </Notice>
  );
}
