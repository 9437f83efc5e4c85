// Debian's Chromium, driven by npm `playwright-core`: as a person at a desk, and as one with a phone.
//
// CHROMIUM is the program, /usr/bin/chromium unless set. NODE_PATH leads to the package.
import { mkdirSync } from "node:fs";
import path from "node:path";

import { load } from "./packages.mjs";

/** Longest wait for anything on a page, in milliseconds. */
const PATIENCE = 15_000;

/** Nothing in the background: it would only look for hosts of its maker. */
const FLAGS = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
];

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const DESKTOP = { viewport: { width: 1280, height: 860 } };

/** Starts the browser; whoever did closes it. */
export async function launch() {
  const { chromium } = load("playwright-core");
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

async function context(browser, settings) {
  const made = await browser.newContext({ locale: "en-GB", ...settings });
  made.setDefaultTimeout(PATIENCE);
  return made;
}

/** A window of its own, with no cookie of another, on a desk. */
export const desktop = (browser, settings = {}) => context(browser, { ...DESKTOP, ...settings });

/** The same on a phone. */
export const phone = (browser, settings = {}) => context(browser, { ...PHONE, ...settings });

/**
 * Writes a picture of the whole page, NAME.png, into the folder that PICTURES names; nothing without it.
 * A page is as wide as its window: what reaches over the edge on a phone is a failure, not a picture.
 */
export async function picture(page, name) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (over > 0) throw new Error(`${name}: the page is ${over} pixels wider than its window`);
  const folder = process.env.PICTURES;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
}

/**
 * What a page has to say against itself: errors of its scripts, breaches of its Content-Security-Policy, requests to
 * other hosts than ALLOWED. Read it at the end; it is empty where all is well.
 */
export function complaints(page, allowed) {
  const heard = [];
  page.on("pageerror", (error) => heard.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") heard.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith("http") && !allowed.includes(origin)) heard.push(`request: ${origin}`);
  });
  return heard;
}
