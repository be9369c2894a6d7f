/** The time by the clock of the API, as ages on the screen are counted. */

import { useEffect, useState } from "react";
import { AppState } from "react-native";
import type { Backups } from "./store";

export function useNow(service: Backups, everyMs: number): number {
  const [now, setNow] = useState(() => service.now());
  useEffect(() => {
    const tick = () => setNow(service.now());
    tick();
    const timer = setInterval(tick, everyMs);
    // A phone that was asleep did not tick.
    const watching = AppState.addEventListener("change", (state) => state === "active" && tick());
    return () => {
      clearInterval(timer);
      watching.remove();
    };
  }, [service, everyMs]);
  return now;
}
