import { TextInput, View, type TextInputProps } from "react-native";
import { useScreen } from "../context";
import { Live } from "./Announcer";
import { TARGET } from "./Button";
import { Muted, Txt, textStyle } from "./Txt";

/** Something that is typed. */
export function Field({ label, value, onChange, wrong, testID, ...rest }: {
  label: string;
  value: string;
  onChange: (text: string) => void;
  /** What is wrong with it. */
  wrong?: string | undefined;
  testID?: string;
} & Pick<TextInputProps, "autoCapitalize" | "inputMode" | "maxLength" | "placeholder">) {
  const { theme } = useScreen();
  return (
    <View style={{ gap: theme.space / 2 }}>
      <Txt size="small" bold>
        {label}
      </Txt>
      <TextInput
        {...rest}
        value={value}
        onChangeText={onChange}
        aria-label={label}
        autoCorrect={false}
        spellCheck={false}
        testID={testID}
        placeholderTextColor={theme.muted}
        style={[
          textStyle(theme, "body"),
          { minHeight: TARGET, borderWidth: 1, borderColor: wrong === undefined ? theme.muted : theme.danger, borderRadius: theme.radius, paddingHorizontal: theme.space * 1.5, backgroundColor: theme.surface },
        ]}
      />
      {wrong === undefined ? null : (
        <Live alert text={wrong}>
          <Muted>{wrong}</Muted>
        </Live>
      )}
    </View>
  );
}
