import { Text, View } from "react-native";
import type { Theme, ToneName } from "../theme";
import { Mark } from "./Mark";
import { textStyle } from "./Txt";

/** A few words on how something is. Takes the theme, and not the screen: long lists are made of it. */
export function Badge({ tone, text, theme }: { tone: ToneName; text: string; theme: Theme }) {
  const { ink, ground } = theme[tone];
  return (
    <View
      style={{
        flexDirection: "row",
        alignItems: "center",
        gap: theme.space / 2,
        backgroundColor: ground,
        borderRadius: theme.radius,
        paddingHorizontal: theme.space,
        paddingVertical: 2,
        flexShrink: 1,
      }}
    >
      <Mark tone={tone} theme={theme} size={14} />
      <Text style={[textStyle(theme, "small", ink), { flexShrink: 1 }]}>{text}</Text>
    </View>
  );
}
