import type { ReactNode } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import { Txt } from "./Txt";

/** A part of the screen, with its name. */
export function Card({ heading, children, testID }: { heading?: string; children: ReactNode; testID?: string }) {
  const { theme } = useScreen();
  return (
    <View
      testID={testID}
      style={{
        backgroundColor: theme.surface,
        borderRadius: theme.radius,
        borderWidth: 1,
        borderColor: theme.line,
        padding: theme.space * 2,
        gap: theme.space * 1.5,
      }}
    >
      {heading === undefined ? null : (
        <Txt size="heading" level={2}>
          {heading}
        </Txt>
      )}
      {children}
    </View>
  );
}
