import type { ReactNode } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import type { ToneName } from "../theme";
import { Live } from "./Announcer";
import { Mark } from "./Mark";
import { Txt } from "./Txt";

export interface NoticeProps {
  tone: ToneName;
  title: string;
  text?: string | undefined;
  children?: ReactNode;
  testID?: string;
  /** Said aloud when it appears: something that a person did not expect. */
  alert?: boolean;
}

/** Something that a person must know, in a box of its colour. */
export function Notice({ tone, title, text, children, testID, alert = false }: NoticeProps) {
  const { theme } = useScreen();
  const { ink, ground } = theme[tone];
  const box = (
    <View testID={testID} style={{ flexDirection: "row", gap: theme.space * 1.5, backgroundColor: ground, borderRadius: theme.radius, padding: theme.space * 1.5 }}>
      <Mark tone={tone} theme={theme} />
      <View style={{ flex: 1, gap: theme.space }}>
        <Txt bold color={ink}>
          {title}
        </Txt>
        {text === undefined ? null : (
          <Txt size="small" color={ink}>
            {text}
          </Txt>
        )}
        {children}
      </View>
    </View>
  );
  return alert ? (
    <Live alert text={text === undefined ? title : `${title} ${text}`}>
      {box}
    </Live>
  ) : (
    box
  );
}
