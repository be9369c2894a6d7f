/**
 * Says numbers, times and texts in one language.
 *
 * Uses of `Intl` only `NumberFormat` and `DateTimeFormat`: Hermes has no `PluralRules`, `RelativeTimeFormat` or `ListFormat`.
 */

import { MESSAGES, nearest, type Locale, type Message, type MessageKey, type Messages } from "./messages";

export type Values = Record<string, string | number>;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** A day of the calendar, in some time zone. */
export interface CalendarDay {
  year: number;
  month: number;
  day: number;
}

export class Words {
  readonly locale: Locale;
  readonly timeZone: string;
  readonly #messages: Messages;
  readonly #dates = new Map<string, Intl.DateTimeFormat>();
  readonly #numbers = new Map<string, Intl.NumberFormat>();

  constructor(locale: string, own: Partial<Messages> = {}, timeZone?: string) {
    this.locale = nearest(locale);
    this.timeZone = timeZone ?? zoneOfDevice();
    this.#messages = { ...MESSAGES[this.locale], ...own };
  }

  /** The text of a key; `count` chooses between one and many. */
  readonly t = (key: MessageKey, values: Values = {}): string => {
    const message: Message | undefined = this.#messages[key];
    // Of an API that is newer than this: what it says is better than nothing.
    if (message === undefined) return key.slice(key.lastIndexOf(".") + 1);
    const text = typeof message === "string" ? message : this.#isOne(Number(values["count"])) ? message.one : message.other;
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = values[name];
      return value === undefined ? whole : typeof value === "number" ? this.number(value) : value;
    });
  };

  /** Whether there is a text of that key. */
  has(key: string): key is MessageKey {
    return key in this.#messages;
  }

  number(value: number, digits = 0): string {
    return this.#number(value, digits, {});
  }

  /** Whole percent, never more than there are. */
  percent(value: number): string {
    return this.#number(Math.floor(value) / 100, 0, { style: "percent" });
  }

  rate(share: number): string {
    return this.#number(share, share < 0.1 ? 1 : 0, { style: "percent" });
  }

  /** In the units of storage, of a thousand each. */
  bytes(value: number): string {
    let [left, unit] = [value, 0];
    while (left >= 999.5 && unit < UNITS.length - 1) [left, unit] = [left / 1_000, unit + 1];
    const digits = unit === 0 || left >= 99.5 ? 0 : left >= 9.95 ? 1 : 2;
    return unbroken(this.t("bytes.unit", { n: this.number(left, digits), unit: UNITS[unit] ?? "" }));
  }

  usd(value: number): string {
    const dollars = (amount: number) => this.#number(amount, 2, { style: "currency", currency: "USD" });
    return value > 0 && value < 0.01 ? `< ${dollars(0.01)}` : dollars(value);
  }

  /** Of a length of time, the two units that matter. */
  duration(ms: number): string {
    const seconds = Math.max(0, Math.round(ms / SECOND)) * SECOND;
    const days = this.#units("time.day", Math.floor(seconds / DAY));
    if (seconds >= 3 * DAY) return days;
    const hours = this.#units("time.hour", Math.floor((seconds % DAY) / HOUR));
    if (seconds >= DAY) return seconds % DAY < HOUR ? days : `${days} ${hours}`;
    const minutes = this.#units("time.minute", Math.floor((seconds % HOUR) / MINUTE));
    if (seconds >= HOUR) return seconds % HOUR < MINUTE ? hours : `${hours} ${minutes}`;
    const rest = this.#units("time.second", Math.floor((seconds % MINUTE) / SECOND));
    if (seconds >= 10 * MINUTE) return minutes;
    if (seconds >= MINUTE) return seconds % MINUTE < SECOND ? minutes : `${minutes} ${rest}`;
    return rest;
  }

  ago(ms: number): string {
    return ms < 5 * SECOND ? this.t("time.now") : this.t("time.ago", { duration: this.duration(coarse(ms)) });
  }

  /** Of a time to come; of one that should have come, that it is overdue. */
  until(ms: number): string {
    const key = ms < 0 ? "time.overdue" : "time.in";
    return this.t(key, { duration: this.duration(coarse(Math.abs(ms))) });
  }

  date(at: number | string): string {
    return this.#date("date", { day: "numeric", month: "short", year: "numeric" }).format(new Date(at));
  }

  weekday(at: number | string): string {
    return this.#date("weekday", { weekday: "short", day: "numeric", month: "short" }).format(new Date(at));
  }

  time(at: number | string): string {
    return this.#date("time", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }).format(new Date(at));
  }

  clock(at: number | string): string {
    return this.#date("clock", { hour: "2-digit", minute: "2-digit" }).format(new Date(at));
  }

  /** The time, and beside it that of UTC. */
  timeAndUtc(at: number | string): string {
    const options = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" } as const;
    const utc = this.#date("utc", options).format(new Date(at));
    return `${this.time(at)} (${this.t("time.utc", { time: utc })})`;
  }

  /** The day that an instant lies on, here. */
  day(at: number): CalendarDay {
    const [year = 0, month = 1, day = 1] = this.#parts(at);
    return { year, month, day };
  }

  /** What a clock on the wall shows, as it is typed: `14:30`. */
  wall(at: number): string {
    const [, , , hour = 0, minute = 0] = this.#parts(at);
    return `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
  }

  /** The instant at which a clock on the wall shows a time. Where it is shown twice, the first. */
  instant({ year, month, day }: CalendarDay, hour: number, minute: number): number {
    const wall = Date.UTC(year, month - 1, day, hour, minute);
    const offset = (at: number) => {
      const [y = 0, mo = 1, d = 1, h = 0, mi = 0] = this.#parts(at);
      return Date.UTC(y, mo - 1, d, h, mi) - Math.floor(at / MINUTE) * MINUTE;
    };
    const candidates = [wall - offset(wall - DAY), wall - offset(wall + DAY)].sort((a, b) => a - b);
    return candidates.find((at) => at + offset(at) === wall) ?? candidates[candidates.length - 1] ?? wall;
  }

  #number(value: number, digits: number, options: Intl.NumberFormatOptions): string {
    const name = `${options.style ?? ""}${digits}`;
    let format = this.#numbers.get(name);
    if (!format) {
      format = new Intl.NumberFormat(this.locale, { ...options, minimumFractionDigits: digits, maximumFractionDigits: digits });
      this.#numbers.set(name, format);
    }
    return format.format(value);
  }

  #units(key: "time.second" | "time.minute" | "time.hour" | "time.day", n: number): string {
    return unbroken(this.t(key, { n, count: n }));
  }

  #isOne(count: number): boolean {
    // In Brazil nothing is counted as one, in Portugal as many.
    return count === 1 || (this.locale === "pt-BR" && count === 0);
  }

  #parts(at: number): number[] {
    const options = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", hourCycle: "h23" } as const;
    const parts = this.#date("parts", options).formatToParts(new Date(at));
    const of = (type: string) => Number(parts.find((part) => part.type === type)?.value ?? 0);
    // Some engines write midnight as 24.
    return [of("year"), of("month"), of("day"), of("hour") % 24, of("minute")];
  }

  #date(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
    let format = this.#dates.get(name);
    if (!format) {
      format = new Intl.DateTimeFormat(name === "parts" ? "en-US" : this.locale === "en" ? "en-GB" : this.locale, { timeZone: this.timeZone, ...options });
      this.#dates.set(name, format);
    }
    return format;
  }
}

/** A number and its unit stay on one line. */
function unbroken(text: string): string {
  return text.replace(/ /g, "\u00a0");
}

/** Nobody wants to see the seconds of an age tick. */
function coarse(ms: number): number {
  return ms < MINUTE ? Math.round(ms / (5 * SECOND)) * 5 * SECOND : Math.floor(ms / MINUTE) * MINUTE;
}

function zoneOfDevice(): string {
  try {
    return new Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  } catch {
    return "UTC";
  }
}

export function localeOfDevice(): string {
  try {
    return new Intl.DateTimeFormat().resolvedOptions().locale;
  } catch {
    return "en";
  }
}
