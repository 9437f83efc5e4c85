// What a person does on the tenant's pages, from the request of an app to its answer: by what the pages say, as somebody
// who reads them would.
import { picture } from "../browser.mjs";

const SIGN_IN = "Sign in";
const PATIENTS = "Choose a patient";
const CONSENT = "would like to";

/** The heading of the page that comes next, once it is one of these. */
async function heading(page, ...texts) {
  const found = page.getByRole("heading", { level: 1, name: new RegExp(texts.join("|")) });
  await found.waitFor();
  return found.innerText();
}

async function signIn(page, { username, password }) {
  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** Looks for the patient by family name, and chooses it. */
async function choose(page, patient, seen) {
  await page.getByLabel("Name, or the beginning of it").fill(patient.split(" ").pop());
  await page.getByRole("button", { name: "Search" }).click();
  const choice = page.getByRole("button", { name: patient });
  await choice.waitFor();
  await seen("patients");
  await choice.click();
}

/**
 * Signs in and chooses the patient where the pages ask, and allows everything but what `without` matches; or denies it all.
 * Returns the sentences that were read. `name` begins the names of the pictures.
 */
export async function approve(page, person, { patient, without, deny, name } = {}) {
  const seen = async (what) => name && picture(page, `${name}-${what}`);
  let title = await heading(page, SIGN_IN, PATIENTS, CONSENT);
  if (title === SIGN_IN) {
    await seen("sign-in");
    await signIn(page, person);
    title = await heading(page, PATIENTS, CONSENT);
  }
  if (title === PATIENTS) {
    await choose(page, patient, seen);
    await heading(page, CONSENT);
  }
  const boxes = page.getByRole("checkbox");
  const sentences = await boxes.evaluateAll((all) => all.map(({ labels }) => labels[0].innerText.trim()));
  if (without) await page.getByLabel(without).uncheck();
  await seen("consent");
  await page.getByRole("button", { name: deny ? "Do not allow" : "Allow", exact: true }).click();
  return sentences;
}

/**
 * Goes to an app's authorization URL in a window of its own and returns the URL that the app would be opened with; the app
 * itself need not be there. `said` takes the sentences.
 */
export async function answerTo(context, url, redirectUri, person, choices = {}) {
  const page = await context.newPage();
  const answered = new Promise((resolve) => {
    page.route(`${redirectUri}**`, async (route) => {
      resolve(new URL(route.request().url()));
      await route.fulfill({ contentType: "text/plain", body: "Back at the app." });
    });
  });
  await page.goto(url.href ?? url);
  const approved = approve(page, person, choices).then((sentences) => choices.said?.push(...sentences));
  // The app may be answered before there is anything to approve.
  answered.then(() => approved.catch(() => {}));
  await Promise.race([approved, answered]);
  const answer = await answered;
  await page.close();
  return answer;
}
