/** What came of the last restore, for a day: it must not be gone with the sheet. */

import type { RestoreStatus } from "@gasrapido/backup-client";
import { View } from "react-native";
import { useScreen } from "../context";
import { endOf } from "../names";
import { Button } from "../parts/Button";
import { Notice } from "../parts/Notice";

const SHOWN_MS = 24 * 3_600_000;

export function LastRestore({ onOpen }: { onOpen: (restore: RestoreStatus) => void }) {
  const { theme, words, seen, now, testID } = useScreen();
  const [last] = seen.restores;
  if (!last || last.completedAt === undefined || (last.status !== "completed" && last.status !== "failed")) return null;
  const age = now - Date.parse(last.completedAt);
  if (age > SHOWN_MS) return null;
  const { tone, title } = endOf(last, words);
  const rows = last.restored ? words.t("restore.rows", { rows: last.restored.rows, total: last.rowsTotal }) : last.error;
  return (
    <Notice tone={tone} title={`${title} · ${words.ago(age)}`} text={rows} testID={`${testID}.lastRestore`}>
      <View style={{ flexDirection: "row", marginLeft: -theme.space }}>
        <Button kind="quiet" label={words.t("action.details")} onPress={() => onOpen(last)} testID={`${testID}.lastRestore.open`} />
      </View>
    </Notice>
  );
}
