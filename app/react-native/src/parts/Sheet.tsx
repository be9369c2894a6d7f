import type { ReactNode } from "react";
import { Modal, Pressable, ScrollView, View } from "react-native";
import { useScreen } from "../context";
import { Button } from "./Button";
import { Txt } from "./Txt";

export interface SheetProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  /** What stays in sight beneath. */
  footer?: ReactNode;
  testID?: string;
}

/** Something that is looked at or answered before anything else. */
export function Sheet({ title, onClose, children, footer, testID }: SheetProps) {
  const { theme, words, isWide, reduceMotion } = useScreen();
  return (
    <Modal transparent visible animationType={reduceMotion ? "none" : "fade"} onRequestClose={onClose} aria-label={title}>
      <View style={{ flex: 1, justifyContent: isWide ? "center" : "flex-end", alignItems: "center", backgroundColor: "rgba(5, 12, 20, 0.6)" }}>
        <Pressable aria-hidden tabIndex={-1} accessible={false} onPress={onClose} style={{ position: "absolute", top: 0, bottom: 0, left: 0, right: 0 }} />
        <View
          accessibilityViewIsModal
          testID={testID}
          style={{
            width: "100%",
            maxWidth: isWide ? 600 : undefined,
            maxHeight: isWide ? "88%" : "94%",
            backgroundColor: theme.background,
            borderTopLeftRadius: theme.radius * 1.5,
            borderTopRightRadius: theme.radius * 1.5,
            borderBottomLeftRadius: isWide ? theme.radius * 1.5 : 0,
            borderBottomRightRadius: isWide ? theme.radius * 1.5 : 0,
            overflow: "hidden",
          }}
        >
          <View style={{ flexDirection: "row", alignItems: "center", gap: theme.space, padding: theme.space * 2, paddingBottom: theme.space }}>
            <View style={{ flex: 1 }}>
              <Txt size="title" level={2}>
                {title}
              </Txt>
            </View>
            <Button kind="quiet" label={words.t("action.close")} onPress={onClose} testID={testID === undefined ? undefined : `${testID}.close`} />
          </View>
          <ScrollView style={{ flexShrink: 1 }} tabIndex={0} contentContainerStyle={{ padding: theme.space * 2, paddingTop: 0, gap: theme.space * 2 }} keyboardShouldPersistTaps="handled">
            {children}
          </ScrollView>
          {footer === undefined ? null : (
            <View style={{ padding: theme.space * 2, borderTopWidth: 1, borderTopColor: theme.line, backgroundColor: theme.surface, gap: theme.space }}>{footer}</View>
          )}
        </View>
      </View>
    </Modal>
  );
}
