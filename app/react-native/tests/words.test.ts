import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MESSAGES, nearest, type Message } from "../src/messages";
import { Words } from "../src/words";

const SOURCES = `${import.meta.dirname}/../src/`;
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");

describe("the texts", () => {
  const placeholders = (message: Message) => {
    const texts = typeof message === "string" ? [message] : [message.one, message.other];
    return texts.map((text) => (text.match(/\{\w+\}/g) ?? []).sort().join());
  };

  it.each(["pt-PT", "pt-BR"] as const)("of %s are complete, and have the values of the English ones", (locale) => {
    const { en, [locale]: other } = MESSAGES;
    expect(Object.keys(other)).toEqual(Object.keys(en));
    for (const key of Object.keys(en) as (keyof typeof en)[]) {
      expect([key, placeholders(other[key]).at(-1)]).toEqual([key, placeholders(en[key]).at(-1)]);
      expect(other[key], key).not.toBe("");
    }
  });

  it("are all used", () => {
    const sources = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name) && !name.startsWith("messages"));
    const code = sources.map((name) => readFileSync(SOURCES + name, "utf8")).join("\n");
    // Of those that are put together the beginning stands in the code.
    const beginnings = [...code.matchAll(/`([a-z][\w.]*\.)\$\{/g)].map(([, beginning]) => beginning!);
    const unused = Object.keys(MESSAGES.en).filter((key) => !code.includes(`"${key}"`) && !beginnings.some((beginning) => key.startsWith(beginning)));
    expect(unused).toEqual([]);
  });

  it("are of the language that is nearest", () => {
    for (const [asked, found] of [["pt-BR", "pt-BR"], ["pt_BR", "pt-BR"], ["pt", "pt-PT"], ["pt-AO", "pt-PT"], ["pt-Latn-BR", "pt-BR"], ["pt-BR-u-nu-latn", "pt-BR"], ["en-US", "en"], ["fr", "en"], ["", "en"]] as const) {
      expect(nearest(asked)).toBe(found);
    }
  });

  it("can be replaced by the host's own, one by one", () => {
    const words = new Words("en", { "action.backUp": "Save everything" }, "UTC");
    expect(words.t("action.backUp")).toBe("Save everything");
    expect(words.t("action.next")).toBe("Continue");
    expect(words.t("job.rows", {})).toBe("{count} rows");
    // Of an API that is newer than this.
    expect(words.t("restore.sandbox" as "restore.staging")).toBe("sandbox");
  });
});

describe("numbers", () => {
  it("are counted by each language's own rule", () => {
    const rows = (locale: string, count: number) => new Words(locale, {}, "UTC").t("job.rows", { count });
    expect([rows("en", 0), rows("en", 1), rows("en", 2_000)]).toEqual(["0 rows", "1 row", "2,000 rows"]);
    expect([rows("pt-PT", 0), rows("pt-PT", 1), plain(rows("pt-PT", 12_000))]).toEqual(["0 linhas", "1 linha", "12 000 linhas"]);
    expect([rows("pt-BR", 0), rows("pt-BR", 1), rows("pt-BR", 2_000)]).toEqual(["0 linha", "1 linha", "2.000 linhas"]);
  });

  it("of bytes have three digits and the unit that fits", () => {
    const words = new Words("pt-PT", {}, "UTC");
    const said = [0, 999, 1_000, 999_499, 999_500, 1_840_000_000, 31_000_000, 2e15].map((n) => plain(words.bytes(n)));
    expect(said).toEqual(["0 B", "999 B", "1,00 kB", "999 kB", "1,00 MB", "1,84 GB", "31,0 MB", "2,00 PB"]);
  });

  it("of money and shares are those of the language", () => {
    const [en, pt] = [new Words("en", {}, "UTC"), new Words("pt-PT", {}, "UTC")];
    expect([en.usd(0), en.usd(0.001), en.usd(12.5)].map(plain)).toEqual(["$0.00", "< $0.01", "$12.50"]);
    expect(plain(pt.usd(12.5))).toBe("12,50 US$");
    expect([en.percent(46.9), en.rate(0.1667), en.rate(0.015)]).toEqual(["46%", "17%", "1.5%"]);
  });
});

describe("times", () => {
  const S = 1_000;
  const MIN = 60 * S;
  const H = 60 * MIN;
  const D = 24 * H;

  it("of some length have the two units that matter", () => {
    const words = new Words("en", {}, "UTC");
    const said = [0, 400, 59 * S, MIN, 90 * S, 10 * MIN + 5 * S, H, H + 12 * MIN, D, D + 4 * H, 3 * D + 5 * H].map((ms) => plain(words.duration(ms)));
    expect(said).toEqual(["0 s", "0 s", "59 s", "1 min", "1 min 30 s", "10 min", "1 h", "1 h 12 min", "1 day", "1 day 4 h", "3 days"]);
    // 59.7 s is a minute, and not 60 s.
    expect(plain(words.duration(59_700))).toBe("1 min");
  });

  it("that are past, to come, or overdue", () => {
    const words = new Words("pt-BR", {}, "UTC");
    expect([words.ago(0), words.ago(3 * H), words.until(48 * MIN), words.until(-2 * H)].map(plain)).toEqual(["agora mesmo", "há 3 h", "em 48 min", expect.stringContaining("2 h")]);
  });

  it("are shown in the app's zone, and beside it in UTC", () => {
    const at = "2026-07-26T14:30:00.000Z";
    expect(new Words("pt-BR", {}, "America/Sao_Paulo").timeAndUtc(at)).toMatch(/11:30.*14:30 UTC/);
    expect(new Words("en", {}, "Asia/Tokyo").timeAndUtc(at)).toMatch(/26 Jul 2026, 23:30 \(26 Jul, 14:30 UTC\)/);
  });

  it("on the wall become instants, also where the clock is changed", () => {
    const lisbon = new Words("pt-PT", {}, "Europe/Lisbon");
    const instant = (month: number, day: number, hour: number, minute: number) => new Date(lisbon.instant({ year: 2026, month, day }, hour, minute)).toISOString();
    expect(instant(7, 1, 12, 0)).toBe("2026-07-01T11:00:00.000Z");
    expect(instant(12, 1, 0, 5)).toBe("2026-12-01T00:05:00.000Z");
    // 01:30 is shown twice on 25 October: the first is meant.
    expect(instant(10, 25, 1, 30)).toBe("2026-10-25T00:30:00.000Z");
    // 01:30 is never shown on 29 March: an hour later is meant.
    expect(instant(3, 29, 1, 30)).toBe("2026-03-29T01:30:00.000Z");
    for (const zone of ["UTC", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia", "Europe/Lisbon", "America/St_Johns"]) {
      const words = new Words("en", {}, zone);
      for (let at = Date.UTC(2026, 0, 1, 0, 7); at < Date.UTC(2027, 0, 1); at += 37 * H + 11 * MIN) {
        const [clock, day] = [/(\d\d):(\d\d)/.exec(words.clock(at))!, words.day(at)];
        const back = words.instant(day, Number(clock[1]), Number(clock[2]));
        // The hour that comes twice may be the other one.
        expect([0, H]).toContain(Math.floor((at - back) / MIN) * MIN);
      }
    }
  });

  it("are typed as they are shown", () => {
    const words = new Words("en", {}, "America/St_Johns");
    expect([words.wall(Date.parse("2026-11-26T03:29:59.999Z")), words.wall(Date.parse("2026-11-26T15:00:00.000Z"))]).toEqual(["23:59", "11:30"]);
  });

  it("need nothing of Intl that Hermes has not", () => {
    const kept = new Map(["PluralRules", "RelativeTimeFormat", "ListFormat"].map((name) => [name, Reflect.get(Intl, name)]));
    try {
      for (const name of kept.keys()) Reflect.deleteProperty(Intl, name);
      const words = new Words("pt-PT", {}, "Europe/Lisbon");
      expect(words.t("cleanup.done", { count: 2 })).not.toBe("");
      expect(words.ago(90 * S)).not.toBe("");
    } finally {
      for (const [name, value] of kept) Reflect.defineProperty(Intl, name, { value, configurable: true, writable: true });
    }
  });
});
