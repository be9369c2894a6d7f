/** Restores that were made to see that they work. */

import { View } from "react-native";
import { useScreen } from "../context";
import { Card } from "../parts/Card";
import { Mark } from "../parts/Mark";
import { Muted, Txt } from "../parts/Txt";
import type { ToneName } from "../theme";

const TONES: Record<string, ToneName> = { passed: "good", failed: "bad", broken: "warning", running: "busy" };
const SHOWN = 5;

export function Drills() {
  const { theme, words, seen, testID } = useScreen();
  const { drills, streak } = seen;
  if (drills === undefined) return null;
  return (
    <Card heading={words.t("drills.heading")} testID={`${testID}.drills`}>
      {drills.length === 0 ? <Muted>{words.t("drills.none")}</Muted> : null}
      {streak === undefined || streak.passedInARow === 0 ? null : (
        <Txt>
          {[
            words.t("drills.streak", { count: streak.passedInARow }),
            ...(streak.failureRateBelow === undefined || streak.failureRateBelow >= 1 ? [] : [words.t("drills.bound", { rate: words.rate(streak.failureRateBelow) })]),
          ].join(" ")}
        </Txt>
      )}
      {drills.slice(0, SHOWN).map((drill) => {
        const { outcome } = drill;
        const said = () => {
          if (outcome === "passed") return drill.recoveryMs === undefined ? words.t("proof.restored") : words.t("drills.passed", { duration: words.duration(drill.recoveryMs) });
          const key = `drills.${outcome}`;
          return words.has(key) ? words.t(key) : outcome;
        };
        const rows = words.t("job.rows", { count: drill.rows });
        return (
          <View key={drill.id} style={{ flexDirection: "row", gap: theme.space, alignItems: "flex-start" }}>
            <Mark tone={TONES[outcome] ?? "neutral"} theme={theme} />
            <View style={{ flex: 1 }}>
              <Txt size="small" bold>{`${words.time(drill.completedAt ?? drill.startedAt)} · ${said()}`}</Txt>
              <Muted>{words.t(drill.extent === "sample" ? "drills.sample" : "drills.detail", { rows, region: drill.region })}</Muted>
              {drill.error === undefined ? null : <Muted>{drill.error}</Muted>}
            </View>
          </View>
        );
      })}
    </Card>
  );
}
