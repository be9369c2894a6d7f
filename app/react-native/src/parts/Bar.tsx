import { View } from "react-native";
import { useScreen } from "../context";

/** How far something is. */
export function Bar({ percent, label, text }: { percent: number; label: string; text: string }) {
  const { theme } = useScreen();
  const share = Math.min(100, Math.max(0, percent));
  return (
    <View
      accessible
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(share)}
      aria-valuetext={text}
      style={{ height: 10, borderRadius: 5, backgroundColor: theme.neutral.ground, overflow: "hidden" }}
    >
      <View style={{ height: 10, width: `${share}%`, backgroundColor: theme.primary, borderRadius: 5 }} />
    </View>
  );
}
