/** The types of the API, as its document has them, under the names of the specification and ours. */

import type { components } from "./schema.js";

type Schemas = components["schemas"];

export type BackupStatus = Schemas["BackupStatus"];
export type BackupMetadata = Schemas["BackupMetadata"];
export type BackupConfig = Schemas["BackupConfig"];
export type RestoreRequest = Schemas["RestoreRequest"];

export type BackupPage = Schemas["BackupPage"];
export type TableList = Schemas["TableList"];
export type RestoreStatus = Schemas["RestoreStatus"];
export type RestorePlan = Schemas["RestorePlan"];
export type RestorePage = Schemas["RestorePage"];
export type CleanupStatus = Schemas["CleanupStatus"];
export type CleanupPlan = Schemas["CleanupPlan"];
export type CleanupPage = Schemas["CleanupPage"];
export type DrillPage = Schemas["DrillPage"];
export type RotationPage = Schemas["RotationPage"];
export type AuditPage = Schemas["AuditPage"];
export type Usage = Schemas["UsageRecord"];
export type Summary = Schemas["Summary"];
export type History = Schemas["History"];
export type Warning = Schemas["Warning"];
export type Replica = Schemas["Replica"];
export type DrillRecord = Schemas["DrillRecord"];
export type AuditEntry = Schemas["AuditEntry"];
export type Policy = Schemas["Policy"];
export type Problem = Schemas["Problem"];
export type Environment = Schemas["Environment"];
export type Status = Schemas["Status"];
