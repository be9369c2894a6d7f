/** Which copies are listed, and what stands above and beneath them. */

import { Pressable, View } from "react-native";
import { useScreen } from "../context";
import { useAction } from "../data/useAction";
import type { Filter } from "../data/store";
import type { Day } from "../model/days";
import { Button, TARGET } from "../parts/Button";
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
              aria-pressed={isChosen}
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

export function CopiesFooter({ filter, day, count }: { filter: Filter; day: Day | undefined; count: number }) {
  const { theme, words, seen, store, testID } = useScreen();
  const more = useAction(() => store.loadMore(filter));
  const hasMore = day === undefined && store.hasMore(filter);
  const isEmpty = count === 0 && seen.summary !== undefined && !hasMore;
  return (
    <View style={{ gap: theme.space, padding: theme.space * 2, backgroundColor: theme.surface, borderBottomLeftRadius: theme.radius, borderBottomRightRadius: theme.radius, alignItems: "flex-start" }}>
      {isEmpty ? (
        <View style={{ gap: 2 }}>
          <Txt bold>{words.t(day === undefined ? "copies.none" : "copies.noneThatDay")}</Txt>
          {day === undefined && filter === "all" ? <Muted>{words.t("copies.none.hint")}</Muted> : null}
        </View>
      ) : null}
      {hasMore ? (
        <Button label={words.t("action.more")} onPress={() => void more.run()} busy={more.busy} locked={seen.connection === "ok" ? undefined : words.t("locked.offline")} testID={`${testID}.more`} />
      ) : null}
      <Trouble problem={more.problem} />
    </View>
  );
}
