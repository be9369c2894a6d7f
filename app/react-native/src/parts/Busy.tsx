import { ActivityIndicator } from "react-native";
import { useScreen } from "../context";
import { Mark } from "./Mark";

/** That something is under way; it does not turn where a person wants less motion. */
export function Busy() {
  const { theme, words, reduceMotion } = useScreen();
  if (reduceMotion) return <Mark tone="busy" theme={theme} />;
  return <ActivityIndicator size="small" color={theme.neutral.ink} aria-label={words.t("locked.busy")} />;
}
