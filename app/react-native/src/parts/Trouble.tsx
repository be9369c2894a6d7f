import { BackupApiError, BackupError, BackupOfflineError } from "@gasrapido/backup-client";
import { useScreen } from "../context";
import type { Words } from "../words";
import { CopyDetails } from "./CopyDetails";
import { Notice } from "./Notice";

/** What went wrong, in the person's language; and what the server said, in its own. */
export function describe(problem: unknown, words: Words): { title: string; detail: string | undefined; requestId: string | undefined } {
  if (problem instanceof BackupOfflineError) return { title: words.t("problem.offline"), detail: undefined, requestId: undefined };
  if (problem instanceof BackupApiError) {
    const own = { 401: "state.unauthorized", 403: "locked.role", 404: "problem.not_found", 409: "problem.conflict", 422: "problem.invalid", 400: "problem.invalid" } as const;
    const key = own[problem.status as keyof typeof own] ?? "problem.other";
    return { title: words.t(key), detail: words.t("problem.detail", { detail: problem.message }), requestId: problem.requestId };
  }
  const detail = problem instanceof BackupError ? words.t("problem.detail", { detail: problem.message }) : undefined;
  return { title: words.t("problem.other"), detail, requestId: undefined };
}

export function Trouble({ problem, testID }: { problem: unknown; testID?: string }) {
  const { words } = useScreen();
  if (problem === undefined) return null;
  const { title, detail, requestId } = describe(problem, words);
  return (
    <Notice alert tone="bad" title={title} text={detail} {...(testID === undefined ? {} : { testID })}>
      {requestId === undefined ? null : <CopyDetails text={`${title}\n${detail ?? ""}\n${words.t("job.request", { id: requestId })}`} label={words.t("job.request", { id: requestId })} />}
    </Notice>
  );
}
