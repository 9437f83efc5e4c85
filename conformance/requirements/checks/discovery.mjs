// What the server says of itself: `.well-known/smart-configuration`, the CapabilityStatement, OpenID's document, CORS.
import assert from "node:assert/strict";

import { auth, base, get, world } from "../flow.mjs";

const smart = async () => (await get(`${base()}/.well-known/smart-configuration`)).body;

export async function discovery_is_json_whatever_is_accepted() {
  for (const accept of ["*/*", "text/html", "application/fhir+xml", "application/fhir+json"]) {
    const { status, headers, body } = await get(`${base()}/.well-known/smart-configuration`, { Accept: accept });
    assert.equal(status, 200, accept);
    assert.match(headers.get("Content-Type"), /^application\/json/, accept);
    assert.ok(body.capabilities.length > 0);
  }
}

export async function discovery_names_endpoints_grants_and_methods() {
  const body = await smart();
  assert.equal(body.issuer, auth());
  const endpoints = ["authorization", "token", "introspection", "revocation", "management"].map((name) => `${name}_endpoint`);
  for (const name of [...endpoints, "jwks_uri"]) assert.ok(URL.canParse(body[name]), name);
  for (const grant of ["authorization_code", "client_credentials"]) assert.ok(body.grant_types_supported.includes(grant));
  assert.deepEqual(body.code_challenge_methods_supported, ["S256"]);
  assert.ok(body.response_types_supported.includes("code"));
  assert.ok(body.token_endpoint_auth_methods_supported.includes("private_key_jwt"));
  for (const algorithm of ["RS384", "ES384"]) {
    assert.ok(body.token_endpoint_auth_signing_alg_values_supported.includes(algorithm));
  }
  for (const scope of ["openid", "fhirUser", "launch", "launch/patient", "offline_access", "patient/*.rs", "user/*.cruds"]) {
    assert.ok(body.scopes_supported.includes(scope), scope);
  }
}

export async function discovery_lists_the_capabilities_of_every_set() {
  const { capabilities } = await smart();
  const sets = [
    ["launch-standalone", "client-public", "client-confidential-symmetric", "context-standalone-patient", "permission-patient"],
    ["launch-ehr", "context-ehr-patient", "context-ehr-encounter", "permission-user", "permission-patient"],
    ["client-confidential-asymmetric", "sso-openid-connect", "authorize-post", "context-banner", "context-style"],
    ["permission-offline", "permission-online", "permission-v1", "permission-v2"],
  ];
  for (const name of sets.flat()) assert.ok(capabilities.includes(name), name);
}

export async function discovery_and_metadata_are_for_every_origin() {
  for (const address of [`${base()}/.well-known/smart-configuration`, `${base()}/metadata`, `${auth()}/jwks`]) {
    const { headers } = await get(address, { Origin: "https://any.example" });
    assert.equal(headers.get("Access-Control-Allow-Origin"), "*", address);
  }
}

export async function a_registered_origin_reaches_tokens_and_data_and_another_does_not() {
  const preflight = async (address, method, origin) => {
    const headers = { Origin: origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization" };
    return (await fetch(address, { method: "OPTIONS", headers })).headers.get("Access-Control-Allow-Origin");
  };
  const { origin } = new URL(world.app);
  for (const [address, method] of [[`${auth()}/token`, "POST"], [`${base()}/Patient/ida`, "GET"]]) {
    assert.equal(await preflight(address, method, origin), origin, address);
    assert.equal(await preflight(address, method, "https://other.example"), null, address);
  }
}

export async function the_capability_statement_names_the_endpoints() {
  const { body } = await get(`${base()}/metadata`);
  const uris = body.rest[0].security.extension.find(({ url }) => url.endsWith("/oauth-uris")).extension;
  const named = Object.fromEntries(uris.map(({ url, valueUri }) => [url, valueUri]));
  const { authorization_endpoint: authorize, token_endpoint: token } = await smart();
  assert.deepEqual([named.authorize, named.token], [authorize, token]);
}

export async function openid_configuration_and_keys_are_complete() {
  const { body } = await get(`${auth()}/.well-known/openid-configuration`);
  const required = ["authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported", "subject_types_supported"];
  for (const name of required) assert.ok(body[name], name);
  assert.equal(body.issuer, auth());
  assert.ok(body.id_token_signing_alg_values_supported.includes("RS256"));
  const { keys } = (await get(body.jwks_uri)).body;
  for (const key of keys) {
    assert.ok(key.kid && key.kty && key.alg, "each key has a name and an algorithm");
    for (const secret of ["d", "p", "q", "k"]) assert.ok(!(secret in key), "public halves alone");
  }
  assert.ok(keys.some(({ alg, kty }) => alg === "RS256" && kty === "RSA"));
}
