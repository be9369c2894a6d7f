/** What a host may write, and may not: proved by the compiler alone. */

import type { BackupService } from "@gasrapido/backup-client";
import type { ComponentProps } from "react";
import { BackupManagementComponent, BackupManagementScreen, MESSAGES, type BackupEvent, type BackupManagementProps, type Backups, type MessageKey, type Theme } from "../src";

type Expect<T extends true> = T;
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type RequiredKeys<T> = { [K in keyof T]-?: object extends Pick<T, K> ? never : K }[keyof T];

export type Proofs = [
  // A service is all that it needs, and the client's is one.
  Expect<Equal<RequiredKeys<BackupManagementProps>, "service">>,
  Expect<BackupService extends Backups ? true : false>,
  Expect<Equal<ComponentProps<typeof BackupManagementComponent>, BackupManagementProps>>,
  Expect<Equal<Exclude<keyof ComponentProps<typeof BackupManagementScreen>, keyof BackupManagementProps>, "title">>,
  Expect<Equal<BackupEvent["type"], "backup.completed" | "backup.failed" | "restore.completed" | "restore.failed">>,
  // Each language has each text.
  Expect<Equal<keyof (typeof MESSAGES)["pt-BR"], MessageKey>>,
  Expect<Equal<BackupManagementProps["theme"], Partial<Theme> | undefined>>,
];

declare const service: BackupService;
export const right: BackupManagementProps = { service, locale: "pt-BR", messages: { "action.backUp": "Fazer backup" }, theme: { primary: "#006400" } };
// @ts-expect-error there is no such text
export const wrongText: BackupManagementProps = { service, messages: { "action.backup": "x" } };
// @ts-expect-error there is no such colour
export const wrongTheme: BackupManagementProps = { service, theme: { accent: "#006400" } };
// @ts-expect-error a service is needed
export const nothing: BackupManagementProps = {};
