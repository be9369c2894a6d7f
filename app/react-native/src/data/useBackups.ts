/** What a screen sees of the backups, for as long as it is there. */

import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { AppState } from "react-native";
import { BackupStore, type Backups, type StoreOptions } from "./store";
import type { Seen } from "./seen";

/** Looks while the component is there and the app is in front. Another service is another project; other options are no news. */
export function useBackups(service: Backups, options: StoreOptions = {}): { store: BackupStore; seen: Seen } {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const store = useMemo(
    () =>
      new BackupStore(service, {
        get pollMs() {
          return latest.current.pollMs;
        },
        get storage() {
          return latest.current.storage;
        },
        onEvent: (event) => latest.current.onEvent?.(event),
      }),
    [service],
  );
  useEffect(() => {
    if (AppState.currentState !== "background") store.start();
    const watching = AppState.addEventListener("change", (state) => {
      if (state === "active") store.start();
      if (state === "background") store.stop();
    });
    return () => {
      watching.remove();
      store.stop();
    };
  }, [store]);
  const seen = useSyncExternalStore(store.subscribe, store.get, store.get);
  return { store, seen };
}
