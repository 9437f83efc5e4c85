// A client written against the types that npm `openapi-typescript` makes of our plain OpenAPI document, over npm
// `openapi-fetch`: a read, a search to its last page, a create, and a refusal that is understood by its types. It
// compiles under `tsc --strict`.
//
// Usage: node use_typescript_client.js BASE TOKEN FOREIGN_BASE PATIENT OBSERVATIONS
// PATIENT is a patient of BASE's tenant with OBSERVATIONS observations.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, operations, paths } from "./vitals.js";

type Bundle = components["schemas"]["Bundle"];
type Observation = components["schemas"]["Observation"];
type OperationOutcome = components["schemas"]["OperationOutcome"];
type Search = NonNullable<operations["searchObservation"]["parameters"]["query"]>;

const [base = "", token = "", foreignBase = "", patient = "", observations = ""] = process.argv.slice(2);
const parts = (url: string): [string, string] => {
  const { origin, pathname } = new URL(url);
  return [origin, pathname.split("/")[2] ?? ""];
};
const [origin, tenant] = parts(base);
const [, nextDoor] = parts(foreignBase);
const client = createClient<paths>({ baseUrl: origin, headers: { Authorization: `Bearer ${token}` } });

const LOINC = "http://loinc.org";
const CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category";

function heartRate(subject: string, value: number, changes: Partial<Observation> = {}): Observation {
  return {
    resourceType: "Observation",
    status: "final",
    category: [{ coding: [{ system: CATEGORIES, code: "vital-signs" }] }],
    code: { coding: [{ system: LOINC, code: "8867-4" }] },
    subject: { reference: subject },
    effectiveDateTime: "2026-02-01T08:00:00Z",
    valueQuantity: { value, unit: "beats/minute", system: "http://unitsofmeasure.org", code: "/min" },
    ...changes,
  };
}

/** The value, which has to be there. */
function given<T>(value: T | undefined, error?: OperationOutcome): T {
  assert.ok(value !== undefined, JSON.stringify(error));
  return value;
}

async function read(): Promise<void> {
  const { data, error } = await client.GET("/t/{tenant}/fhir/Patient/{id}", { params: { path: { tenant, id: patient } } });
  const found = given(data, error);
  assert.deepEqual([found.resourceType, found.id, found.name?.[0]?.family], ["Patient", patient, "Abeling"]);
}

async function page(query: Search): Promise<Bundle> {
  const { data, error } = await client.GET("/t/{tenant}/fhir/Observation", { params: { path: { tenant }, query } });
  return given(data, error);
}

async function search(): Promise<[number, number]> {
  const found: Observation[] = [];
  let pages = 0;
  let query: Search | undefined = {
    patient,
    code: [`${LOINC}|8867-4`],
    date: ["ge2026-01-01", "lt2026-02-01"],
    _sort: "-date",
    _count: 50,
  };
  while (query) {
    const { type, entry, link } = await page(query);
    assert.equal(type, "searchset");
    for (const { resource } of entry ?? []) {
      assert.ok(resource?.resourceType === "Observation");
      assert.equal(resource.valueQuantity?.code, "/min");
      found.push(resource);
    }
    const next = link?.find((each) => each.relation === "next");
    query = next && { _page: given(new URL(next.url).searchParams.get("_page") ?? undefined) };
    pages += 1;
  }
  assert.equal(found.length, Number(observations), "every page");
  assert.equal(new Set(found.map((each) => each.id)).size, found.length, "each once");
  assert.ok(pages > 1);
  return [found.length, pages];
}

async function write(): Promise<void> {
  const created = await client.POST("/t/{tenant}/fhir/Observation", {
    params: { path: { tenant } },
    body: heartRate(`Patient/${patient}`, 71.5),
  });
  const observation = given(created.data, created.error);
  assert.deepEqual([observation.meta?.versionId, observation.valueQuantity?.value], ["1", 71.5]);
  const at = { tenant, id: given(observation.id) };
  const header = { "If-Match": 'W/"1"' };
  const change = { params: { path: at, header }, body: { ...observation, status: "amended" as const } };
  const amended = await client.PUT("/t/{tenant}/fhir/Observation/{id}", change);
  assert.equal(given(amended.data, amended.error).meta?.versionId, "2");
  const stale = await client.PUT("/t/{tenant}/fhir/Observation/{id}", change);
  assert.deepEqual([stale.response.status, stale.error?.issue?.[0]?.code], [412, "conflict"]);
  const deleted = await client.DELETE("/t/{tenant}/fhir/Observation/{id}", { params: { path: at } });
  assert.equal(deleted.response.status, 204);
  const gone = await client.GET("/t/{tenant}/fhir/Observation/{id}", { params: { path: at } });
  assert.deepEqual([gone.response.status, gone.error?.issue?.[0]?.code], [410, "deleted"]);
}

/** A heart rate without a time and in no unit of UCUM. */
async function refusal(): Promise<number> {
  const { effectiveDateTime: _, ...wrong } = heartRate(`Patient/${patient}`, 72, {
    valueQuantity: { value: 72, unit: "bpm", system: "http://unitsofmeasure.org", code: "bpm" },
  });
  const { error, response } = await client.POST("/t/{tenant}/fhir/Observation", {
    params: { path: { tenant } },
    body: wrong,
  });
  assert.equal(response.status, 422);
  const findings = (error?.issue ?? []).map((issue) => `${issue.severity} ${issue.code} ${issue.expression?.join()}`);
  assert.deepEqual(findings.sort(), [
    "error code-invalid Observation.valueQuantity.code",
    "error required Observation.effective",
  ]);
  // The same, asked beforehand.
  const asked = await client.POST("/t/{tenant}/fhir/Observation/$validate", {
    params: { path: { tenant } },
    body: wrong,
  });
  assert.deepEqual(given(asked.data, asked.error).issue?.map((issue) => issue.code).sort(), ["code-invalid", "required"]);
  return findings.length;
}

async function transaction(): Promise<void> {
  const one = "urn:uuid:5a3c1f80-2b7e-4c5d-9e11-6f0a7b8c9d02";
  const { data, error } = await client.POST("/t/{tenant}/fhir", {
    params: { path: { tenant } },
    body: {
      resourceType: "Bundle",
      type: "transaction",
      entry: [
        {
          fullUrl: one,
          resource: { resourceType: "Patient", name: [{ family: "Okoro", given: ["Ada"] }] },
          request: { method: "POST", url: "Patient" },
        },
        { resource: heartRate(one, 66), request: { method: "POST", url: "Observation" } },
      ],
    },
  });
  const done = given(data, error);
  assert.equal(done.type, "transaction-response");
  assert.deepEqual(done.entry?.map((entry) => entry.response?.status), ["201", "201"]);
}

async function foreign(): Promise<void> {
  const { error, response } = await client.GET("/t/{tenant}/fhir/Patient/{id}", {
    params: { path: { tenant: nextDoor, id: patient } },
  });
  assert.deepEqual([response.status, error?.issue?.[0]?.code], [403, "forbidden"]);
}

await read();
const [found, pages] = await search();
await write();
const findings = await refusal();
await transaction();
await foreign();
console.log(`read, ${found} over ${pages} pages, create, update, delete, a 422 of ${findings} findings, $validate, a transaction`);
