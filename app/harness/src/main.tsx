/**
 * The component in a browser: with the mock in any state (`?state=running&locale=pt-BR`), or with the API of a stack that runs on this
 * machine (`?api=…`), to which somebody signs in.
 */

import { BackupManagementScreen, BackupStore, type KeptStorage } from "@gasrapido/backup-react-native";
import { BackupService } from "@gasrapido/backup-client";
import { HOUR, MockApi, serviceOf } from "@gasrapido/backup-client/mock";
import { StrictMode, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { readOptions, type Options } from "./options";
import { SignIn } from "./SignIn";

const options = readOptions(location.search);
document.documentElement.lang = options.locale ?? navigator.language;

/** States in which the next look comes soon, because it shows what the state is about. */
const LOOKS_SOON = ["offline", "rate_limited"];

function Mocked({ storage }: { storage: KeptStorage | undefined }) {
  const { state, jobMs } = options;
  const [api] = useState(() => new MockApi({ state, ...(jobMs === undefined ? {} : { jobMs }) }));
  // For whoever tries it by hand, or by a test: `backups.offline = true`.
  Object.assign(globalThis, { backups: api });
  const service = useMemo(() => serviceOf(api), [api]);
  return <Page service={service} {...(storage === undefined ? {} : { storage })} {...(LOOKS_SOON.includes(state) ? { pollMs: 1_500 } : {})} />;
}

/** What a phone keeps that was last open a day ago. */
async function keptLongAgo(): Promise<KeptStorage> {
  const kept = new Map<string, string>();
  const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => kept.set(key, value) };
  await new BackupStore(serviceOf(new MockApi({ now: Date.now() - 26 * HOUR, latencyMs: 0 })), { storage }).refresh();
  return storage;
}

function Page(props: { service: BackupService; storage?: KeptStorage; pollMs?: number }) {
  const { locale, colorScheme, timeZone, textScale } = options;
  return (
    <BackupManagementScreen
      title="GasRápido"
      {...props}
      {...(locale === undefined ? {} : { locale })}
      {...(colorScheme === undefined ? {} : { colorScheme })}
      {...(timeZone === undefined ? {} : { timeZone })}
      {...(textScale === 1 ? {} : { theme: { textScale } })}
    />
  );
}

function Real({ api }: { api: string }) {
  const [role, setRole] = useState<string>();
  const service = useMemo(() => (role === undefined ? undefined : new BackupService({ baseUrl: api, token: () => tokenFor(role) })), [api, role]);
  return service === undefined ? <SignIn onSignIn={setRole} /> : <Page service={service} storage={localStorage} pollMs={5_000} />;
}

/** The server of this page signs tokens of the stack on this machine; nowhere else. */
async function tokenFor(role: string): Promise<string> {
  const answer = await fetch(`/sign-in?role=${encodeURIComponent(role)}`, { method: "POST" });
  if (!answer.ok) throw new Error(`nobody can be signed in: ${answer.status}`);
  return answer.text();
}

const { api, state }: Options = options;
const storage = state === "offline_old" ? await keptLongAgo() : undefined;
createRoot(document.getElementById("root")!).render(<StrictMode>{api === undefined ? <Mocked storage={storage} /> : <Real api={api} />}</StrictMode>);
