// What a person does on the tenant's pages, from the request of an app to its answer: by what the pages say, as somebody
// who reads them would.
import { picture } from "../browser.mjs";

/**
 * Signs in, chooses the patient where the page asks, and allows everything but what `without` matches.
 * `name` begins the names of the pictures.
 */
export async function approve(page, person, { patient, without, name } = {}) {
  const seen = async (what) => name && picture(page, `${name}-${what}`);
  await page.getByLabel("User name").waitFor();
  await seen("sign-in");
  await page.getByLabel("User name").fill(person.username);
  await page.getByLabel("Password").fill(person.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  if (patient) {
    await page.getByRole("heading", { name: "Choose a patient" }).waitFor();
    await page.getByLabel("Name, or the beginning of it").fill(patient.split(" ").pop());
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("button", { name: patient }).waitFor();
    await seen("patients");
    await page.getByRole("button", { name: patient }).click();
  }
  const allow = page.getByRole("button", { name: "Allow", exact: true });
  await allow.waitFor();
  if (without) await page.getByLabel(without).uncheck();
  await seen("consent");
  const sentences = await page.getByRole("checkbox").evaluateAll((boxes) => boxes.map(({ labels }) => labels[0].innerText));
  await allow.click();
  return sentences.map((sentence) => sentence.trim());
}

/**
 * Goes to an app's authorization URL in a window of its own and returns the URL that the app would be opened with; the app
 * itself need not be there.
 */
export async function answerTo(context, url, redirectUri, person, choices) {
  const page = await context.newPage();
  const answered = new Promise((resolve) => {
    page.route(`${redirectUri}**`, async (route) => {
      resolve(new URL(route.request().url()));
      await route.fulfill({ contentType: "text/plain", body: "Back at the app." });
    });
  });
  await page.goto(url.href ?? url);
  await approve(page, person, choices);
  const answer = await answered;
  await page.close();
  return answer;
}
