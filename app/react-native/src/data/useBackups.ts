/** What a screen sees of the backups, for as long as it is there. */

import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { AppState } from "react-native";
import { BackupStore, type BackupEvent, type Backups, type Seen, type StoreOptions } from "./store";

/** Looks while the component is there and the app is in front. */
export function useBackups(service: Backups, options: StoreOptions = {}): { store: BackupStore; seen: Seen } {
  const { pollMs, storage, onEvent } = options;
  const told = useRef(onEvent);
  useEffect(() => {
    told.current = onEvent;
  });
  const store = useMemo(() => {
    const tell = (event: BackupEvent) => told.current?.(event);
    return new BackupStore(service, { storage, onEvent: tell, ...(pollMs === undefined ? {} : { pollMs }) });
  }, [service, storage, pollMs]);
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
