/** What a person must know of how the app itself is: that there is no connection, that nobody is signed in. */

import { View } from "react-native";
import { useScreen } from "../context";
import { Button } from "../parts/Button";
import { Notice } from "../parts/Notice";
import { describe } from "../parts/Trouble";
import { CopyDetails } from "../parts/CopyDetails";

export function Status() {
  const { words, seen, now, testID, store } = useScreen();
  const { connection, summary, problem, againAt } = seen;
  const again = (
    <View style={{ alignItems: "flex-start" }}>
      <Button label={words.t("action.retry")} onPress={() => void store.refresh()} testID={`${testID}.retry`} />
    </View>
  );
  const id = `${testID}.status`;
  switch (connection) {
    case "offline":
      return (
        <Notice tone="warning" testID={id} title={summary ? words.t("state.offline", { ago: words.ago(Math.max(0, now - seen.seenAt)) }) : words.t("state.offline.never")} text={words.t("state.offline.hint")}>
          {again}
        </Notice>
      );
    case "unauthorized":
      return <Notice tone="warning" testID={id} title={words.t("state.unauthorized")}>{again}</Notice>;
    case "forbidden":
      return <Notice tone="warning" testID={id} title={words.t("state.forbidden")} text={words.t("state.forbidden.hint")}>{again}</Notice>;
    case "limited":
      return <Notice tone="warning" testID={id} title={words.t("state.limited", { when: words.until(Math.max(0, (againAt ?? now) - now)) })} />;
    case "error": {
      const { detail, requestId } = describe(problem, words);
      return (
        <Notice tone="bad" testID={id} title={words.t("state.error")} text={detail}>
          {requestId === undefined ? null : <CopyDetails label={words.t("job.request", { id: requestId })} text={`${detail ?? ""} ${requestId}`} />}
          {again}
        </Notice>
      );
    }
    default:
      if (summary && !summary.you.backUp && summary.you.restoreInto.length === 0 && !summary.you.administer) {
        return <Notice tone="neutral" testID={id} title={words.t("state.readOnly")} />;
      }
      return null;
  }
}
