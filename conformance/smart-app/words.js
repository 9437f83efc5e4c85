// What the app says when something fails, and which part of the page is to be seen.

const AGAIN = "Connect it again to go on.";
/** By what the authorization server or fhirclient said. */
const SENTENCES = [
  [/access_denied/, "Nothing was shared", "You chose not to share anything, so there is nothing to draw."],
  [/other-issuer/, "This answer is not from your provider", "It came from another server, and was not used."],
  [/unknown-server/, "This app does not know that server", "It opens charts of one organisation only."],
  [/no-launch/, "Open this app from the health record", "The address lacks what the record adds when it opens an app."],
  [/invalid_scope/, "This app may not ask for that", "The organisation did not register it for what it asks for."],
  [/invalid_grant|expired|Unauthorized/i, "This app is not connected any more", `It was disconnected, or its time ran out. ${AGAIN}`],
  [/Forbidden/i, "That was not shared with this app", `It asked for something it may not see. ${AGAIN}`],
  [/Failed to f/, "The server did not answer", "It may be down, or this app's address is not registered with it."],
  [/state/i, "This page was opened out of order", AGAIN],
];
const PARTS = ["welcome", "connecting", "chart", "actions", "failure"];

/** Shows these parts of the page and no other. */
export function show(...names) {
  for (const name of PARTS) {
    const part = document.getElementById(name);
    if (part) part.hidden = !names.includes(name);
  }
  document.getElementById("status").textContent = "";
}

/** Says in plain words why something did not work; the details stand in the console. */
export function fail(error) {
  console.info(error);
  const said = `${error?.statusCode === 401 ? "Unauthorized " : ""}${error?.message ?? error}`;
  const [, title, text] = SENTENCES.find(([pattern]) => pattern.test(said)) ?? [null, "This did not work", said];
  show("failure", "connecting");
  document.getElementById("failure-title").textContent = title;
  document.getElementById("failure-text").textContent = text;
}
