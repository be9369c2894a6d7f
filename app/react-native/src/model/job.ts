/** What a backup, a restore and a cleanup have in common. Pure. */

/** Whether it is under way; what has a status that this version does not know is not. */
export function isUnderWay({ status }: { status: string }): boolean {
  return status === "pending" || status === "in_progress";
}
