/** The texts of the screen in each language. A host may give its own for any of them. */

import { en } from "./en";
import type { Message } from "./message";
import { ptBR } from "./pt-BR";
import { ptPT } from "./pt-PT";

export type { Message } from "./message";

export type MessageKey = keyof typeof en;
export type Messages = Record<MessageKey, Message>;
export type Locale = "en" | "pt-PT" | "pt-BR";

export const MESSAGES: Record<Locale, Messages> = { en, "pt-PT": ptPT, "pt-BR": ptBR };

/** The language of ours that is nearest to the one that is asked for; English where none is. */
export function nearest(locale: string): Locale {
  const [language, ...subtags] = locale.toLowerCase().split(/[-_]/);
  if (language !== "pt") return "en";
  return subtags.includes("br") ? "pt-BR" : "pt-PT";
}
