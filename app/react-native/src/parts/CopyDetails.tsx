import { useState } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import { Button } from "./Button";
import { Txt } from "./Txt";

/** An id that somebody may want to tell somebody else, and a way to take it along with what belongs to it. */
export function CopyDetails({ label, text }: { label: string; text: string }) {
  const { theme, words, copyText } = useScreen();
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    // Whoever was shown where it may go can say nowhere.
    setCopied((await copyText(text)) !== false);
  };
  return (
    <View style={{ gap: theme.space / 2, alignItems: "flex-start" }}>
      <Txt size="small" selectable>
        {label}
      </Txt>
      <Button kind="quiet" label={words.t(copied ? "action.copied" : "action.copyDetails")} onPress={() => void copy().catch(() => undefined)} />
    </View>
  );
}
