import type { ReactNode } from "react";
import { Pressable, View } from "react-native";
import { useScreen } from "../context";
import { TARGET } from "./Button";
import { Muted, Txt } from "./Txt";

/** One of several, of which one is chosen. */
export function Choice({ label, hint, chosen, onChoose, locked, mark, testID }: {
  label: string;
  hint?: string | undefined;
  chosen: boolean;
  onChoose: () => void;
  locked?: string | undefined;
  mark?: ReactNode;
  testID?: string;
}) {
  const { theme } = useScreen();
  const isOff = locked !== undefined;
  return (
    <Pressable
      role="radio"
      aria-checked={chosen}
      aria-disabled={isOff}
      disabled={isOff}
      onPress={onChoose}
      testID={testID}
      style={{
        minHeight: TARGET,
        flexDirection: "row",
        alignItems: "center",
        gap: theme.space * 1.5,
        padding: theme.space * 1.5,
        borderRadius: theme.radius,
        borderWidth: chosen ? 2 : 1,
        borderColor: chosen ? theme.primary : theme.line,
        backgroundColor: theme.surface,
      }}
    >
      <View aria-hidden style={{ width: 20, height: 20, borderRadius: 10, borderWidth: 2, borderColor: isOff ? theme.line : theme.primary, alignItems: "center", justifyContent: "center" }}>
        {chosen ? <View style={{ width: 10, height: 10, borderRadius: 5, backgroundColor: theme.primary }} /> : null}
      </View>
      <View style={{ flex: 1, gap: 2 }}>
        <Txt bold color={isOff ? theme.muted : theme.text}>
          {label}
        </Txt>
        {hint === undefined ? null : <Muted>{hint}</Muted>}
        {locked === undefined ? null : <Muted>{locked}</Muted>}
      </View>
      {mark}
    </Pressable>
  );
}

export function Choices({ label, children }: { label: string; children: ReactNode }) {
  const { theme } = useScreen();
  return (
    <View role="radiogroup" aria-label={label} style={{ gap: theme.space }}>
      {children}
    </View>
  );
}

/** Something that is so, or not. */
export function Check({ label, hint, checked, onChange, testID }: { label: string; hint?: string; checked: boolean; onChange: (checked: boolean) => void; testID?: string }) {
  const { theme } = useScreen();
  return (
    <Pressable
      role="checkbox"
      aria-checked={checked}
      onPress={() => onChange(!checked)}
      testID={testID}
      style={{ minHeight: TARGET, flexDirection: "row", alignItems: "center", gap: theme.space * 1.5, paddingVertical: theme.space }}
    >
      <View aria-hidden style={{ width: 22, height: 22, borderRadius: 4, borderWidth: 2, borderColor: theme.primary, alignItems: "center", justifyContent: "center", backgroundColor: checked ? theme.primary : "transparent" }}>
        {checked ? <Txt size="small" bold color={theme.onPrimary}>✓</Txt> : null}
      </View>
      <View style={{ flex: 1, gap: 2 }}>
        <Txt>{label}</Txt>
        {hint === undefined ? null : <Muted>{hint}</Muted>}
      </View>
    </Pressable>
  );
}
