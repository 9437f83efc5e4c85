// A backend service with npm `jose`: an ES384 key, a client assertion, a token of minutes, a month of vital signs.
//
// Usage: node backend.mjs key JWKS PRIVATE    makes the key, whose public half is for registering
//        node backend.mjs WORLD CLIENT PRIVATE
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

import { load } from "../packages.mjs";

const jose = load("jose");
const ALGORITHM = "ES384";

async function makeKey(jwks, secret) {
  const { publicKey, privateKey } = await jose.generateKeyPair(ALGORITHM, { extractable: true });
  const named = { kid: "node-1", alg: ALGORITHM, use: "sig" };
  writeFileSync(jwks, JSON.stringify({ keys: [{ ...(await jose.exportJWK(publicKey)), ...named }] }));
  writeFileSync(secret, JSON.stringify({ ...(await jose.exportJWK(privateKey)), ...named }), { mode: 0o600 });
}

const assertion = (client, audience, key) =>
  new jose.SignJWT({})
    .setProtectedHeader({ alg: ALGORITHM, kid: "node-1", typ: "JWT" })
    .setIssuer(client)
    .setSubject(client)
    .setAudience(audience)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime("2m")
    .sign(key);

async function ask(endpoint, signed, scope) {
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    scope,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: signed,
  });
  const response = await fetch(endpoint, { method: "POST", body });
  return { status: response.status, ...(await response.json()) };
}

async function month(base, token, { from, until }) {
  let url = `${base}/Observation?category=vital-signs&date=ge${from}&date=lt${until}&_count=25`;
  const ids = new Set();
  let pages = 0;
  for (; url; pages += 1) {
    const response = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
    assert.equal(response.status, 200, await response.clone().text());
    const { entry = [], link } = await response.json();
    for (const { resource } of entry) ids.add(resource.id);
    url = link.find(({ relation }) => relation === "next")?.url;
  }
  return { found: ids.size, pages };
}

async function main(world, client, secret) {
  const base = `${world.url}/t/${world.tenant}/fhir`;
  const discovery = await (await fetch(`${base}/.well-known/smart-configuration`)).json();
  assert.ok(discovery.token_endpoint_auth_signing_alg_values_supported.includes(ALGORITHM));
  const key = await jose.importJWK(JSON.parse(readFileSync(secret, "utf8")), ALGORITHM);
  const signed = await assertion(client, discovery.token_endpoint, key);
  const answer = await ask(discovery.token_endpoint, signed, "system/Observation.rs");
  assert.equal(answer.status, 200, JSON.stringify(answer));
  assert.deepEqual(
    { type: answer.token_type.toLowerCase(), expires: answer.expires_in, scope: answer.scope, kept: answer.refresh_token },
    { type: "bearer", expires: 300, scope: "system/Observation.rs", kept: undefined },
  );
  const { found, pages } = await month(base, answer.access_token, world.truth.month);
  assert.equal(found, world.truth.month.vitals);

  assert.equal((await ask(discovery.token_endpoint, signed, "system/Observation.rs")).error, "invalid_client", "jti once");
  const fresh = await assertion(client, discovery.token_endpoint, key);
  const wider = await ask(discovery.token_endpoint, fresh, "system/Observation.cruds system/Patient.rs");
  assert.notEqual(wider.scope?.includes("Patient"), true, "never wider than registered");
  console.log(`${found} vital signs in ${pages} pages; an assertion was good once`);
}

const [first, second, third] = process.argv.slice(2);
if (first === "key") await makeKey(second, third);
else await main(JSON.parse(readFileSync(first, "utf8")), second, third);
