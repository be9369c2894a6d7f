/** Says aloud when the verdict, a job or its quarter changes. */

import { useScreen } from "../context";
import { runningRestore, waitingRestore } from "../data/lock";
import { isUnderWay } from "../model/job";
import { protectionOf } from "../model/protection";
import { Announcer } from "../parts/Announcer";

export function Announcement() {
  const { words, seen, now } = useScreen();
  const backup = seen.backups.find(isUnderWay);
  const restore = runningRestore(seen) ?? waitingRestore(seen);
  const protection = protectionOf(seen.summary, seen.seenAt, now, false);
  const parts = [seen.summary === undefined ? "" : words.t(`protection.${protection.state}`)];
  const quarter = (progress: number) => words.percent(Math.floor(progress / 25) * 25);
  if (backup) parts.push(words.t("announce.progress", { what: words.t("job.backup"), percent: quarter(backup.progress) }));
  if (restore) parts.push(words.t("announce.progress", { what: words.t("restore.heading"), percent: quarter(restore.progress) }));
  const [newest] = seen.backups;
  if (!backup && newest?.status === "failed") parts.push(words.t("job.failed"));
  return <Announcer text={parts.filter((part) => part !== "").join(". ")} />;
}
