// npm `fhirclient` (SMART on FHIR's own JavaScript client), in its mode for servers: capabilities, reads, searches
// over several pages, references, writes, and what it makes of a refusal.
//
// Usage: node read_with_fhirclient.cjs BASE TOKEN FOREIGN_BASE PATIENT OBSERVATIONS
// PATIENT is a patient of BASE's tenant with OBSERVATIONS observations. NODE_PATH leads to the package.
"use strict";

const assert = require("node:assert/strict");
const smart = require("fhirclient");

const [base, token, foreignBase, patient, observations] = process.argv.slice(2);

/** A client as an application gets it behind its redirect, were the token not there already. */
function clientOf(serverUrl) {
  const kept = new Map();
  const storage = {
    get: async (key) => kept.get(key),
    set: async (key, value) => (kept.set(key, value), value),
    unset: async (key) => kept.delete(key),
  };
  const request = { headers: { host: "localhost" }, url: "/", socket: {} };
  return smart(request, {}, storage).client({ serverUrl, tokenResponse: { access_token: token, patient } });
}

async function main() {
  const client = clientOf(base);

  const capabilities = await client.request("metadata");
  assert.equal(capabilities.resourceType, "CapabilityStatement");
  assert.equal(await client.getFhirVersion(), "4.0.1");
  assert.equal(await client.getFhirRelease(), 4);

  const read = await client.patient.read();
  assert.deepEqual([read.resourceType, read.id], ["Patient", patient]);

  const page = await client.request(`Observation?patient=${patient}&_count=5`);
  assert.equal(page.type, "searchset");
  const found = await client.patient.request("Observation?_count=50", { pageLimit: 0, flat: true });
  assert.equal(found.length, Number(observations), "all pages");
  assert.equal(new Set(found.map((observation) => observation.id)).size, found.length, "each once");

  // By what the CapabilityStatement lists: code, category, a period, an order.
  const day = await client.patient.request(
    "Observation?code=http://loinc.org|8867-4&category=vital-signs&date=ge2026-01-02&date=lt2026-01-03&_sort=-date",
    { pageLimit: 0, flat: true },
  );
  assert.equal(day.length, 24, "one an hour");
  assert.ok(day[0].effectiveDateTime > day[23].effectiveDateTime, "newest first");

  const resolved = await client.request(`Observation/${found[0].id}`, { resolveReferences: "subject", graph: true });
  assert.equal(resolved.subject.id, patient);

  const created = await client.create({
    resourceType: "Observation",
    status: "final",
    category: [
      { coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }] },
    ],
    code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
    subject: { reference: `Patient/${patient}` },
    effectiveDateTime: "2026-01-01T08:00:00Z",
    valueQuantity: { value: 72, unit: "beats/minute", system: "http://unitsofmeasure.org", code: "/min" },
  });
  assert.equal(created.meta.versionId, "1");
  const updated = await client.update({ ...created, status: "amended" });
  assert.deepEqual([updated.meta.versionId, updated.status], ["2", "amended"]);
  await client.delete(`Observation/${created.id}`);
  const gone = await refusal(client.request(`Observation/${created.id}`));
  assert.equal(gone.statusCode ?? gone.status, 410);

  const { effectiveDateTime: _, ...untimed } = created;
  const refused = await refusal(client.create({ ...untimed, id: undefined }));
  assert.equal(refused.statusCode ?? refused.status, 422);
  assert.match(refused.message, /effective/, "what is wrong is in the error");

  const transaction = {
    resourceType: "Bundle",
    type: "transaction",
    entry: [{ resource: { ...created, id: undefined }, request: { method: "POST", url: "Observation" } }],
  };
  const done = await client.request({
    url: "",
    method: "POST",
    headers: { "content-type": "application/fhir+json" },
    body: JSON.stringify(transaction),
  });
  assert.deepEqual([done.type, done.entry[0].response.status], ["transaction-response", "201"]);
  await client.delete(done.entry[0].response.location.match(/Observation\/[^/]+/)[0]);

  const foreign = await refusal(clientOf(foreignBase).request(`Patient/${patient}`));
  assert.equal(foreign.statusCode ?? foreign.status, 403);

  console.log(`capabilities, read, ${found.length} over several pages, references, writes, a transaction, 422, 403 next door`);
}

async function refusal(asked) {
  return asked.then(
    () => assert.fail("answered, although it had to be refused"),
    (error) => error,
  );
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
