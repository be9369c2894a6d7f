/** Colours and measures. A host may give its own for any of them. */

import { useColorScheme } from "react-native";

/** A colour that something is said in, and the ground that it is said on. */
export interface Tone {
  ink: string;
  ground: string;
}

export interface Theme {
  background: string;
  surface: string;
  text: string;
  muted: string;
  line: string;
  /** Buttons, and the text on them. */
  primary: string;
  onPrimary: string;
  danger: string;
  onDanger: string;
  good: Tone;
  warning: Tone;
  bad: Tone;
  busy: Tone;
  neutral: Tone;
  /** Corners. */
  radius: number;
  /** What distances are made of. */
  space: number;
  /** Texts are so much larger: for the web, where the system does not say. */
  textScale: number;
  fontFamily?: string;
}

export type ToneName = "good" | "warning" | "bad" | "busy" | "neutral";

const measures = { radius: 12, space: 8, textScale: 1 };

export const lightTheme: Theme = {
  ...measures,
  background: "#f3f5f7",
  surface: "#ffffff",
  text: "#14202b",
  muted: "#4c5a68",
  line: "#d3dae1",
  primary: "#0b5cad",
  onPrimary: "#ffffff",
  danger: "#b3261e",
  onDanger: "#ffffff",
  good: { ink: "#11603a", ground: "#e2f3e9" },
  warning: { ink: "#7d4300", ground: "#fdf0da" },
  bad: { ink: "#a61d16", ground: "#fce8e6" },
  busy: { ink: "#0a529b", ground: "#e3effb" },
  neutral: { ink: "#45525f", ground: "#e8ecf0" },
};

export const darkTheme: Theme = {
  ...measures,
  background: "#0d141a",
  surface: "#17212a",
  text: "#e8eef3",
  muted: "#a8b6c3",
  line: "#2d3b47",
  primary: "#7db8f7",
  onPrimary: "#06203c",
  danger: "#f7a9a2",
  onDanger: "#3b0d0a",
  good: { ink: "#86dbab", ground: "#12301f" },
  warning: { ink: "#f5c47f", ground: "#362507" },
  bad: { ink: "#f8b0aa", ground: "#3b1614" },
  busy: { ink: "#93c4fb", ground: "#0f2a45" },
  neutral: { ink: "#b4c0cb", ground: "#243240" },
};

/** That of the system, unless the host says which, with what the host changes. */
export function useTheme(theme: Partial<Theme> | undefined, scheme: "light" | "dark" | undefined): Theme {
  const system = useColorScheme();
  const base = (scheme ?? system) === "dark" ? darkTheme : lightTheme;
  return theme ? { ...base, ...theme } : base;
}
