// npm `oidc-provider` on loopback, as the OpenID provider of a tenant's people: who is linked signs in through it and comes
// back to the app with a code; who is not is told whom to ask; what the provider never said is not believed.
//
// Usage: node provider.mjs WORLD PROGRAM FOLDER
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";

import { desktop, launch, picture } from "../browser.mjs";
import { auth, base, world } from "../launch/world.mjs";

const [, , , program, folder] = process.argv;
const { default: Provider } = await import(path.join(process.env.NODE_PATH, "oidc-provider/lib/index.js"));

const CLIENT = "vitals";
const secret = randomBytes(32).toString("base64url");
const vitals = (...words) => execFileSync(program, words, { encoding: "utf8" });

/** A provider at which anybody is whoever they say they are. */
async function provider() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const made = new Provider(issuer, {
    clients: [{
      client_id: CLIENT, client_secret: secret, redirect_uris: [`${auth()}/callback`], response_types: ["code"],
      grant_types: ["authorization_code"], token_endpoint_auth_method: "client_secret_basic",
    }],
    cookies: { keys: [randomBytes(16).toString("hex")] },
    pkce: { required: () => true },
  });
  server.on("request", made.callback());
  return { issuer, server };
}

/** The request of the demo app. */
function request() {
  const url = new URL(`${auth()}/authorize`);
  const all = {
    response_type: "code", client_id: world.client, redirect_uri: world.app, state: "s", aud: base(),
    scope: "launch/patient openid fhirUser patient/*.rs", code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value);
  return url.href;
}

/** From the app's request to the answer of our callback, as whoever `name` is at the provider. */
async function through(page, name) {
  await page.goto(request());
  await page.getByRole("link", { name: /^Sign in through/ }).click();
  await page.getByPlaceholder("Enter any login").fill(name);
  await page.getByPlaceholder("and password").fill("anything");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.waitForURL((url) => url.href.startsWith(auth()));
}

const { issuer, server } = await provider();
const file = path.join(folder, "provider.secret");
writeFileSync(file, secret, { mode: 0o600 });
vitals("tenant", "set", world.tenant, "--sign-in-issuer", issuer, "--sign-in-client", CLIENT, "--sign-in-secret-file", file);
vitals("user", "create", "--tenant", world.tenant, "--username", "ida.elsewhere", "--name", "Ida Abeling", "--fhir-user",
  "Patient/ida", "--issuer", issuer, "--subject", "ida-at-the-provider", "--json");
const browser = await launch();
try {
  const page = await (await desktop(browser)).newPage();
  await page.goto(request());
  await picture(page, "provider-sign-in");
  await through(page, "ida-at-the-provider");
  await page.getByRole("heading", { level: 1, name: /would like to/ }).waitFor();
  await picture(page, "provider-consent");
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await page.waitForURL((url) => url.href.startsWith(world.app));
  assert.ok(new URL(page.url()).searchParams.get("code"), page.url());

  const stranger = await (await desktop(browser)).newPage();
  await through(stranger, "somebody-else");
  await stranger.getByText("ask its administrator to link your account").waitFor();
  await picture(stranger, "provider-stranger");

  // An answer that this browser did not ask for.
  const forged = await (await desktop(browser)).newPage();
  const answer = await forged.goto(`${auth()}/callback?code=x&state=y&iss=${encodeURIComponent(issuer)}`);
  assert.equal(answer.status(), 400);
  console.log("who is linked signs in; a stranger and a forged answer do not");
} finally {
  vitals("tenant", "set", world.tenant, "--sign-in-issuer", "");
  await browser.close();
  server.close();
}
