/** The time by the clock of the API, as ages on the screen are counted. */

import { useEffect, useState } from "react";
import type { Backups } from "./store";

export function useNow(service: Backups, everyMs: number): number {
  const [now, setNow] = useState(() => service.now());
  useEffect(() => {
    const tick = () => setNow(service.now());
    tick();
    const timer = setInterval(tick, everyMs);
    return () => clearInterval(timer);
  }, [service, everyMs]);
  return now;
}
