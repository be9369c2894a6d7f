/**
 * The state of the backups, to be put into any screen: it takes the room that it is given, and scrolls in it.
 *
 * Needs React and React Native, and nothing else of the host but a service to ask.
 */

import type { BackupStatus } from "@gasrapido/backup-client";
import { useCallback, useEffect, useMemo, useState, type ReactNode } from "react";
import { FlatList, Platform, RefreshControl, ScrollView, Share, StatusBar, View, useWindowDimensions, type LayoutChangeEvent } from "react-native";
import { ScreenContext, useScreen, type Screen } from "./context";
import { useBackups } from "./data/useBackups";
import { useAction } from "./data/useAction";
import { useNow } from "./data/useNow";
import { useReduceMotion } from "./data/useReduceMotion";
import type { BackupEvent, Backups } from "./data/store";
import type { Filter } from "./data/seen";
import type { KeptStorage } from "./data/kept";
import type { Messages } from "./messages";
import { growthOf } from "./model/copy";
import { isUnderWay } from "./model/job";
import { keyOf, type Day } from "./model/days";
import { runningRestore } from "./data/lock";
import { Card } from "./parts/Card";
import { Notice } from "./parts/Notice";
import { Busy } from "./parts/Busy";
import { Dialog } from "./parts/Sheet";
import { Muted, Txt } from "./parts/Txt";
import { RestoreSheet } from "./restore/RestoreSheet";
import { Activity } from "./sections/Activity";
import { Announcement } from "./sections/Announcement";
import { BackUpSheet } from "./sections/BackUpSheet";
import { CopiesFooter, CopiesHeader, type OfDay } from "./sections/Copies";
import { CopyRow } from "./sections/CopyRow";
import { CopySheet, titleOf } from "./sections/CopySheet";
import { Days } from "./sections/Days";
import { Drills } from "./sections/Drills";
import { Hero } from "./sections/Hero";
import { Jobs } from "./sections/Job";
import { LastRestore } from "./sections/LastRestore";
import { Status } from "./sections/Status";
import { CleanUpSheet, Storage } from "./sections/Storage";
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
  /** Copies a text, such as to a clipboard; the system's own way to share without. `false` says that it was not done. */
  copyText?: (text: string) => unknown;
  /** What the system covers at the top and the bottom, such as `useSafeAreaInsets()` tells; about that of any phone without. */
  insets?: { top: number; bottom: number };
  /** Milliseconds between looks while nothing runs; 30,000 without. */
  pollMs?: number;
  /** Put above and beneath everything. */
  header?: ReactNode;
  footer?: ReactNode;
  /** What the ids of its parts begin with. */
  testID?: string;
}

/** From this width on there are two columns. */
const WIDE = 840;
/** A phone's clock and its home bar, about; a host that knows better says so. */
const INSETS = Platform.select({ ios: { top: 59, bottom: 34 }, android: { top: StatusBar.currentHeight ?? 24, bottom: 24 }, default: { top: 0, bottom: 0 } });
const TICK_MS = 5_000;
const TICK_RUNNING_MS = 1_000;
/** Of the backups of a day so many are listed. */
const OF_A_DAY = 100;

export function BackupManagementComponent(props: BackupManagementProps) {
  const { service, locale, messages, timeZone, colorScheme, nameOf, copyText, testID = "backups" } = props;
  const { store, seen } = useBackups(service, { pollMs: props.pollMs, storage: props.storage, onEvent: props.onEvent });
  const theme = useTheme(props.theme, colorScheme);
  const words = useMemo(() => new Words(locale ?? localeOfDevice(), messages, timeZone), [locale, messages, timeZone]);
  const isBusy = seen.backups.some(isUnderWay) || runningRestore(seen) !== undefined;
  const now = useNow(service, isBusy ? TICK_RUNNING_MS : TICK_MS);
  const reduceMotion = useReduceMotion();
  const window = useWindowDimensions();
  const [width, setWidth] = useState<number>();
  const isWide = (width ?? window.width) >= WIDE;
  const { top, bottom } = props.insets ?? INSETS;
  const screen: Screen = useMemo(
    () => ({ theme, words, store, seen, now, isWide, reduceMotion, testID, nameOf: nameOf ?? ((id) => id), copyText: copyText ?? ownCopy, insets: { top, bottom } }),
    [theme, words, store, seen, now, isWide, reduceMotion, testID, nameOf, copyText, top, bottom],
  );
  return (
    <ScreenContext.Provider value={screen}>
      <View testID={testID} onLayout={(event: LayoutChangeEvent) => setWidth(event.nativeEvent.layout.width)} style={{ flex: 1, backgroundColor: theme.background }}>
        <Announcement />
        {/* What is open of one project is not open of another. */}
        <Content key={store.id} header={props.header} footer={props.footer} />
      </View>
    </ScreenContext.Provider>
  );
}

type Open = { kind: "backUp" } | { kind: "cleanUp" } | { kind: "copy"; id: string } | { kind: "restore"; backupId?: string; restoreId?: string };

function Content({ header, footer }: { header: ReactNode; footer: ReactNode }) {
  const { theme, words, store, seen, isWide, testID } = useScreen();
  const [filter, setFilter] = useState<Filter>("all");
  const [day, setDay] = useState<Day>();
  const [open, setOpen] = useState<Open>();
  const [pulling, setPulling] = useState(false);
  const close = useCallback(() => setOpen(undefined), []);
  const openCopy = useCallback((id: string) => setOpen({ kind: "copy", id }), []);

  const { history, reach, backups } = seen;
  const idsOfDay = useMemo(() => {
    if (day === undefined) return undefined;
    return (history?.runs ?? []).filter((run) => keyOf(words.day(Date.parse(run.at))) === day.key).map((run) => run.id);
  }, [day, history, words]);
  const know = useAction((ids: readonly string[]) => store.know(ids));
  const { run: lookForDay } = know;
  useEffect(() => {
    if (idsOfDay) void lookForDay(idsOfDay.slice(0, OF_A_DAY));
  }, [lookForDay, idsOfDay]);
  const ofDay: OfDay | undefined = idsOfDay && {
    busy: know.busy,
    problem: know.problem,
    retry: () => void lookForDay(idsOfDay.slice(0, OF_A_DAY)),
    cut: Math.max(0, idsOfDay.length - OF_A_DAY),
  };

  // What is listed depends on what is known and on how far it was read.
  const copies = useMemo(
    () => (idsOfDay ? backups.filter((backup) => idsOfDay.includes(backup.id)) : store.list(filter)),
    [backups, reach, idsOfDay, store, filter],
  );
  const growth = useMemo(() => growthOf(store.list("all")), [backups, reach, store]);
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
      <LastRestore onOpen={(restore) => setOpen({ kind: "restore", restoreId: restore.id })} />
      {isEmpty ? null : <Days chosen={day?.key} onChoose={setDay} />}
    </>
  );
  const tail = (
    <>
      {seen.reportsProblem === undefined || hasNothing ? null : <Notice tone="neutral" title={words.t("state.reports")} />}
      <Storage onCleanUp={() => setOpen({ kind: "cleanUp" })} />
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
  const copiesFoot = hasNothing || isEmpty ? null : <CopiesFooter filter={filter} ofDay={ofDay} count={copies.length} />;
  const openBackup = open?.kind === "copy" ? seen.backups.find((backup) => backup.id === open.id) : undefined;
  const titles = {
    backUp: words.t("backUp.heading"),
    cleanUp: words.t("cleanup.heading"),
    restore: words.t("restore.heading"),
    copy: openBackup && titleOf(openBackup, words),
  };
  const title = open && titles[open.kind];
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
      {open && title !== undefined ? (
        <Dialog label={title} onClose={close}>
          {open.kind === "backUp" ? <BackUpSheet onClose={close} /> : null}
          {open.kind === "cleanUp" ? <CleanUpSheet onClose={close} /> : null}
          {openBackup ? <CopySheet key={openBackup.id} backup={openBackup} onClose={close} onRestore={(backup) => setOpen({ kind: "restore", backupId: backup.id })} /> : null}
          {open.kind === "restore" ? <RestoreSheet key={`${open.backupId}.${open.restoreId}`} backupId={open.backupId} restoreId={open.restoreId} onClose={close} /> : null}
        </Dialog>
      ) : null}
    </>
  );
}

function Loading() {
  const { theme, words, testID } = useScreen();
  return (
    <Card testID={`${testID}.loading`}>
      <View style={{ flexDirection: "row", gap: theme.space * 1.5, alignItems: "center" }}>
        <Busy />
        <Muted size="body">{words.t("state.loading")}</Muted>
      </View>
    </Card>
  );
}

function Empty() {
  const { words, testID } = useScreen();
  return (
    <Card testID={`${testID}.empty`}>
      <Txt size="heading" level={2}>
        {words.t("state.empty")}
      </Txt>
      <Muted size="body">{words.t("state.empty.hint")}</Muted>
    </Card>
  );
}

/** A browser has a clipboard; a phone lets the person choose where the text goes. */
async function ownCopy(text: string): Promise<boolean> {
  const browser = (globalThis as { navigator?: { clipboard?: { writeText(text: string): Promise<void> } } }).navigator;
  if (Platform.OS === "web" && browser?.clipboard) {
    await browser.clipboard.writeText(text);
    return true;
  }
  return (await Share.share({ message: text })).action === Share.sharedAction;
}
