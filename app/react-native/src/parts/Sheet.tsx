import { useEffect, useRef, type ReactNode } from "react";
import { KeyboardAvoidingView, Modal, Platform, Pressable, ScrollView, View } from "react-native";
import { useScreen } from "../context";
import { Button } from "./Button";
import { Txt } from "./Txt";

/**
 * What is looked at or answered before anything else. There is one, whose content changes: iOS presents no second one while the
 * first goes.
 */
export function Dialog({ label, onClose, children }: { label: string; onClose: () => void; children: ReactNode }) {
  const { isWide, reduceMotion } = useScreen();
  return (
    <Modal transparent visible animationType={reduceMotion ? "none" : "fade"} onRequestClose={onClose} aria-label={label} statusBarTranslucent navigationBarTranslucent>
      <KeyboardAvoidingView
        behavior="padding"
        style={{ flex: 1, justifyContent: isWide ? "center" : "flex-end", alignItems: "center", backgroundColor: "rgba(5, 12, 20, 0.6)" }}
      >
        <Pressable aria-hidden tabIndex={-1} accessible={false} onPress={onClose} style={{ position: "absolute", top: 0, bottom: 0, left: 0, right: 0 }} />
        {children}
      </KeyboardAvoidingView>
    </Modal>
  );
}

export interface SheetProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  /** What stays in sight beneath. */
  footer?: ReactNode;
  testID: string;
}

/** The content of a {@link Dialog}. */
export function Sheet({ title, onClose, children, footer, testID }: SheetProps) {
  const { theme, words, isWide, insets } = useScreen();
  const frame = useRef<View>(null);
  useEffect(() => {
    // What was focused has gone with the content before this one: a reader would begin with the page again.
    const page = Platform.OS === "web" ? (globalThis as { document?: { activeElement: unknown; body: unknown } }).document : undefined;
    if (page && page.activeElement === page.body) (frame.current as unknown as ElementLike | null)?.querySelector("[role=button]")?.focus();
  }, []);
  const corner = theme.radius * 1.5;
  const bottom = isWide ? 0 : insets.bottom;
  return (
    <View
      ref={frame}
      accessibilityViewIsModal
      onAccessibilityEscape={onClose}
      testID={testID}
      style={{
        width: "100%",
        maxWidth: isWide ? 600 : undefined,
        maxHeight: isWide ? "88%" : "94%",
        // Not beneath the clock of the phone.
        marginTop: isWide ? 0 : insets.top,
        backgroundColor: theme.background,
        borderTopLeftRadius: corner,
        borderTopRightRadius: corner,
        borderBottomLeftRadius: isWide ? corner : 0,
        borderBottomRightRadius: isWide ? corner : 0,
        overflow: "hidden",
        flexShrink: 1,
      }}
    >
      <View style={{ flexDirection: "row", alignItems: "center", gap: theme.space, padding: theme.space * 2, paddingBottom: theme.space }}>
        <View style={{ flex: 1 }}>
          <Txt size="title" level={2}>
            {title}
          </Txt>
        </View>
        <Button kind="quiet" label={words.t("action.close")} onPress={onClose} testID={`${testID}.close`} />
      </View>
      <ScrollView
        style={{ flexShrink: 1 }}
        tabIndex={0}
        contentContainerStyle={{ padding: theme.space * 2, paddingTop: 0, paddingBottom: theme.space * 2 + (footer === undefined ? bottom : 0), gap: theme.space * 2 }}
        keyboardShouldPersistTaps="handled"
      >
        {children}
      </ScrollView>
      {footer === undefined ? null : (
        <View
          style={{
            padding: theme.space * 2,
            paddingBottom: theme.space * 2 + bottom,
            borderTopWidth: 1,
            borderTopColor: theme.line,
            backgroundColor: theme.surface,
            gap: theme.space,
          }}
        >
          {footer}
        </View>
      )}
    </View>
  );
}

/** As much of a browser's element as is used here: this package knows no browser. */
interface ElementLike {
  querySelector(selector: string): { focus(): void } | null;
}
