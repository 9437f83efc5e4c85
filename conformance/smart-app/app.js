// The page of the app: a welcome before it is connected, the chart after.
import { draw } from "./chart.js";
import { fail, show } from "./words.js";
import { inWords, nameOf, read } from "./vitals.js";

const $ = (id) => document.getElementById(id);
/** Where fhirclient keeps which of its states is this tab's. */
const CONNECTION = "SMART_KEY";

/** Goes to the organisation's own pages, to come back with a code. */
async function connect(settings) {
  await FHIR.oauth2.authorize({
    iss: settings.iss,
    clientId: settings.clientId,
    scope: settings.scope,
    redirectUri: "./",
    pkceMode: "required",
  });
}

/**
 * Holds that an answer came from the authorization server that was asked (RFC 9207), and takes `iss` out of the address:
 * fhirclient would take it for that of an EHR launch.
 */
async function checkIssuer(settings, asked) {
  const iss = asked.get("iss");
  asked.delete("iss");
  history.replaceState({}, "", `${location.pathname}?${asked}`);
  const discovery = await (await fetch(`${settings.iss}/.well-known/smart-configuration`)).json();
  if (iss !== discovery.issuer) throw new Error("other-issuer");
}

/** The connection of this tab, or nothing. */
async function connection(settings) {
  const asked = new URLSearchParams(location.search);
  if (asked.has("code") || asked.has("error")) {
    await checkIssuer(settings, asked);
  } else if (!sessionStorage.getItem(CONNECTION)) {
    return undefined;
  }
  const client = await FHIR.oauth2.ready();
  history.replaceState({}, "", location.pathname);
  return client.state.tokenResponse?.access_token ? client : undefined;
}

async function showChart(client) {
  const [patient, vitals] = await Promise.all([
    // Who shared measurements need not have shared more than those.
    client.patient.read().catch((error) => (error.statusCode === 403 ? undefined : Promise.reject(error))),
    read(client),
  ]);
  $("patient").textContent = nameOf(patient);
  $("about").textContent = inWords(patient);
  $("vitals").replaceChildren(...vitals.map(draw));
  $("nothing").hidden = vitals.length > 0;
  const { scope = "", refresh_token: kept } = client.state.tokenResponse;
  $("scopes").replaceChildren(
    ...scope.split(" ").map((text) => {
      const item = document.createElement("li");
      item.append(Object.assign(document.createElement("code"), { textContent: text }));
      return item;
    }),
  );
  const until = new Date(client.state.expiresAt * 1000).toLocaleTimeString("en-GB", { timeStyle: "short" });
  $("until").textContent = kept ? `Until ${until}, and renewed by itself until you disconnect it.` : `Until ${until}.`;
  show("chart", "actions");
}

async function main() {
  const settings = await (await fetch("settings.json")).json();
  $("server").textContent = new URL(settings.iss).host;
  $("connect").addEventListener("click", () => connect(settings).catch(fail));
  $("leave").addEventListener("click", () => {
    sessionStorage.clear();
    location.assign("./");
  });
  const client = await connection(settings).catch((error) => {
    sessionStorage.clear();
    throw error;
  });
  if (!client) return show("welcome", "connecting");
  // A new token and what there is now.
  $("refresh").addEventListener("click", async () => {
    $("status").textContent = "Refreshing …";
    try {
      if (client.state.tokenResponse.refresh_token) await client.refresh();
      await showChart(client);
      $("status").textContent = `Refreshed at ${new Date().toLocaleTimeString("en-GB")}.`;
    } catch (error) {
      fail(error);
    }
  });
  await showChart(client);
  $("status").textContent = "";
  return undefined;
}

main().catch(fail);
