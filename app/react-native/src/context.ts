/** What every part of the screen needs. */

import { createContext, useContext } from "react";
import type { BackupStore } from "./data/store";
import type { Seen } from "./data/seen";
import type { Theme } from "./theme";
import type { Words } from "./words";

export interface Screen {
  theme: Theme;
  words: Words;
  store: BackupStore;
  seen: Seen;
  /** By the clock of the API. */
  now: number;
  /** Two columns. */
  isWide: boolean;
  reduceMotion: boolean;
  testID: string;
  /** What the people are called; their ids without. */
  nameOf: (id: string) => string;
  /** Puts a text where the person can paste it from; answers `false` where that was not done. */
  copyText: (text: string) => unknown;
  /** What the system covers at the top and the bottom. */
  insets: { top: number; bottom: number };
}

export const ScreenContext = createContext<Screen | undefined>(undefined);

export function useScreen(): Screen {
  const screen = useContext(ScreenContext);
  if (!screen) throw new Error("this is a part of BackupManagementComponent, and works only inside of it");
  return screen;
}
