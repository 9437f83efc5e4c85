// What conformance/run set up for these checks, and small things they all do.
import { readFileSync } from "node:fs";

/** The settings that conformance/run wrote, named on the command line. */
export const world = JSON.parse(readFileSync(process.argv[2], "utf8"));
/** The FHIR base URL of a tenant, and its authorization server. */
export const base = (tenant = world.tenant) => `${world.url}/t/${tenant}/fhir`;
export const auth = (tenant = world.tenant) => `${world.url}/t/${tenant}/auth`;

/** The status of a read of the patient with this token. */
export async function statusWith(token, scheme = "Bearer") {
  const headers = { Authorization: `${scheme} ${token}` };
  return (await fetch(`${base()}/Patient/${world.patient}`, { headers })).status;
}

/** Asks again until the answer is this one; fails after LIMIT milliseconds with the last. */
export async function soon(wanted, ask, limit = 1000) {
  const until = performance.now() + limit;
  for (;;) {
    const answer = await ask();
    if (answer === wanted) return;
    if (performance.now() > until) throw new Error(`${answer} after ${limit} ms, and not ${wanted}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
