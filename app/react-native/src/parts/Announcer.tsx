import { useEffect, useRef } from "react";
import { AccessibilityInfo, Platform, Text, View } from "react-native";

/** Says aloud what has changed, and shows nothing. iOS has no live regions: there it is announced. */
export function Announcer({ text }: { text: string }) {
  const said = useRef(text);
  useEffect(() => {
    if (text === said.current) return;
    said.current = text;
    if (Platform.OS === "ios" && text !== "") AccessibilityInfo.announceForAccessibility(text);
  }, [text]);
  if (Platform.OS === "ios") return null;
  return (
    <View aria-live="polite" role="status" style={{ position: "absolute", width: 1, height: 1, overflow: "hidden" }}>
      <Text>{text}</Text>
    </View>
  );
}
