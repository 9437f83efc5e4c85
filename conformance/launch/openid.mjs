// npm `openid-client`, which its makers had certified by the OpenID Foundation: discovery, a pushed request, a code bound to
// a key (DPoP), an id_token, userinfo, refresh, introspection, revocation. The client proves itself with private_key_jwt,
// and may have no token that is not bound.
//
// Usage: node openid.mjs WORLD PRIVATE
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { desktop, launch } from "../browser.mjs";
import { load } from "../packages.mjs";
import { answerTo } from "./person.mjs";
import { auth, base, soon, statusWith, world } from "./world.mjs";

const openid = load("openid-client");
const redirect = "http://127.0.0.1:9/openid";

/** The client, as the metadata of the authorization server has it. */
async function configured() {
  const jwk = JSON.parse(readFileSync(process.argv[3], "utf8"));
  const algorithm = { name: "ECDSA", namedCurve: "P-384" };
  const key = await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["sign"]);
  const authentication = openid.PrivateKeyJwt({ key, kid: jwk.kid });
  const loopback = { execute: [openid.allowInsecureRequests] };
  return openid.discovery(new URL(auth()), "openid-app", { use_mtls_endpoint_aliases: false }, authentication, loopback);
}

async function signedIn(config, handle) {
  const [verifier, state, nonce] = [openid.randomPKCECodeVerifier(), openid.randomState(), openid.randomNonce()];
  const parameters = {
    redirect_uri: redirect,
    scope: "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.r",
    aud: base(),
    state,
    nonce,
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  };
  const url = await openid.buildAuthorizationUrlWithPAR(config, parameters, { DPoP: handle });
  assert.deepEqual([...url.searchParams.keys()].sort(), ["client_id", "request_uri"], "nothing else in the address");
  const browser = await launch();
  try {
    const answer = await answerTo(await desktop(browser), url, redirect, world.person);
    const expected = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
    return await openid.authorizationCodeGrant(config, answer, expected, undefined, { DPoP: handle });
  } finally {
    await browser.close();
  }
}

/** How many heart rates a bound token finds. */
async function rates(config, handle, token) {
  const url = new URL(`${base()}/Observation?code=http://loinc.org|8867-4&_count=200`);
  const response = await openid.fetchProtectedResource(config, token, url, "GET", null, undefined, { DPoP: handle });
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()).entry.length;
}

const config = await configured();
const handle = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair("ES256"));
const token = await signedIn(config, handle);
const who = token.claims();
assert.equal(token.token_type, "dpop");
assert.equal(who.fhirUser, `${base()}/Patient/${world.patient}`);
assert.equal(token.patient, world.patient);
const found = await rates(config, handle, token.access_token);
assert.equal(found, world.truth.patients[world.patient].points["Heart rate"]);
assert.equal((await openid.fetchUserInfo(config, token.access_token, who.sub, { DPoP: handle })).sub, who.sub);

// The token alone is worth nothing: as a bearer token, and with proof by another key.
assert.equal(await statusWith(token.access_token), 401);
assert.equal(await statusWith(token.access_token, "DPoP"), 401);
const other = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair("ES256"));
await assert.rejects(rates(config, other, token.access_token));

const renewed = await openid.refreshTokenGrant(config, token.refresh_token, undefined, { DPoP: handle });
assert.equal(await rates(config, handle, renewed.access_token), found);
const told = await openid.tokenIntrospection(config, renewed.access_token);
assert.deepEqual([told.active, told.client_id, told.patient], [true, "openid-app", world.patient]);
assert.ok(told.cnf?.jkt, "the key it is bound to");
await openid.tokenRevocation(config, renewed.refresh_token);
await soon(false, async () => (await openid.tokenIntrospection(config, renewed.access_token)).active);
await assert.rejects(rates(config, handle, renewed.access_token));
await assert.rejects(
  openid.refreshTokenGrant(config, renewed.refresh_token, undefined, { DPoP: handle }),
  (error) => error.error === "invalid_grant",
);
console.log(`${found} heart rates with proof, none without; nothing after the revocation`);
