/**
 * The state of the backups, to be put into any screen: it takes the room that it is given, and scrolls in it.
 *
 * Needs React and React Native, and nothing else of the host but a service to ask.
 */

import type { BackupStatus, RestoreStatus } from "@gasrapido/backup-client";
import { useCallback, useEffect, useMemo, useState, type ReactNode } from "react";
import { AccessibilityInfo, ActivityIndicator, FlatList, Platform, RefreshControl, ScrollView, Share, View, useWindowDimensions, type LayoutChangeEvent } from "react-native";
import { ScreenContext, useScreen, type Screen } from "./context";
import { useBackups } from "./data/useBackups";
import { useNow } from "./data/useNow";
import type { BackupEvent, Backups, Filter, KeptStorage } from "./data/store";
import type { Messages } from "./messages";
import { growthOf, isRunning } from "./model/copy";
import { keyOf, type Day } from "./model/days";
import { runningRestore, waitingRestore } from "./model/lock";
import { protectionOf } from "./model/protection";
import { Announcer } from "./parts/Announcer";
import { Card } from "./parts/Card";
import { Notice } from "./parts/Notice";
import { Button } from "./parts/Button";
import { Muted, Txt } from "./parts/Txt";
import { RestoreSheet } from "./restore/RestoreSheet";
import { Activity } from "./sections/Activity";
import { BackUpSheet } from "./sections/BackUpSheet";
import { CopiesFooter, CopiesHeader } from "./sections/Copies";
import { CopyRow } from "./sections/CopyRow";
import { CopySheet } from "./sections/CopySheet";
import { Days } from "./sections/Days";
import { Drills } from "./sections/Drills";
import { Hero } from "./sections/Hero";
import { Jobs } from "./sections/Job";
import { Status } from "./sections/Status";
import { Storage } from "./sections/Storage";
import { useTheme, type Theme } from "./theme";
import { Words, localeOfDevice } from "./words";

export interface BackupManagementProps {
  /** What is asked: a `BackupService`, or anything that answers as it does. */
  service: Backups;
  /** Such as `pt-BR`; the language of the device without. There are English, pt-PT and pt-BR. */
  locale?: string;
  /** Texts that replace ours. */
  messages?: Partial<Messages>;
  /** Such as `Europe/Lisbon`; that of the device without. */
  timeZone?: string;
  /** Light or dark; as the system is without. */
  colorScheme?: "light" | "dark";
  /** Colours and measures that replace ours. */
  theme?: Partial<Theme>;
  /** Where what was seen is kept while the app is closed, such as AsyncStorage. */
  storage?: KeptStorage;
  /** Called when what was followed has ended: a place for a notification of the host's own. */
  onEvent?: (event: BackupEvent) => void;
  /** The name of a person, by the id that the token has. */
  nameOf?: (id: string) => string;
  /** Copies a text, such as to a clipboard; the system's own way to share without. */
  copyText?: (text: string) => void | Promise<void>;
  /** Milliseconds between looks while nothing runs; 30,000 without. */
  pollMs?: number;
  /** Put above and beneath everything. */
  header?: ReactNode;
  footer?: ReactNode;
  /** What the ids of its parts begin with. */
  testID?: string;
}

/** From this width on there are two columns. */
export const WIDE = 840;
const TICK_MS = 5_000;
const TICK_RUNNING_MS = 1_000;
/** The result of a restore stays in sight for so long. */
const RESULT_MS = 24 * 3_600_000;

export function BackupManagementComponent(props: BackupManagementProps) {
  const { service, locale, messages, timeZone, colorScheme, nameOf, copyText, testID = "backups" } = props;
  const { pollMs, storage, onEvent } = props;
  const options = { storage, onEvent, ...(pollMs === undefined ? {} : { pollMs }) };
  const { store, seen } = useBackups(service, options);
  const theme = useTheme(props.theme, colorScheme);
  const words = useMemo(() => new Words(locale ?? localeOfDevice(), messages, timeZone), [locale, messages, timeZone]);
  const isBusy = seen.backups.some(isRunning) || runningRestore(seen) !== undefined;
  const now = useNow(service, isBusy ? TICK_RUNNING_MS : TICK_MS);
  const reduceMotion = useReduceMotion();
  const window = useWindowDimensions();
  const [width, setWidth] = useState<number>();
  const isWide = (width ?? window.width) >= WIDE;
  const screen: Screen = useMemo(
    () => ({ theme, words, store, seen, now, isWide, reduceMotion, testID, nameOf: nameOf ?? ((id) => id), copyText: copyText ?? ownCopy }),
    [theme, words, store, seen, now, isWide, reduceMotion, testID, nameOf, copyText],
  );
  return (
    <ScreenContext.Provider value={screen}>
      <View testID={testID} onLayout={(event: LayoutChangeEvent) => setWidth(event.nativeEvent.layout.width)} style={{ flex: 1, backgroundColor: theme.background }}>
        <Announcement />
        <Content header={props.header} footer={props.footer} />
      </View>
    </ScreenContext.Provider>
  );
}

type Open = { kind: "backUp" } | { kind: "copy"; id: string } | { kind: "restore"; backupId?: string; restoreId?: string };

function Content({ header, footer }: { header: ReactNode; footer: ReactNode }) {
  const { theme, words, store, seen, isWide, testID, now, reduceMotion } = useScreen();
  const [filter, setFilter] = useState<Filter>("all");
  const [day, setDay] = useState<Day>();
  const [open, setOpen] = useState<Open>();
  const [pulling, setPulling] = useState(false);
  const close = useCallback(() => setOpen(undefined), []);
  const openCopy = useCallback((id: string) => setOpen({ kind: "copy", id }), []);

  const ofDay = useMemo(() => {
    if (day === undefined) return undefined;
    const runs = seen.history?.runs ?? [];
    return runs.filter((run) => keyOf(words.day(Date.parse(run.at))) === day.key).map((run) => run.id);
  }, [day, seen.history, words]);
  useEffect(() => {
    if (ofDay) void store.know(ofDay).catch(() => undefined);
  }, [store, ofDay]);

  const copies = useMemo(() => {
    if (ofDay) return seen.backups.filter((backup) => ofDay.includes(backup.id));
    return store.list(filter);
  }, [seen.backups, ofDay, store, filter]);
  const growth = useMemo(() => growthOf(store.list("all")), [store, seen.backups]);
  const renderCopy = useCallback(
    ({ item }: { item: BackupStatus }) => <CopyRow backup={item} growth={growth.get(item.id)} theme={theme} words={words} onOpen={openCopy} testID={`${testID}.copy.${item.id}`} />,
    [growth, theme, words, openCopy, testID],
  );

  const isLoading = seen.summary === undefined && seen.connection === "loading";
  const isEmpty = seen.summary !== undefined && seen.backups.length === 0;
  const hasNothing = seen.summary === undefined;
  const chooseFilter = (chosen: Filter) => {
    setDay(undefined);
    setFilter(chosen);
    if (chosen !== "all" && store.list(chosen).length === 0) void store.loadMore(chosen).catch(() => undefined);
  };
  const refresh = () => {
    setPulling(true);
    void store.refresh().finally(() => setPulling(false));
  };
  const gap = theme.space * 2;
  const head = (
    <>
      {header}
      <Status />
      {isLoading ? <Loading /> : <Hero onBackUp={() => setOpen({ kind: "backUp" })} onRestore={() => setOpen({ kind: "restore" })} />}
      {isEmpty ? <Empty /> : null}
      <Jobs onRestore={(restore) => setOpen({ kind: "restore", restoreId: restore.id })} />
      <LastRestore now={now} onOpen={(restore) => setOpen({ kind: "restore", restoreId: restore.id })} />
      {isEmpty ? null : <Days chosen={day?.key} onChoose={setDay} />}
    </>
  );
  const tail = (
    <>
      <Storage />
      <Drills />
      <Activity />
      {footer}
    </>
  );
  const list = {
    data: copies as BackupStatus[],
    renderItem: renderCopy,
    keyExtractor: (backup: BackupStatus) => backup.id,
    initialNumToRender: 12,
    maxToRenderPerBatch: 12,
    windowSize: 9,
    keyboardShouldPersistTaps: "handled" as const,
    testID: `${testID}.list`,
  };
  const pull = <RefreshControl refreshing={pulling} onRefresh={refresh} tintColor={theme.muted} />;
  const copiesHead = hasNothing || isEmpty ? null : <CopiesHeader filter={filter} day={day} onFilter={chooseFilter} />;
  const copiesFoot = hasNothing || isEmpty ? null : <CopiesFooter filter={filter} day={day} count={copies.length} />;
  const openBackup = open?.kind === "copy" ? seen.backups.find((backup) => backup.id === open.id) : undefined;
  return (
    <>
      {isWide ? (
        <View style={{ flex: 1, flexDirection: "row", justifyContent: "center" }}>
          <ScrollView style={{ flex: 1, maxWidth: 720 }} contentContainerStyle={{ padding: gap, gap }} refreshControl={pull} tabIndex={0} testID={`${testID}.left`}>
            {head}
            {tail}
          </ScrollView>
          {hasNothing || isEmpty ? null : (
            <FlatList {...list} style={{ flex: 1, maxWidth: 720 }} tabIndex={0} contentContainerStyle={{ padding: gap, paddingLeft: 0 }} ListHeaderComponent={copiesHead} ListFooterComponent={copiesFoot} />
          )}
        </View>
      ) : (
        <FlatList
          {...list}
          tabIndex={0}
          contentContainerStyle={{ padding: theme.space * 1.5 }}
          refreshControl={pull}
          ListHeaderComponent={
            <View style={{ gap }}>
              {head}
              {copiesHead}
            </View>
          }
          ListFooterComponent={
            <View style={{ gap }}>
              {copiesFoot}
              {tail}
            </View>
          }
        />
      )}
      {open?.kind === "backUp" ? <BackUpSheet onClose={close} /> : null}
      {openBackup ? <CopySheet backup={openBackup} onClose={close} onRestore={(backup) => setOpen({ kind: "restore", backupId: backup.id })} /> : null}
      {open?.kind === "restore" ? <RestoreSheet key={`${open.backupId}.${open.restoreId}`} backupId={open.backupId} restoreId={open.restoreId} onClose={close} /> : null}
    </>
  );

  function Loading() {
    return (
      <Card testID={`${testID}.loading`}>
        <View style={{ flexDirection: "row", gap: theme.space * 1.5, alignItems: "center" }}>
          <ActivityIndicator color={theme.muted} animating={!reduceMotion} aria-label={words.t("state.loading")} />
          <Muted size="body">{words.t("state.loading")}</Muted>
        </View>
      </Card>
    );
  }

  function Empty() {
    return (
      <Card testID={`${testID}.empty`}>
        <Txt size="heading" level={2}>
          {words.t("state.empty")}
        </Txt>
        <Muted size="body">{words.t("state.empty.hint")}</Muted>
      </Card>
    );
  }
}

/** What came of the last restore, for a day: it must not be gone with the sheet. */
function LastRestore({ now, onOpen }: { now: number; onOpen: (restore: RestoreStatus) => void }) {
  const { theme, words, seen, testID } = useScreen();
  const [last] = seen.restores;
  if (!last || last.completedAt === undefined || now - Date.parse(last.completedAt) > RESULT_MS) return null;
  const target = words.t(`restore.${last.targetEnvironment}`);
  const isDone = last.status === "completed";
  const title = words.t(isDone ? "restore.done" : last.cancelled === undefined ? "restore.failed" : "restore.cancelled", { target });
  const rows = last.restored ? words.t("restore.rows", { rows: last.restored.rows, total: last.rowsTotal }) : last.error;
  return (
    <Notice tone={isDone ? "good" : last.cancelled === undefined ? "bad" : "neutral"} title={`${title} · ${words.ago(now - Date.parse(last.completedAt))}`} text={rows} testID={`${testID}.lastRestore`}>
      <View style={{ flexDirection: "row", marginLeft: -theme.space }}>
        <Button kind="quiet" label={words.t("action.details")} onPress={() => onOpen(last)} testID={`${testID}.lastRestore.open`} />
      </View>
    </Notice>
  );
}

/** Says aloud when the verdict, a job or its quarter changes. */
function Announcement() {
  const { words, seen, now } = useScreen();
  const backup = seen.backups.find(isRunning);
  const restore = runningRestore(seen) ?? waitingRestore(seen);
  const protection = protectionOf(seen.summary, seen.seenAt, now, false);
  const parts = [seen.summary === undefined ? "" : words.t(`protection.${protection.verdict}`)];
  const quarter = (progress: number) => words.percent(Math.floor(progress / 25) * 25);
  if (backup) parts.push(words.t("announce.progress", { what: words.t("job.backup"), percent: quarter(backup.progress) }));
  if (restore) parts.push(words.t("announce.progress", { what: words.t("restore.heading"), percent: quarter(restore.progress) }));
  const [newest] = seen.backups;
  if (!backup && newest?.status === "failed") parts.push(words.t("job.failed"));
  return <Announcer text={parts.filter((part) => part !== "").join(". ")} />;
}

function useReduceMotion(): boolean {
  const [reduce, setReduce] = useState(false);
  useEffect(() => {
    let isThere = true;
    void AccessibilityInfo.isReduceMotionEnabled().then((is) => isThere && setReduce(is));
    const watching = AccessibilityInfo.addEventListener("reduceMotionChanged", setReduce);
    return () => {
      isThere = false;
      watching.remove();
    };
  }, []);
  return reduce;
}

/** A browser has a clipboard; a phone lets the person choose where the text goes. */
async function ownCopy(text: string): Promise<void> {
  const browser = (globalThis as { navigator?: { clipboard?: { writeText(text: string): Promise<void> } } }).navigator;
  if (Platform.OS === "web" && browser?.clipboard) return browser.clipboard.writeText(text);
  await Share.share({ message: text });
}
