/** Somebody of the stack on this machine signs in. Where there is Supabase Auth, the app does that. */

import { Pressable, Text, View, useColorScheme } from "react-native";
import { darkTheme, lightTheme } from "@gasrapido/backup-react-native";

const PEOPLE = [
  ["viewer", "looks, and changes nothing"],
  ["operator", "makes backups, restores into development and staging"],
  ["admin", "also cleans up, keeps copies, sees who did what"],
  ["restorer", "restores into production"],
  ["everything", "all of that"],
] as const;

export function SignIn({ onSignIn }: { onSignIn: (role: string) => void }) {
  const theme = useColorScheme() === "dark" ? darkTheme : lightTheme;
  return (
    <View role="main" style={{ flex: 1, backgroundColor: theme.background, padding: 24, gap: 12, alignItems: "center" }}>
      <Text role="heading" aria-level={1} style={{ color: theme.text, fontSize: 22, fontWeight: "700" }}>
        Who are you?
      </Text>
      <Text style={{ color: theme.muted, fontSize: 15, textAlign: "center" }}>The stack on this machine signs a token for you, as Supabase Auth would.</Text>
      {PEOPLE.map(([role, what]) => (
        <Pressable
          key={role}
          role="button"
          testID={`signIn.${role}`}
          onPress={() => onSignIn(role)}
          style={{ minHeight: 44, width: "100%", maxWidth: 420, borderRadius: 12, borderWidth: 1, borderColor: theme.line, backgroundColor: theme.surface, padding: 12 }}
        >
          <Text style={{ color: theme.text, fontSize: 15, fontWeight: "600" }}>{role}</Text>
          <Text style={{ color: theme.muted, fontSize: 13 }}>{what}</Text>
        </Pressable>
      ))}
    </View>
  );
}
