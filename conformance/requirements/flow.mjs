// An app of no particular maker: each step of a launch by itself, so that a check can do one of them differently.
import { createHash, createHmac, randomBytes } from "node:crypto";

import { desktop } from "../browser.mjs";
import { answerTo } from "../launch/person.mjs";
import { auth, base, world } from "../launch/world.mjs";

export { auth, base, world };

/** Two public apps, and a confidential one with a secret. */
export const PUBLIC = { id: "python-app", redirect: "http://127.0.0.1:9/python" };
export const DIRECTORY = { id: "directory", redirect: "http://127.0.0.1:9/directory" };
export const PORTAL = { id: "portal", redirect: "http://127.0.0.1:9/portal", secret: world.portal.secret };

const text = (bytes) => randomBytes(bytes).toString("base64url");

/** The parameters of an authorization request, and what the app keeps for later. Undefined in `changes` takes one away. */
export function request(client, scope, changes = {}) {
  const verifier = text(48);
  const parameters = {
    response_type: "code",
    client_id: client.id,
    redirect_uri: client.redirect,
    scope,
    aud: base(),
    state: text(16),
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    ...changes,
  };
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return { client, verifier, state: parameters.state, parameters: new URLSearchParams(given) };
}

/** The answer to a request of somebody whose browser this is: what came back in the address. */
export async function answerIn(context, asked, person = world.person, choices = {}) {
  const url = `${auth()}/authorize?${asked.parameters}`;
  return (await answerTo(context, url, asked.client.redirect, person, choices)).searchParams;
}

/** The same of somebody who comes for the first time. */
export async function answer(browser, asked, person, choices) {
  const context = await desktop(browser);
  try {
    return await answerIn(context, asked, person, choices);
  } finally {
    await context.close();
  }
}

/** Posts a form to the authorization server. */
export async function post(name, form, headers = {}) {
  const body = new URLSearchParams(Object.entries(form).filter(([, value]) => value !== undefined));
  const response = await fetch(`${auth()}/${name}`, { method: "POST", body, headers, redirect: "manual" });
  const type = response.headers.get("Content-Type") ?? "";
  const answered = type.startsWith("application/json") ? await response.json() : await response.text();
  return { status: response.status, headers: response.headers, body: answered };
}

/** How a client with a secret says who it is. */
export const basic = ({ id, secret }) => (secret ? { Authorization: `Basic ${btoa(`${id}:${secret}`)}` } : {});

/** Exchanges a code; `changes` to the form. */
export const exchange = (asked, code, changes = {}) =>
  post(
    "token",
    {
      grant_type: "authorization_code",
      code,
      redirect_uri: asked.client.redirect,
      code_verifier: asked.verifier,
      client_id: asked.client.secret ? undefined : asked.client.id,
      ...changes,
    },
    basic(asked.client),
  );

/** A whole launch, to the token answer. */
export async function launched(browser, client, scope, { person, choices, changes } = {}) {
  const asked = request(client, scope, changes);
  const back = await answer(browser, asked, person, choices);
  const got = await exchange(asked, back.get("code"));
  if (got.status !== 200) throw new Error(`token: ${got.status} ${JSON.stringify(got.body)}`);
  return got;
}

/** Exchanges a refresh token. */
export const renew = (client, token, changes = {}) =>
  post("token", { grant_type: "refresh_token", refresh_token: token, client_id: client.secret ? undefined : client.id, ...changes }, basic(client));

/** An EHR's launch handle; `changes` to what it is about. */
export async function handle(client, changes = {}) {
  const body = JSON.stringify({ app: client.id, user: world.person.username, patient: world.patient, ...changes });
  const headers = { ...basic(world.ehr), "Content-Type": "application/json" };
  const response = await fetch(`${auth()}/launch`, { method: "POST", headers, body });
  return { status: response.status, body: await response.json() };
}

/** A document, as JSON. */
export async function get(url, headers = {}) {
  const response = await fetch(url, { headers });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** The part of a JWT that says something. */
export const claims = (jwt, part = 1) => JSON.parse(Buffer.from(jwt.split(".")[part], "base64url"));

/** A JWT that nobody signed rightly. */
export function forged(header, payload) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${createHmac("sha256", "guess").update(signed).digest("base64url")}`;
}
