import type { Warning } from "@gasrapido/backup-client";
import { useState } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import { Button } from "./Button";
import { Notice } from "./Notice";
import { Txt } from "./Txt";

/** More than these are shown when they are asked for. */
const SHOWN = 5;

/** What a person should know, in the words of the server. */
export function Warnings({ warnings }: { warnings: readonly Warning[] | undefined }) {
  const { theme, words } = useScreen();
  const [all, setAll] = useState(false);
  if (warnings === undefined || warnings.length === 0) return null;
  const shown = all ? warnings : warnings.slice(0, SHOWN);
  return (
    <Notice tone="warning" title={words.t("copy.warnings")}>
      {shown.map((warning) => (
        <Txt key={warning.code + warning.message} size="small" color={theme.warning.ink}>{`• ${warning.message}`}</Txt>
      ))}
      {shown.length < warnings.length ? (
        <View style={{ flexDirection: "row", marginLeft: -theme.space }}>
          <Button kind="quiet" label={`${words.t("action.showAll")} (${words.number(warnings.length)})`} onPress={() => setAll(true)} />
        </View>
      ) : null}
    </Notice>
  );
}
