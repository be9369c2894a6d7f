// @vitest-environment jsdom
import { MockApi, serviceOf } from "@gasrapido/backup-client/mock";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { describe, expect, it } from "vitest";
import { useBackups } from "../src/data/useBackups";
import { backupKeys, useBackup, useBackupList, useBackupSummary, useStartBackup } from "../src/query";

function around() {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false, gcTime: Infinity } } });
  return { client, wrapper: ({ children }: { children: ReactNode }) => <QueryClientProvider client={client}>{children}</QueryClientProvider> };
}

const service = () => serviceOf(new MockApi({ latencyMs: 1, jobMs: 1_500 }));

describe("the hooks", () => {
  it("of TanStack Query ask, page, and follow what was begun", async () => {
    const asked = service();
    const { wrapper, client } = around();
    const { result } = renderHook(() => ({ summary: useBackupSummary(asked), list: useBackupList(asked, { status: "completed" }), start: useStartBackup(asked) }), { wrapper });
    await waitFor(() => expect(result.current.summary.data?.verdict).toBe("protected"));
    await waitFor(() => expect(result.current.list.data?.pages).toHaveLength(1));
    await act(() => result.current.list.fetchNextPage());
    await waitFor(() => expect(result.current.list.data?.pages).toHaveLength(2));
    const made = await act(() => result.current.start.mutateAsync("all"));
    expect(client.getQueryData(backupKeys.backup(asked, made.id))).toMatchObject({ status: "pending" });
    const { result: followed } = renderHook(() => useBackup(asked, made.id), { wrapper });
    await waitFor(() => expect(followed.current.data?.status).toBe("completed"), { timeout: 10_000 });
    client.clear();
  });

  it("of the component look while they are there, and then no more", async () => {
    const asked = service();
    const { result, unmount } = renderHook(() => useBackups(asked, { pollMs: 20 }));
    await waitFor(() => expect(result.current.seen.audit).toBeDefined());
    const { store } = result.current;
    unmount();
    await new Promise((resolve) => setTimeout(resolve, 60));
    const seen = store.get();
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(store.get()).toBe(seen);
  });
});
