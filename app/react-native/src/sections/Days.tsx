/** The last 30 days, a box each. */

import { useMemo } from "react";
import { Pressable, View } from "react-native";
import { useScreen } from "../context";
import { countDays, daysOf, keyOf, type Day, type DayOutcome } from "../model/days";
import { Card } from "../parts/Card";
import { TARGET } from "../parts/Button";
import { pressed } from "../parts/pressed";
import { Muted, Txt } from "../parts/Txt";
import type { ToneName } from "../theme";
import type { Words } from "../words";

const TONES: Record<DayOutcome, ToneName> = { good: "good", warning: "warning", failed: "bad", missed: "bad", none: "neutral", unknown: "neutral" };
const SIGNS: Record<DayOutcome, string> = { good: "✓", warning: "!", failed: "×", missed: "–", none: "", unknown: "?" };

export function Days({ chosen, onChoose }: { chosen: string | undefined; onChoose: (day: Day | undefined) => void }) {
  const { theme, words, seen, now, testID } = useScreen();
  const { history } = seen;
  // By the day, and not by the second.
  const today = keyOf(words.day(now));
  const days = useMemo(() => daysOf(history, words, now), [history, words, today]);
  if (history === undefined) return null;
  const counts = countDays(days);
  return (
    <Card heading={words.t("days.heading")} testID={`${testID}.days`}>
      <Muted>{words.t("days.summary", { ...counts })}</Muted>
      <View style={{ flexDirection: "row", flexWrap: "wrap", gap: 4 }}>
        {days.map((day) => {
          const { ink, ground } = theme[TONES[day.outcome]];
          const isChosen = day.key === chosen;
          return (
            <Pressable
              key={day.key}
              role="button"
              aria-label={sayDay(day, words)}
              {...pressed(isChosen)}
              testID={`${testID}.day.${day.key}`}
              onPress={() => onChoose(isChosen ? undefined : day)}
              style={{
                width: TARGET,
                height: TARGET,
                borderRadius: theme.radius / 1.5,
                borderWidth: isChosen ? 3 : 1,
                borderColor: isChosen ? theme.primary : day.outcome === "missed" ? ink : theme.line,
                borderStyle: day.outcome === "missed" ? "dashed" : "solid",
                backgroundColor: ground,
                alignItems: "center",
                justifyContent: "center",
              }}
            >
              <Txt size="small" bold color={ink} maxFontSizeMultiplier={1.2}>
                {String(words.day(day.at).day)}
              </Txt>
              <Txt size="small" color={ink} maxFontSizeMultiplier={1}>
                {SIGNS[day.outcome]}
              </Txt>
            </Pressable>
          );
        })}
      </View>
      <View style={{ flexDirection: "row", flexWrap: "wrap", columnGap: theme.space * 2, rowGap: 4 }}>
        {(["good", "warning", "failed", "missed", "none"] as const).map((outcome) => (
          <Muted key={outcome}>{`${SIGNS[outcome] || "□"} ${words.t(`days.${outcome}`)}`}</Muted>
        ))}
      </View>
    </Card>
  );
}

function sayDay(day: Day, words: Words): string {
  const said = (["good", "warning", "failed", "missed"] as const).filter((what) => day[what] > 0).map((what) => words.t(`days.count.${what}`, { count: day[what] }));
  return words.t("days.day", { date: words.weekday(day.at), outcome: said.length === 0 ? words.t(day.outcome === "unknown" ? "days.unknown" : "days.none") : said.join(", ") });
}
