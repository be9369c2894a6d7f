/** The last 30 days, a box each. */

import { Pressable, View } from "react-native";
import { useScreen } from "../context";
import { countDays, daysOf, type Day, type DayOutcome } from "../model/days";
import { Card } from "../parts/Card";
import { TARGET } from "../parts/Button";
import { Muted, Txt } from "../parts/Txt";
import type { ToneName } from "../theme";

const TONES: Record<DayOutcome, ToneName> = { good: "good", warning: "warning", failed: "bad", missed: "bad", none: "neutral" };
const SIGNS: Record<DayOutcome, string> = { good: "✓", warning: "!", failed: "×", missed: "–", none: "" };

export function Days({ chosen, onChoose }: { chosen: string | undefined; onChoose: (day: Day | undefined) => void }) {
  const { theme, words, seen, now, testID } = useScreen();
  if (seen.history === undefined) return null;
  const days = daysOf(seen.history, words, now);
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
              aria-pressed={isChosen}
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

function sayDay(day: Day, words: ReturnType<typeof useScreen>["words"]): string {
  const said = (["good", "warning", "failed", "missed"] as const).filter((what) => day[what] > 0).map((what) => words.t(`days.count.${what}`, { count: day[what] }));
  return words.t("days.day", { date: words.weekday(day.at), outcome: said.length === 0 ? words.t("days.none") : said.join(", ") });
}
