/**
 * The same by TanStack Query, for apps that have it: keys, queries and mutations of a service. Optional: the component does not use it.
 */

import type { BackupFilter, BackupStatus, RestoreRequest } from "@gasrapido/backup-client";
import { infiniteQueryOptions, queryOptions, useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Backups } from "./data/store";

export const backupKeys = {
  all: ["gasrapido-backup"] as const,
  summary: () => [...backupKeys.all, "summary"] as const,
  history: () => [...backupKeys.all, "history"] as const,
  list: (filter: Pick<BackupFilter, "status" | "source">) => [...backupKeys.all, "list", filter] as const,
  backup: (id: string) => [...backupKeys.all, "backup", id] as const,
  restore: (id: string) => [...backupKeys.all, "restore", id] as const,
  drills: () => [...backupKeys.all, "drills"] as const,
  usage: () => [...backupKeys.all, "usage"] as const,
};

const SUMMARY_MS = 30_000;
const RUNNING_MS = 2_000;
const PAGE = 20;

const isOver = (status: string | undefined) => status === "completed" || status === "failed";

export function backupSummaryQuery(service: Backups) {
  return queryOptions({ queryKey: backupKeys.summary(), queryFn: ({ signal }) => service.summary({ signal }), refetchInterval: SUMMARY_MS });
}

export function backupQuery(service: Backups, id: string) {
  return queryOptions({
    queryKey: backupKeys.backup(id),
    queryFn: ({ signal }) => service.backup(id, { signal }),
    refetchInterval: (query) => (isOver(query.state.data?.status) ? false : RUNNING_MS),
  });
}

export function restoreQuery(service: Backups, id: string) {
  return queryOptions({
    queryKey: backupKeys.restore(id),
    queryFn: ({ signal }) => service.restore(id, { signal }),
    refetchInterval: (query) => (isOver(query.state.data?.status) ? false : RUNNING_MS),
  });
}

export function backupListQuery(service: Backups, filter: Pick<BackupFilter, "status" | "source"> = {}) {
  return infiniteQueryOptions({
    queryKey: backupKeys.list(filter),
    queryFn: ({ pageParam, signal }) => service.backups({ ...filter, limit: PAGE, signal, ...(pageParam === undefined ? {} : { cursor: pageParam }) }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor,
  });
}

export function useBackupSummary(service: Backups) {
  return useQuery(backupSummaryQuery(service));
}

export function useBackupList(service: Backups, filter: Pick<BackupFilter, "status" | "source"> = {}) {
  return useInfiniteQuery(backupListQuery(service, filter));
}

export function useBackup(service: Backups, id: string) {
  return useQuery(backupQuery(service, id));
}

export function useRestore(service: Backups, id: string) {
  return useQuery(restoreQuery(service, id));
}

export function useStartBackup(service: Backups) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (source: string | undefined) => (source === undefined ? service.startAutomaticBackup() : service.createManualBackup(source)),
    onSuccess: (backup: BackupStatus) => {
      client.setQueryData(backupKeys.backup(backup.id), backup);
      return client.invalidateQueries({ queryKey: backupKeys.all });
    },
  });
}

export function useStartRestore(service: Backups) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (request: RestoreRequest) => service.startRestore(request),
    onSuccess: (restore) => {
      client.setQueryData(backupKeys.restore(restore.id), restore);
      return client.invalidateQueries({ queryKey: backupKeys.all });
    },
  });
}
