import { useEffect, useRef, type ReactNode } from "react";
import { AccessibilityInfo, Platform, Text, View } from "react-native";

/** Says a text aloud when it changes. iOS has no live regions: there it is announced. */
function useAnnouncement(text: string, first: boolean): void {
  const said = useRef(first ? "" : text);
  useEffect(() => {
    if (text === said.current) return;
    said.current = text;
    if (Platform.OS === "ios" && text !== "") AccessibilityInfo.announceForAccessibility(text);
  }, [text]);
}

/** Says aloud what has changed, and shows nothing. */
export function Announcer({ text }: { text: string }) {
  useAnnouncement(text, false);
  if (Platform.OS === "ios") return null;
  return (
    <View aria-live="polite" role="status" style={{ position: "absolute", width: 1, height: 1, overflow: "hidden" }}>
      <Text>{text}</Text>
    </View>
  );
}

/** Shows what is said aloud when it changes; with `alert` also when it appears. */
export function Live({ text, alert = false, children }: { text: string; alert?: boolean; children: ReactNode }) {
  useAnnouncement(text, alert);
  return (
    <View aria-live={alert ? "assertive" : "polite"} {...(alert ? { role: "alert" } : {})}>
      {children}
    </View>
  );
}
