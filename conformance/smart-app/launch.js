// The EHR launch: the health record opened this page with its address (`iss`) and a handle (`launch`).
import { fail } from "./words.js";

async function open() {
  const settings = await (await fetch("settings.json")).json();
  const asked = new URLSearchParams(location.search);
  // Whoever opens this page chooses `iss`: only the organisation this app is registered with is answered.
  if (asked.get("iss")?.replace(/\/$/, "") !== settings.iss) {
    throw new Error("unknown-server");
  }
  if (!asked.get("launch")) throw new Error("no-launch");
  await FHIR.oauth2.authorize({
    clientId: settings.clientId,
    scope: settings.launchScope,
    redirectUri: "./",
    pkceMode: "required",
  });
}

open().catch(fail);
