// npm `oauth4webapi` as an app that knows two organisations: it takes an answer only from the authorization server it asked
// (RFC 9207), and each server only its own codes (ATTACKS O26).
//
// Usage: node mixed_up.mjs WORLD
import assert from "node:assert/strict";

import { desktop, launch } from "../browser.mjs";
import { load } from "../packages.mjs";
import { answerTo } from "./person.mjs";
import { auth, base, world } from "./world.mjs";

const oauth = load("oauth4webapi");
const loopback = { [oauth.allowInsecureRequests]: true };
const client = { client_id: "two-homes" };
const redirect = "http://127.0.0.1:9/two-homes";

/** The metadata, by both of its addresses; oauth4webapi holds that `issuer` is just what was asked for. */
async function discover(tenant) {
  const issuer = new URL(auth(tenant));
  const read = async (algorithm) =>
    oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...loopback }));
  const [oidc, oauth2] = [await read("oidc"), await read("oauth2")];
  assert.deepEqual(oidc, oauth2);
  assert.equal(oidc.issuer, auth(tenant));
  assert.equal(oidc.authorization_response_iss_parameter_supported, true);
  return oidc;
}

const browser = await launch();
try {
  const [here, there] = [await discover(world.tenant), await discover(world.neighbour)];
  const [state, verifier] = [oauth.generateRandomState(), oauth.generateRandomCodeVerifier()];
  const url = new URL(here.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: redirect,
    scope: "patient/Observation.rs",
    aud: base(),
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const answer = await answerTo(await desktop(browser), url, redirect, world.person);

  const parameters = oauth.validateAuthResponse(here, client, answer, state);
  assert.throws(() => oauth.validateAuthResponse(there, client, answer, state), /iss/, "the other's answer");
  const bare = new URL(answer);
  bare.searchParams.delete("iss");
  assert.throws(() => oauth.validateAuthResponse(here, client, bare, state), /iss/, "an answer without iss");

  const exchange = async (server) => {
    const request = oauth.authorizationCodeGrantRequest(server, client, oauth.None(), parameters, redirect, verifier, loopback);
    return oauth.processAuthorizationCodeResponse(server, client, await request);
  };
  // An app that does not look loses nothing but the code: the other server does not know it.
  await assert.rejects(exchange(there), (error) => error.error === "invalid_grant");
  const token = await exchange(here);
  assert.equal(token.scope, "patient/Observation.rs");
  console.log("an answer of the other issuer, or of none, is refused; so is a code of the other");
} finally {
  await browser.close();
}
