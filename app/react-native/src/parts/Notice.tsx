import type { ReactNode } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import type { ToneName } from "../theme";
import { Mark } from "./Mark";
import { Txt } from "./Txt";

/** Something that a person must know, in a box of its colour. */
export function Notice({ tone, title, text, children, testID }: { tone: ToneName; title: string; text?: string | undefined; children?: ReactNode; testID?: string }) {
  const { theme } = useScreen();
  const { ink, ground } = theme[tone];
  return (
    <View testID={testID} style={{ flexDirection: "row", gap: theme.space * 1.5, backgroundColor: ground, borderRadius: theme.radius, padding: theme.space * 1.5 }}>
      <Mark tone={tone} theme={theme} />
      <View style={{ flex: 1, gap: theme.space }}>
        <Txt bold color={ink}>
          {title}
        </Txt>
        {text === undefined ? null : <Txt size="small" color={ink}>{text}</Txt>}
        {children}
      </View>
    </View>
  );
}
