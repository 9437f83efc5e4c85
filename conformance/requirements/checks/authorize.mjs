// The authorization endpoint: what it takes, what it gives back, and where it never sends anybody.
import assert from "node:assert/strict";

import { PUBLIC, answer, auth, exchange, launched, request } from "../flow.mjs";

const SCOPE = "patient/Patient.r patient/Observation.rs";
/** Asks without a browser; a redirect is not followed. */
const ask = (asked, method = "GET") =>
  method === "GET"
    ? fetch(`${auth()}/authorize?${asked.parameters}`, { redirect: "manual" })
    : fetch(`${auth()}/authorize`, { method, body: asked.parameters, redirect: "manual" });

/** The error that goes back to the app, where one does. */
async function refusal(asked) {
  const response = await ask(asked);
  const location = response.headers.get("Location");
  return location?.startsWith(asked.client.redirect) ? new URL(location).searchParams.get("error") : `page ${response.status}`;
}

export async function a_request_is_taken_by_get_and_by_post() {
  for (const method of ["GET", "POST"]) {
    let response = await ask(request(PUBLIC, SCOPE), method);
    while (response.status === 302 || response.status === 303) {
      response = await fetch(new URL(response.headers.get("Location"), response.url), { redirect: "manual" });
    }
    assert.equal(response.status, 200, method);
    assert.match(await response.text(), /User name/, method);
  }
}

export async function a_code_comes_back_with_state_as_it_was_and_the_issuer(browser) {
  const asked = request(PUBLIC, SCOPE, { state: "a b+c&d=é%41/?#" });
  const back = await answer(browser, asked);
  assert.equal(back.get("state"), asked.state);
  assert.equal(back.get("iss"), auth());
  assert.ok(back.get("code"));
}

export async function who_does_not_allow_it_shares_nothing(browser) {
  const asked = request(PUBLIC, SCOPE);
  const back = await answer(browser, asked, undefined, { deny: true });
  assert.deepEqual([back.get("error"), back.get("state"), back.get("code")], ["access_denied", asked.state, null]);
}

export async function consent_says_what_is_asked_and_can_narrow_it(browser) {
  const said = [];
  const { body } = await launched(browser, PUBLIC, "patient/Patient.r patient/Observation.rs offline_access openid", {
    choices: { said, without: /until you disconnect/ },
  });
  assert.ok(said.some((sentence) => /until you disconnect it/.test(sentence)), `said: ${said}`);
  assert.ok(!body.scope.split(" ").includes("offline_access"), body.scope);
  assert.equal(body.refresh_token, undefined);
}

export async function an_address_that_is_not_registered_is_never_gone_to() {
  for (const redirect of [`${PUBLIC.redirect}/more`, "https://other.example/", `${PUBLIC.redirect}#x`]) {
    const response = await ask(request(PUBLIC, SCOPE, { redirect_uri: redirect }));
    assert.equal(response.status, 400, redirect);
    assert.equal(response.headers.get("Location"), null, redirect);
  }
}

export async function an_audience_that_is_not_this_server_is_refused() {
  for (const aud of ["https://other.example/fhir", undefined]) {
    assert.equal(await refusal(request(PUBLIC, SCOPE, { aud })), "invalid_request", aud);
  }
}

export async function a_challenge_is_required_and_never_plain() {
  const none = { code_challenge: undefined, code_challenge_method: undefined };
  for (const changes of [none, { code_challenge_method: "plain" }, { code_challenge_method: undefined }]) {
    // On a page or to the app: the specifications leave that open.
    assert.match(await refusal(request(PUBLIC, SCOPE, changes)), /^(invalid_request|page 400)$/, JSON.stringify(changes));
  }
}

export async function a_code_is_good_with_its_verifier_and_once(browser) {
  const asked = request(PUBLIC, SCOPE);
  const code = (await answer(browser, asked)).get("code");
  const other = request(PUBLIC, SCOPE).verifier;
  for (const verifier of [other, undefined]) {
    const { status, body } = await exchange(asked, code, { code_verifier: verifier });
    assert.equal(status, 400);
    assert.match(body.error, /^invalid_(grant|request)$/);
  }
  const again = request(PUBLIC, SCOPE);
  const fresh = (await answer(browser, again)).get("code");
  assert.equal((await exchange(again, fresh)).status, 200);
  assert.equal((await exchange(again, fresh)).body.error, "invalid_grant");
}
