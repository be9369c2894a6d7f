/** What the things of the API are called, those too that are newer than this. */

import type { Words } from "./words";

export function targetName(target: string, words: Words): string {
  const key = `restore.${target}`;
  return words.has(key) ? words.t(key) : target;
}

export function phaseName(phase: string, words: Words): string {
  const key = `restore.phase.${phase}`;
  return words.has(key) ? words.t(key) : phase;
}

export function triggerName(trigger: string, words: Words): string {
  const key = `copy.${trigger}`;
  return words.has(key) ? words.t(key) : trigger;
}
