// What an EHR tells an app it opens, and what a patient or nobody in context means.
import assert from "node:assert/strict";

import { PORTAL, PUBLIC, answer, base, basic, get, handle, launched, post, request, world } from "../flow.mjs";

const SCOPE = "launch openid fhirUser patient/Patient.r patient/Observation.rs";

export async function what_the_ehr_said_comes_with_the_token(browser) {
  const said = {
    encounter: "visit-7",
    intent: "summary",
    need_patient_banner: false,
    smart_style_url: "https://ehr.example/style.json",
    fhirContext: [{ reference: "ImagingStudy/77" }, { reference: "Observation/ida-rate-0", role: "https://ehr.example/focus" }],
  };
  const made = await handle(PUBLIC, said);
  assert.ok(made.status < 300, JSON.stringify(made.body));
  const { body } = await launched(browser, PUBLIC, SCOPE, { changes: { launch: made.body.launch } });
  for (const [name, value] of Object.entries({ ...said, patient: world.patient, tenant: world.tenant })) assert.deepEqual(body[name], value, name);
  const { body: told } = await post("introspect", { token: body.access_token }, basic(PORTAL));
  for (const name of ["patient", "encounter", "intent"]) assert.equal(told[name], body[name], name);
  const { status } = await get(`${base()}/Patient/${body.patient}`, { Authorization: `Bearer ${body.access_token}` });
  assert.equal(status, 200);
}

export async function context_that_says_nothing_is_refused() {
  const wrong = [
    [{ type: "ImagingStudy" }],
    [{ reference: "ImagingStudy/77", role: "" }],
    [{ reference: "ImagingStudy/77", role: "focus" }],
    [{ reference: "Patient/ida" }],
    { reference: "ImagingStudy/77" },
  ];
  for (const fhirContext of wrong) {
    const { status, body } = await handle(PUBLIC, { fhirContext });
    assert.deepEqual([status, /fhirContext/.test(body.error_description)], [400, true], JSON.stringify(fhirContext));
  }
}

export async function a_patient_is_chosen_where_scopes_are_of_one(browser) {
  const patient = world.truth.patients.jonas.name;
  const { body } = await launched(browser, PUBLIC, "launch/patient patient/Observation.rs", {
    person: world.practitioner,
    choices: { patient },
  });
  assert.equal(body.patient, "jonas");
  const headers = { Authorization: `Bearer ${body.access_token}` };
  assert.equal((await get(`${base()}/Observation?_count=1`, headers)).body.entry[0].resource.subject.reference, "Patient/jonas");
  assert.equal((await fetch(`${base()}/Observation/ida-rate-0`, { headers })).status, 404, "that patient alone");
}

export async function a_handle_is_of_its_user(browser) {
  const made = await handle(PUBLIC, { user: world.practitioner.username });
  const asked = request(PUBLIC, SCOPE, { launch: made.body.launch });
  assert.equal((await answer(browser, asked)).get("error"), "access_denied");
}
