// The token endpoint's answers: what stands in them, what a refresh gives, what a client has to show.
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";

import { desktop } from "../../browser.mjs";
import { soon, statusWith } from "../../launch/world.mjs";
import {
  DIRECTORY, PORTAL, PUBLIC, answerIn, auth, base, basic, claims, exchange, forged, get, launched, post, renew, request, world,
} from "../flow.mjs";

const SCOPE = "launch/patient openid fhirUser offline_access patient/Patient.r patient/Observation.rs";
const PATIENT = () => `${base()}/Patient/${world.patient}`;

export async function a_token_answer_has_all_its_members_and_is_never_kept(browser) {
  const { headers, body } = await launched(browser, PUBLIC, SCOPE);
  assert.match(headers.get("Content-Type"), /^application\/json/);
  assert.equal(headers.get("Cache-Control"), "no-store");
  assert.equal(headers.get("Pragma"), "no-cache");
  assert.equal(body.token_type, "Bearer");
  assert.ok(body.expires_in > 0 && body.expires_in <= 3600);
  assert.deepEqual(body.scope.split(" ").sort(), SCOPE.split(" ").sort());
  assert.equal(body.patient, world.patient);
  assert.ok(body.refresh_token);
  assert.match(body.access_token, /^[\x21-\x7e]{1,8192}$/);
  const read = await get(PATIENT(), { Authorization: `Bearer ${body.access_token}` });
  assert.deepEqual([read.status, read.body.id], [200, world.patient]);
}

export async function an_id_token_is_signed_with_rs256_and_says_who_it_is(browser) {
  const { body } = await launched(browser, PUBLIC, SCOPE, { changes: { nonce: "n-once" } });
  const [signed, signature] = [body.id_token.split(".").slice(0, 2).join("."), body.id_token.split(".")[2]];
  const { alg, kid } = claims(body.id_token, 0);
  assert.equal(alg, "RS256");
  const { keys } = (await get(`${auth()}/jwks`)).body;
  const key = createPublicKey({ key: keys.find((one) => one.kid === kid), format: "jwk" });
  assert.ok(verify("sha256", Buffer.from(signed), key, Buffer.from(signature, "base64url")));
  const said = claims(body.id_token);
  assert.deepEqual([said.iss, said.aud, said.nonce, said.fhirUser], [auth(), PUBLIC.id, "n-once", PATIENT()]);
  const who = await get(said.fhirUser, { Authorization: `Bearer ${body.access_token}` });
  assert.equal(who.body.resourceType, "Patient");
}

export async function nobody_without_a_resource_is_a_fhir_user(browser) {
  const { body } = await launched(browser, DIRECTORY, "openid fhirUser user/Patient.rs", { person: world.clerk });
  assert.ok(!body.scope.split(" ").includes("fhirUser"), body.scope);
  assert.equal(claims(body.id_token).fhirUser, undefined);
}

export async function scopes_are_answered_in_the_spelling_they_were_asked_in(browser) {
  const asked = "launch/patient patient/Patient.read patient/Observation.read";
  const { body } = await launched(browser, PUBLIC, asked);
  assert.deepEqual(body.scope.split(" ").sort(), asked.split(" ").sort());
  const { status } = await get(PATIENT(), { Authorization: `Bearer ${body.access_token}` });
  assert.equal(status, 200);
}

export async function scopes_are_never_wider_than_registered(browser) {
  const { body } = await launched(browser, PUBLIC, "patient/Observation.cruds user/*.cruds system/*.rs");
  assert.deepEqual(body.scope.split(" "), ["patient/Observation.rs"]);
}

export async function a_refresh_gives_the_same_scope_or_less(browser) {
  const first = (await launched(browser, PUBLIC, SCOPE)).body;
  const second = await renew(PUBLIC, first.refresh_token);
  assert.equal(second.status, 200, JSON.stringify(second.body));
  assert.equal(second.headers.get("Cache-Control"), "no-store");
  assert.equal(second.headers.get("Pragma"), "no-cache");
  const { token_type: type, expires_in: seconds, scope, patient } = second.body;
  assert.deepEqual([type, scope, patient], ["Bearer", first.scope, world.patient]);
  assert.ok(seconds > 0 && second.body.access_token && second.body.refresh_token);

  const third = await renew(PUBLIC, second.body.refresh_token, { scope: "patient/Observation.rs" });
  assert.equal(third.body.scope, "patient/Observation.rs");
  const narrow = { Authorization: `Bearer ${third.body.access_token}` };
  assert.equal((await fetch(PATIENT(), { headers: narrow })).status, 403);
  const wider = await renew(PUBLIC, third.body.refresh_token, { scope: "patient/Observation.cruds" });
  assert.equal(wider.body.error, "invalid_scope");
}

export async function a_public_app_may_refresh_without_naming_itself(browser) {
  // SMART's request has grant_type, refresh_token and scope; npm fhirclient sends no more.
  const first = (await launched(browser, PUBLIC, SCOPE)).body;
  assert.equal((await renew(PUBLIC, first.refresh_token, { client_id: undefined })).status, 200);
}

export async function a_refresh_token_is_its_clients_and_no_other(browser) {
  const { body } = await launched(browser, PUBLIC, SCOPE);
  assert.equal((await renew({ id: "two-homes" }, body.refresh_token)).body.error, "invalid_grant");
  assert.equal((await renew(PUBLIC, "guessed")).body.error, "invalid_grant");
}

export async function an_online_app_goes_on_until_its_user_signs_out(browser) {
  const context = await desktop(browser);
  const asked = request(PUBLIC, "launch/patient online_access patient/Patient.r");
  const { body: first } = await exchange(asked, (await answerIn(context, asked)).get("code"));
  const { body: second } = await renew(PUBLIC, first.refresh_token);
  assert.ok(second.access_token, JSON.stringify(second));
  const page = await context.newPage();
  await page.goto(`${auth()}/manage`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await context.close();
  assert.equal((await renew(PUBLIC, second.refresh_token)).body.error, "invalid_grant");
  await soon(401, () => statusWith(second.access_token));
}

export async function a_client_with_a_secret_shows_it(browser) {
  const { body } = await launched(browser, PORTAL, SCOPE);
  assert.equal((await renew(PORTAL, body.refresh_token)).status, 200);
  const grant = { grant_type: "refresh_token", refresh_token: body.refresh_token };
  assert.equal((await post("token", grant, basic({ ...PORTAL, secret: "guess" }))).body.error, "invalid_client");
  assert.notEqual((await post("token", { ...grant, client_id: PORTAL.id })).status, 200, "not without");
}

export async function a_service_with_a_secret_gets_no_token() {
  const { status } = await post("token", { grant_type: "client_credentials", scope: "system/*.rs" }, basic(PORTAL));
  assert.equal(status, 400);
}

export async function assertions_that_are_not_right_are_invalid_client() {
  const now = Math.floor(Date.now() / 1000);
  const right = { iss: "node-service", sub: "node-service", aud: `${auth()}/token`, exp: now + 60, jti: "x" };
  const header = { alg: "ES384", kid: "node-1", typ: "JWT" };
  const cases = [
    [header, right],
    [{ ...header, alg: "none" }, right],
    [{ ...header, alg: "HS256" }, right],
    [{ ...header, jku: "https://other.example/jwks" }, right],
    [header, { ...right, iss: "nobody", sub: "nobody" }],
    [header, { ...right, aud: "https://other.example/token" }],
    [header, { ...right, exp: now + 3600 }],
    [header, { ...right, jti: undefined }],
  ];
  for (const [first, second] of cases) {
    const { status, body } = await post("token", {
      grant_type: "client_credentials",
      scope: "system/Observation.rs",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: forged(first, second),
    });
    assert.deepEqual([status, body.error], [400, "invalid_client"], JSON.stringify([first, second]));
    assert.ok(body.error_description);
  }
}
