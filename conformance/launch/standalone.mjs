// npm `fhirclient` (the SMART JS client) in Chromium: a practitioner opens the app, chooses a patient, consents, sees the
// chart, renews the token, and disconnects the app, which ends it. At a desk and on a phone.
//
// Usage: node standalone.mjs WORLD
import assert from "node:assert/strict";

import { complaints, desktop, launch, phone, picture } from "../browser.mjs";
import { load } from "../packages.mjs";
import { approve } from "./person.mjs";
import { auth, soon, statusWith, world } from "./world.mjs";

const { AxeBuilder } = load("@axe-core/playwright");
const patient = world.truth.patients[world.patient];

/** The token answer that the app keeps. */
const kept = (page) =>
  page.evaluate(() => JSON.parse(sessionStorage.getItem(JSON.parse(sessionStorage.getItem("SMART_KEY")))).tokenResponse);

/** Points in each chart, as they are drawn. */
async function drawn(page) {
  const cards = await page.locator("article").all();
  const counted = await Promise.all(
    cards.map(async (card) => [await card.getByRole("heading").innerText(), await card.locator("circle").count()]),
  );
  return Object.fromEntries(counted);
}

/** What axe finds on a page of the app: nothing. */
async function looked(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), []);
}

async function connected(page, name) {
  await page.goto(world.app);
  await page.getByRole("button", { name: "Connect" }).waitFor();
  await looked(page);
  await page.getByRole("button", { name: "Connect" }).click();
  const sentences = await approve(page, world.practitioner, { patient: patient.name, name });
  await page.getByRole("heading", { name: patient.name }).waitFor();
  await looked(page);
  await picture(page, `${name}-chart`);
  assert.deepEqual(await drawn(page), patient.points, "the points that are in the database");
  return sentences;
}

async function refreshed(page) {
  const before = await kept(page);
  assert.equal(before.patient, world.patient);
  assert.equal(before.token_type, "Bearer");
  assert.ok(before.id_token, "an id_token");
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByText("Refreshed at").waitFor();
  const after = await kept(page);
  assert.notEqual(after.access_token, before.access_token);
  assert.notEqual(after.refresh_token, before.refresh_token, "each refresh token is good once");
  assert.equal(after.scope, before.scope);
  return after;
}

async function disconnected(context, page, token) {
  const manage = await context.newPage();
  await manage.goto(`${auth()}/manage`);
  await manage.getByRole("button", { name: "Disconnect Vitals chart" }).click();
  // From the moment the page answered.
  await soon(401, () => statusWith(token.access_token));
  await manage.getByText("No app is connected").waitFor();
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByRole("heading", { name: "This app is not connected any more" }).waitFor();
  await looked(page);
  await picture(page, "disconnected");
}

const browser = await launch();
try {
  const desk = await desktop(browser);
  const page = await desk.newPage();
  const heard = complaints(page, [new URL(world.app).origin, world.url]);
  const sentences = await connected(page, "standalone-desktop");
  assert.ok(sentences.some((sentence) => /until you disconnect it/.test(sentence)), `said: ${sentences}`);
  const token = await refreshed(page);
  assert.deepEqual(heard, [], "nothing against the pages");
  await disconnected(desk, page, token);

  const pocket = await phone(browser);
  await connected(await pocket.newPage(), "standalone-phone");
  const points = Object.values(patient.points).reduce((sum, count) => sum + count);
  console.log(`${points} points drawn; refreshed; nothing after the disconnect`);
} finally {
  await browser.close();
}
