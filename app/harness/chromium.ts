/** The Chromium of the tests, of the figures and of the pictures: one without a screen, that talks to nobody by itself. */

import { chromium, type Browser } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export function launch(): Promise<Browser> {
  const executablePath = process.env["BACKUP_BROWSER"];
  if (!executablePath) throw new Error("BACKUP_BROWSER must name a Chromium; infra/tools/browser finds or installs one");
  return chromium.launch({ executablePath, args: FLAGS });
}
