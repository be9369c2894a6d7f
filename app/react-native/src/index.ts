export { BackupManagementComponent, type BackupManagementProps } from "./BackupManagementComponent";
export { BackupManagementScreen, type BackupManagementScreenProps } from "./BackupManagementScreen";
export { BackupStore, type BackupEvent, type Backups, type StoreOptions } from "./data/store";
export type { Connection, Filter, Seen } from "./data/seen";
export type { KeptStorage } from "./data/kept";
export { useBackups } from "./data/useBackups";
export { MESSAGES, type Locale, type Message, type MessageKey, type Messages } from "./messages";
export { protectionOf, type Protection, type ProtectionState } from "./model/protection";
export { darkTheme, lightTheme, type Theme, type Tone, type ToneName } from "./theme";
