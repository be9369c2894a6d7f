import { Text, View } from "react-native";
import type { Theme, ToneName } from "../theme";

const SIGNS: Record<ToneName, string> = { good: "✓", warning: "!", bad: "×", busy: "…", neutral: "?" };

/** A sign in a circle: the colour never says it alone. */
export function Mark({ tone, theme, size = 20 }: { tone: ToneName; theme: Theme; size?: number }) {
  const { ink, ground } = theme[tone];
  return (
    <View
      aria-hidden
      style={{ width: size, height: size, borderRadius: size / 2, borderWidth: 1.5, borderColor: ink, backgroundColor: ground, alignItems: "center", justifyContent: "center" }}
    >
      <Text allowFontScaling={false} style={{ color: ink, fontSize: size * 0.62, lineHeight: size * 0.84, fontWeight: "700" }}>
        {SIGNS[tone]}
      </Text>
    </View>
  );
}
