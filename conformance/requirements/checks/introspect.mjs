// Introspection (RFC 7662), as SMART narrows it.
import assert from "node:assert/strict";

import { PORTAL, PUBLIC, basic, claims, launched, post, renew } from "../flow.mjs";

const SCOPE = "launch/patient openid fhirUser offline_access patient/Patient.r";

export async function introspection_tells_what_the_token_answer_told(browser) {
  const before = Math.floor(Date.now() / 1000);
  const { body } = await launched(browser, PUBLIC, SCOPE);
  const { status, body: told } = await post("introspect", { token: body.access_token }, basic(PORTAL));
  assert.equal(status, 200);
  const { iss, sub, fhirUser } = claims(body.id_token);
  assert.deepEqual(
    { active: told.active, scope: told.scope, client: told.client_id, patient: told.patient },
    { active: true, scope: body.scope, client: PUBLIC.id, patient: body.patient },
  );
  assert.deepEqual([told.iss, told.sub, told.fhirUser], [iss, sub, fhirUser]);
  assert.ok(Number.isInteger(told.exp) && Math.abs(told.exp - before - body.expires_in) <= 30, `${told.exp}`);
}

export async function a_token_that_is_not_good_is_not_active_and_no_more_is_told(browser) {
  const { body } = await launched(browser, PUBLIC, SCOPE);
  await renew(PUBLIC, body.refresh_token);
  const used = await post("introspect", { token: body.refresh_token }, basic(PORTAL));
  const guessed = await post("introspect", { token: "guessed" }, basic(PORTAL));
  for (const { body: told } of [used, guessed]) assert.deepEqual(told, { active: false });
}

export async function introspection_takes_the_token_of_an_app_that_may(browser) {
  const of = async (client) => (await launched(browser, client, SCOPE)).body.access_token;
  const [token, own] = [await of(PUBLIC), await of(PORTAL)];
  const asked = await post("introspect", { token }, { Authorization: `Bearer ${own}` });
  assert.deepEqual([asked.status, asked.body.active, asked.body.client_id], [200, true, PUBLIC.id]);
  assert.equal((await post("introspect", { token: own }, { Authorization: `Bearer ${token}` })).status, 401);
}

export async function a_refresh_token_is_good_for_three_months(browser) {
  const first = (await launched(browser, PUBLIC, SCOPE)).body;
  const second = (await renew(PUBLIC, first.refresh_token)).body;
  const { body: told } = await post("introspect", { token: second.refresh_token }, basic(PORTAL));
  assert.ok(told.active && told.exp - Date.now() / 1000 > 91.9 * 86_400, `${told.exp}`);
}

export async function introspection_is_for_clients_alone() {
  assert.equal((await post("introspect", { token: "guessed" })).status, 401);
}
