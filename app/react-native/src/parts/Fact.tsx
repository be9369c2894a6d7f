import type { ReactNode } from "react";
import { View } from "react-native";
import { useScreen } from "../context";
import { Txt } from "./Txt";

/** A name and what it is. */
export function Fact({ name, children }: { name: string; children: ReactNode }) {
  const { theme } = useScreen();
  return (
    <View style={{ gap: 2, paddingVertical: theme.space / 2, borderBottomWidth: 1, borderBottomColor: theme.line }}>
      <Txt size="small" color={theme.muted}>
        {name}
      </Txt>
      {typeof children === "string" ? <Txt selectable>{children}</Txt> : children}
    </View>
  );
}
