import type { ReactNode } from "react";
import { Text, type TextProps, type TextStyle } from "react-native";
import { useScreen } from "../context";
import type { Theme } from "../theme";

export type TxtSize = "title" | "heading" | "body" | "small";

const SIZES: Record<TxtSize, { fontSize: number; fontWeight: TextStyle["fontWeight"] }> = {
  title: { fontSize: 22, fontWeight: "700" },
  heading: { fontSize: 17, fontWeight: "600" },
  body: { fontSize: 15, fontWeight: "400" },
  small: { fontSize: 13, fontWeight: "400" },
};

/** How a text looks; its line is as high as it must be, however large the letters are. */
export function textStyle(theme: Theme, size: TxtSize, color?: string, bold = false): TextStyle {
  const { fontSize, fontWeight } = SIZES[size];
  const scaled = fontSize * theme.textScale;
  return {
    color: color ?? theme.text,
    fontSize: scaled,
    lineHeight: Math.round(scaled * 1.42),
    fontWeight: bold ? "600" : fontWeight,
    ...(theme.fontFamily === undefined ? {} : { fontFamily: theme.fontFamily }),
  };
}

export interface TxtProps extends Omit<TextProps, "style"> {
  size?: TxtSize;
  color?: string;
  bold?: boolean;
  align?: TextStyle["textAlign"];
  /** The level of a heading. */
  level?: 1 | 2 | 3;
  children: ReactNode;
}

export function Txt({ size = "body", color, bold = false, align, level, children, ...rest }: TxtProps) {
  const { theme } = useScreen();
  const heading = level === undefined ? {} : ({ role: "heading", "aria-level": level } as const);
  return (
    <Text {...heading} {...rest} style={[textStyle(theme, size, color, bold), align === undefined ? null : { textAlign: align }]}>
      {children}
    </Text>
  );
}

/** What is less important. */
export function Muted({ size = "small", ...rest }: TxtProps) {
  const { theme } = useScreen();
  return <Txt size={size} color={theme.muted} {...rest} />;
}
