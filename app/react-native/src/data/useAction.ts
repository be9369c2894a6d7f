/** Something that a person asks for: whether it is under way, and what came of it. */

import { useCallback, useEffect, useRef, useState } from "react";

export interface Action<A extends unknown[], T> {
  run(...args: A): Promise<T | undefined>;
  busy: boolean;
  /** What went wrong with the last time. */
  problem: unknown;
  forget(): void;
}

export function useAction<A extends unknown[], T>(work: (...args: A) => Promise<T>): Action<A, T> {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const isThere = useRef(true);
  const isBusy = useRef(false);
  const latest = useRef(work);
  useEffect(() => {
    latest.current = work;
  });
  useEffect(() => {
    isThere.current = true;
    return () => {
      isThere.current = false;
    };
  }, []);
  const run = useCallback(async (...args: A): Promise<T | undefined> => {
    // A second tap is the first one.
    if (isBusy.current) return undefined;
    isBusy.current = true;
    setBusy(true);
    setProblem(undefined);
    try {
      return await latest.current(...args);
    } catch (error) {
      if (isThere.current) setProblem(error ?? new Error("unknown"));
      return undefined;
    } finally {
      isBusy.current = false;
      if (isThere.current) setBusy(false);
    }
  }, []);
  const forget = useCallback(() => setProblem(undefined), []);
  return { run, busy, problem, forget };
}
