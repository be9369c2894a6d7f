/** Which copies are listed, and what stands above and beneath them. */

import { Pressable, View } from "react-native";
import { useScreen } from "../context";
import { useAction } from "../data/useAction";
import type { Filter } from "../data/seen";
import type { Day } from "../model/days";
import { lockOfConnection } from "../data/lock";
import { Button, TARGET } from "../parts/Button";
import { pressed } from "../parts/pressed";
import { Trouble } from "../parts/Trouble";
import { Muted, Txt } from "../parts/Txt";

const FILTERS = ["all", "completed", "failed"] as const;

export function CopiesHeader({ filter, day, onFilter }: { filter: Filter; day: Day | undefined; onFilter: (filter: Filter) => void }) {
  const { theme, words, testID } = useScreen();
  return (
    <View style={{ gap: theme.space, padding: theme.space * 2, backgroundColor: theme.surface, borderTopLeftRadius: theme.radius, borderTopRightRadius: theme.radius, borderBottomWidth: 1, borderBottomColor: theme.line }}>
      <Txt size="heading" level={2}>
        {day === undefined ? words.t("copies.heading") : words.t("copies.of", { date: words.weekday(day.at) })}
      </Txt>
      <View role="group" aria-label={words.t("copies.filter.label")} style={{ flexDirection: "row", flexWrap: "wrap", gap: theme.space }}>
        {FILTERS.map((name) => {
          const isChosen = day === undefined && filter === name;
          return (
            <Pressable
              key={name}
              role="button"
              {...pressed(isChosen)}
              aria-label={name === "all" ? words.t("copies.all") : words.t(`copies.filter.${name}`)}
              onPress={() => onFilter(name)}
              testID={`${testID}.filter.${name}`}
              style={{ minHeight: TARGET, justifyContent: "center", paddingHorizontal: theme.space * 1.5, borderRadius: theme.radius, borderWidth: isChosen ? 2 : 1, borderColor: isChosen ? theme.primary : theme.line }}
            >
              <Txt size="small" bold={isChosen} color={isChosen ? theme.primary : theme.text}>
                {name === "all" ? words.t("copies.all") : words.t(`copies.filter.${name}`)}
              </Txt>
            </Pressable>
          );
        })}
      </View>
    </View>
  );
}

/** What is known of the copies of a day. */
export interface OfDay {
  busy: boolean;
  problem: unknown;
  retry: () => void;
  /** Runs of that day that are not listed. */
  cut: number;
}

export function CopiesFooter({ filter, ofDay, count }: { filter: Filter; ofDay: OfDay | undefined; count: number }) {
  const { theme, words, seen, store, testID } = useScreen();
  const more = useAction(() => store.loadMore(filter));
  const hasMore = ofDay === undefined && store.hasMore(filter);
  const isKnown = ofDay === undefined ? !hasMore && seen.reach[filter] !== undefined : !ofDay.busy && ofDay.problem === undefined;
  const lock = lockOfConnection(seen);
  return (
    <View style={{ gap: theme.space, padding: theme.space * 2, backgroundColor: theme.surface, borderBottomLeftRadius: theme.radius, borderBottomRightRadius: theme.radius, alignItems: "flex-start" }}>
      {count === 0 && isKnown ? (
        <View style={{ gap: 2 }}>
          <Txt bold>{words.t(ofDay === undefined ? "copies.none" : "copies.noneThatDay")}</Txt>
          {ofDay === undefined && filter === "all" ? <Muted>{words.t("copies.none.hint")}</Muted> : null}
        </View>
      ) : null}
      {ofDay?.busy ? <Muted>{words.t("state.loading")}</Muted> : null}
      {ofDay !== undefined && ofDay.cut > 0 ? <Muted>{words.t("copies.cut", { count: ofDay.cut })}</Muted> : null}
      {ofDay?.problem === undefined ? null : (
        <>
          <Trouble problem={ofDay.problem} />
          <Button label={words.t("action.retry")} onPress={ofDay.retry} />
        </>
      )}
      {hasMore ? (
        <Button label={words.t("action.more")} onPress={() => void more.run()} busy={more.busy} locked={lock === undefined ? undefined : words.t(lock)} testID={`${testID}.more`} />
      ) : null}
      <Trouble problem={more.problem} />
    </View>
  );
}
