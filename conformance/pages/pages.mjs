// Every page of a tenant's authorization server, looked at by axe: at a desk, on a phone, and on a phone whose owner likes
// it dark. Then the way from sign-in to the app's answer by keyboard alone, without scripts.
//
// Usage: node pages.mjs WORLD
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

import { complaints, desktop, launch, phone, picture } from "../browser.mjs";
import { auth, base, world } from "../launch/world.mjs";
import { load } from "../packages.mjs";

const { AxeBuilder } = load("@axe-core/playwright");

const SCOPES = "launch/patient openid fhirUser offline_access patient/*.rs";
const patient = world.truth.patients[world.patient];

/** The request of the demo app. */
function request(more = {}) {
  const url = new URL(`${auth()}/authorize`);
  const challenge = createHash("sha256").update("a verifier that nobody will ask for, of enough signs").digest("base64url");
  const all = {
    response_type: "code", client_id: world.client, redirect_uri: world.app, scope: SCOPES, state: "s", aud: base(),
    code_challenge: challenge, code_challenge_method: "S256", ...more,
  };
  for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value);
  return url.href;
}

/** What axe finds on a page: nothing. */
async function looked(page, name) {
  const { passes, violations } = await new AxeBuilder({ page }).analyze();
  assert.ok(passes.some(({ id }) => id === "color-contrast"), `${name}: axe did not look`);
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  assert.deepEqual(found, [], name);
  // A target of 44 pixels (WCAG 2.2, 2.5.5).
  const small = await page.$$eval("main button, main .button, main label.tick, main input[type=text]", (all) =>
    all.map((one) => [one.textContent.trim(), one.getBoundingClientRect().height]).filter(([, height]) => height < 44));
  assert.deepEqual(small, [], `${name}: targets under 44 pixels`);
  await picture(page, name);
  return name;
}

const heading = (page, name) => page.getByRole("heading", { level: 1, name }).waitFor();

async function signIn(page, { username, password }) {
  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** All pages, in the order in which a practitioner meets them. */
async function all(context, name) {
  const page = await context.newPage();
  const heard = complaints(page, [world.url, new URL(world.app).origin]);
  const seen = [];
  const look = async (what) => seen.push(await looked(page, `${name}-${what}`));
  await page.goto(request());
  await look("sign-in");
  await signIn(page, { ...world.practitioner, password: "not the password" });
  await page.getByRole("alert").waitFor();
  await look("sign-in-failed");
  await signIn(page, world.practitioner);
  await heading(page, "Choose a patient");
  await look("patients");
  await page.getByLabel("Name, or the beginning of it").fill("Nobody");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("alert").waitFor();
  await look("patients-none");
  await page.getByLabel("Name, or the beginning of it").fill(patient.name.split(" ").pop());
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("button", { name: patient.name }).waitFor();
  await look("patients-found");
  await page.getByRole("button", { name: patient.name }).click();
  await heading(page, /would like to/);
  await look("consent");
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await page.waitForURL((url) => url.href.startsWith(world.app));
  await page.goto(`${auth()}/manage`);
  await heading(page, "Connected apps");
  await look("connected-apps");
  await page.getByRole("button", { name: "Disconnect Vitals chart" }).first().click();
  await page.getByRole("status").waitFor();
  await look("disconnected");
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "You are signed out");
  await look("signed-out");
  await page.goto(request({ redirect_uri: "https://elsewhere.example/" }));
  await heading(page, "This did not work");
  await look("error");
  // What is refused on purpose stands on the console; so does nothing else.
  assert.deepEqual(heard.filter((line) => !/status of (400|403)|elsewhere/.test(line)), [], "nothing against the pages");
  await page.close();
  return seen.length;
}

/** Goes on with Tab until the element in focus is called so. */
async function tabTo(page, name) {
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press("Tab");
    const focus = await page.evaluate(() => {
      const { activeElement: element } = document;
      const ring = getComputedStyle(element).outlineStyle;
      return { name: (element.labels?.[0] ?? element).textContent.trim(), shown: ring !== "none" };
    });
    if (focus.name.startsWith(name)) {
      assert.ok(focus.shown, `${name}: the focus is not to be seen`);
      return;
    }
  }
  throw new Error(`no way to ${name} by keyboard`);
}

/** A patient signs in, unticks a sentence and allows the rest, without a mouse and without scripts. */
async function byKeyboard(context) {
  const page = await context.newPage();
  await page.goto(request());
  await tabTo(page, "Skip to the content");
  await page.keyboard.press("Enter");
  await tabTo(page, "User name");
  await page.keyboard.type(world.person.username);
  await tabTo(page, "Password");
  await page.keyboard.type(world.person.password);
  await page.keyboard.press("Enter");
  await heading(page, /would like to/);
  await tabTo(page, "keep doing this until you disconnect it");
  await page.keyboard.press("Space");
  assert.equal(await page.getByLabel("keep doing this").isChecked(), false);
  await picture(page, "keyboard-consent");
  await tabTo(page, "Allow");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.href.startsWith(world.app));
  assert.ok(new URL(page.url()).searchParams.get("code"), page.url());
  await page.close();
}

const browser = await launch();
try {
  let count = 0;
  for (const [name, context] of [
    ["pages-desktop", await desktop(browser)],
    ["pages-phone", await phone(browser)],
    ["pages-phone-dark", await phone(browser, { colorScheme: "dark" })],
    ["pages-narrow", await phone(browser, { viewport: { width: 320, height: 640 } })],
  ]) {
    count += await all(context, name);
  }
  await byKeyboard(await desktop(browser, { javaScriptEnabled: true }));
  console.log(`axe finds nothing on ${count} pages; the way to consent by keyboard alone`);
} finally {
  await browser.close();
}
