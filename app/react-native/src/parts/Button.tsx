import { Pressable, View } from "react-native";
import { useScreen } from "../context";
import { Busy } from "./Busy";
import { Muted, Txt } from "./Txt";

export interface ButtonProps {
  label: string;
  onPress: () => void;
  kind?: "primary" | "plain" | "danger" | "quiet";
  /** Why it cannot be pressed; said beneath it, unless that is said elsewhere and this is empty. */
  locked?: string | undefined;
  /** Whether what it began is under way. */
  busy?: boolean;
  /** What a screen reader says instead of the label, where that alone is not plain. */
  spoken?: string;
  testID?: string | undefined;
}

/** As large as a thumb needs. */
export const TARGET = 44;

export function Button({ label, onPress, kind = "plain", locked, busy = false, spoken, testID }: ButtonProps) {
  const { theme } = useScreen();
  const isOff = locked !== undefined || busy;
  const filled = kind === "primary" || kind === "danger";
  const ground = kind === "primary" ? theme.primary : kind === "danger" ? theme.danger : "transparent";
  const ink = kind === "primary" ? theme.onPrimary : kind === "danger" ? theme.onDanger : theme.primary;
  return (
    <View style={{ gap: theme.space / 2, flexShrink: 1 }}>
      <Pressable
        role="button"
        aria-label={spoken ?? label}
        aria-disabled={isOff}
        aria-busy={busy}
        accessibilityHint={locked}
        disabled={isOff}
        onPress={onPress}
        testID={testID}
        style={({ pressed }) => ({
          minHeight: TARGET,
          minWidth: TARGET,
          paddingHorizontal: theme.space * (kind === "quiet" ? 1 : 2),
          paddingVertical: theme.space,
          borderRadius: theme.radius,
          borderWidth: filled || kind === "quiet" ? 0 : 1,
          borderColor: theme.line,
          backgroundColor: isOff && filled ? theme.neutral.ground : ground,
          alignItems: "center",
          justifyContent: "center",
          flexDirection: "row",
          gap: theme.space,
          opacity: pressed ? 0.75 : 1,
        })}
      >
        {busy ? <Busy /> : null}
        <Txt bold align="center" color={isOff ? theme.neutral.ink : ink}>
          {label}
        </Txt>
      </Pressable>
      {locked === undefined || locked === "" ? null : <Muted>{locked}</Muted>}
    </View>
  );
}
