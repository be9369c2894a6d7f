/**
 * The same by TanStack Query, for apps that have it: keys, queries and mutations of a service. Optional: the component does not use it.
 */

import type { BackupFilter, BackupStatus, RestoreRequest } from "@gasrapido/backup-client";
import { infiniteQueryOptions, queryOptions, useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Backups } from "./data/store";

/** Keys begin with the project: two services are two projects. */
export const backupKeys = {
  all: (service: Backups) => ["gasrapido-backup", service.baseUrl] as const,
  summary: (service: Backups) => [...backupKeys.all(service), "summary"] as const,
  list: (service: Backups, filter: Pick<BackupFilter, "status" | "source">) => [...backupKeys.all(service), "list", filter] as const,
  backup: (service: Backups, id: string) => [...backupKeys.all(service), "backup", id] as const,
  restore: (service: Backups, id: string) => [...backupKeys.all(service), "restore", id] as const,
};

const SUMMARY_MS = 30_000;
const RUNNING_MS = 2_000;
const PAGE = 20;

const isOver = (status: string | undefined) => status === "completed" || status === "failed";

export function backupSummaryQuery(service: Backups) {
  return queryOptions({ queryKey: backupKeys.summary(service), queryFn: ({ signal }) => service.summary({ signal }), refetchInterval: SUMMARY_MS });
}

export function backupQuery(service: Backups, id: string) {
  return queryOptions({
    queryKey: backupKeys.backup(service, id),
    queryFn: ({ signal }) => service.backup(id, { signal }),
    refetchInterval: (query) => (isOver(query.state.data?.status) ? false : RUNNING_MS),
  });
}

export function restoreQuery(service: Backups, id: string) {
  return queryOptions({
    queryKey: backupKeys.restore(service, id),
    queryFn: ({ signal }) => service.restore(id, { signal }),
    refetchInterval: (query) => (isOver(query.state.data?.status) ? false : RUNNING_MS),
  });
}

export function backupListQuery(service: Backups, filter: Pick<BackupFilter, "status" | "source"> = {}) {
  return infiniteQueryOptions({
    queryKey: backupKeys.list(service, filter),
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
      client.setQueryData(backupKeys.backup(service, backup.id), backup);
      return client.invalidateQueries({ queryKey: backupKeys.all(service) });
    },
  });
}

export function useStartRestore(service: Backups) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (request: RestoreRequest) => service.startRestore(request),
    onSuccess: (restore) => {
      client.setQueryData(backupKeys.restore(service, restore.id), restore);
      return client.invalidateQueries({ queryKey: backupKeys.all(service) });
    },
  });
}
