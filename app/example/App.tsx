/**
 * A small app around the screen. Without an address of an API it shows a project that is made up; with one it asks that API, as the
 * person whose token it is given:
 *
 *   EXPO_PUBLIC_BACKUP_API=https://… EXPO_PUBLIC_BACKUP_TOKEN=eyJ… npx expo start
 *
 * A real app gives the token of its Supabase session instead; see docs/app.md.
 */

import { BackupService } from "@gasrapido/backup-client";
import { createMockBackupService } from "@gasrapido/backup-client/mock";
import { BackupManagementScreen, type BackupEvent } from "@gasrapido/backup-react-native";
import { useMemo, useState } from "react";
import { Platform, StatusBar, Text, View, useColorScheme } from "react-native";

const api = process.env["EXPO_PUBLIC_BACKUP_API"];
const token = process.env["EXPO_PUBLIC_BACKUP_TOKEN"];

export function App() {
  const isDark = useColorScheme() === "dark";
  const service = useMemo(() => (api && token ? new BackupService({ baseUrl: api, token }) : createMockBackupService()), []);
  const [last, setLast] = useState<BackupEvent>();
  const top = Platform.OS === "android" ? (StatusBar.currentHeight ?? 0) : Platform.OS === "ios" ? 54 : 0;
  return (
    <View style={{ flex: 1, height: Platform.OS === "web" ? ("100vh" as unknown as number) : "100%", paddingTop: top, backgroundColor: isDark ? "#0d141a" : "#f3f5f7" }}>
      <StatusBar barStyle={isDark ? "light-content" : "dark-content"} />
      {/* The place for a notification of the app's own. */}
      {last ? <Text style={{ padding: 8, textAlign: "center", color: isDark ? "#e8eef3" : "#14202b" }}>{`${last.type} ${last.id}`}</Text> : null}
      <BackupManagementScreen title="GasRápido" service={service} onEvent={setLast} />
    </View>
  );
}
