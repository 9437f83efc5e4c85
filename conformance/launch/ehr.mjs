// npm `fhirclient` (the SMART JS client) in Chromium, opened from an EHR: it makes a launch handle for its user and
// patient, opens the app's launch address, and the user, who has signed in, need only consent. The handle is good once.
//
// Usage: node ehr.mjs WORLD
import assert from "node:assert/strict";

import { complaints, desktop, launch, picture } from "../browser.mjs";
import { approve } from "./person.mjs";
import { auth, base, world } from "./world.mjs";

const patient = world.truth.patients[world.patient];

async function handle() {
  const { id, secret } = world.ehr;
  const response = await fetch(`${auth()}/launch`, {
    method: "POST",
    headers: { Authorization: `Basic ${btoa(`${id}:${secret}`)}`, "Content-Type": "application/json" },
    body: JSON.stringify({
      app: world.client,
      user: world.practitioner.username,
      patient: world.patient,
      encounter: "visit-1",
      need_patient_banner: true,
      intent: "reconcile-vitals",
    }),
  });
  assert.ok(response.ok, `${response.status}: ${await response.clone().text()}`);
  return response.json();
}

const browser = await launch();
try {
  const context = await desktop(browser);
  const page = await context.newPage();
  const heard = complaints(page, [new URL(world.app).origin, world.url]);
  const made = await handle();
  const opened = new URL("launch.html", world.app);
  opened.search = new URLSearchParams({ iss: base(), launch: made.launch });
  assert.equal(made.launch_url, opened.href, "what the EHR opens");

  await page.goto(opened.href);
  await approve(page, world.practitioner, { name: "ehr" });
  await page.getByRole("heading", { name: patient.name }).waitFor();
  await picture(page, "ehr-chart");
  const token = await page.evaluate(
    () => JSON.parse(sessionStorage.getItem(JSON.parse(sessionStorage.getItem("SMART_KEY")))).tokenResponse,
  );
  const { patient: id, encounter, need_patient_banner: banner, intent } = token;
  assert.deepEqual({ id, encounter, banner, intent }, { id: world.patient, encounter: "visit-1", banner: true, intent: "reconcile-vitals" });
  assert.deepEqual(heard, [], "nothing against the pages");

  // The same handle again is nothing to go by.
  const again = await context.newPage();
  await again.goto(opened.href);
  await again.waitForURL((url) => url.href.startsWith(world.app) && !url.pathname.endsWith("launch.html"));
  await again.getByRole("alert").waitFor();
  console.log(`opened for ${patient.name} at ${encounter}; the handle was good once`);
} finally {
  await browser.close();
}
