/** The states that the mock plays. Each is a situation that a screen must show well. */

export const MOCK_STATES = [
  "protected",
  "loading",
  "empty",
  "at_risk",
  "not_protected",
  "offline",
  "offline_old",
  "unauthorized",
  "forbidden",
  "read_only",
  "error",
  "rate_limited",
  "pending",
  "running",
  "stalled",
  "replicating",
  "verifying",
  "not_replicated",
  "not_verified",
  "failed",
  "missed",
  "expired",
  "restoring",
  "approval",
  "restored",
  "unknown_status",
  "many",
] as const;

export type MockState = (typeof MOCK_STATES)[number];

export function isMockState(text: string): text is MockState {
  return (MOCK_STATES as readonly string[]).includes(text);
}
