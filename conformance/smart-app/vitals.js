// The vital signs the app draws, and how they come out of Observations.

/** Days back from now that are drawn. */
export const DAYS = 90;
const PAGE = 500;

/** By LOINC code; `parts` are components, each a line of its own. */
const KINDS = [
  { title: "Heart rate", codes: ["8867-4"] },
  { title: "Body weight", codes: ["29463-7"] },
  { title: "Blood pressure", codes: ["85354-9"], parts: { "8480-6": "systolic", "8462-4": "diastolic" } },
  { title: "Body temperature", codes: ["8310-5"] },
  { title: "Oxygen saturation", codes: ["2708-6", "59408-5"] },
  { title: "Respiratory rate", codes: ["9279-1"] },
  { title: "Body height", codes: ["8302-2"] },
  { title: "Body mass index", codes: ["39156-5"] },
];
const LOINC = "http://loinc.org";

const codesOf = (concept) => (concept?.coding ?? []).filter(({ system }) => system === LOINC).map(({ code }) => code);
const timeOf = (observation) => Date.parse(observation.effectiveDateTime ?? observation.effectivePeriod?.start ?? "");

/** One line of a chart: its points, oldest first. */
function line(label, observations, quantityOf) {
  const points = observations
    .map((observation) => ({ time: timeOf(observation), quantity: quantityOf(observation) }))
    .filter(({ time, quantity }) => Number.isFinite(time) && Number.isFinite(quantity?.value))
    .map(({ time, quantity }) => ({ time, value: quantity.value, unit: quantity.unit ?? quantity.code ?? "" }))
    .sort((one, other) => one.time - other.time);
  return { label, points };
}

function linesOf({ codes, parts }, observations) {
  const measured = observations.filter(({ code }) => codesOf(code).some((one) => codes.includes(one)));
  if (!parts) return [line("", measured, (observation) => observation.valueQuantity)];
  return Object.entries(parts).map(([part, label]) =>
    line(label, measured, ({ component = [] }) => component.find(({ code }) => codesOf(code).includes(part))?.valueQuantity),
  );
}

/** The patient's vital signs of the last days: `{ title, lines }` for each kind that there is something of. */
export async function read(client) {
  const since = new Date(Date.now() - DAYS * 86_400_000).toISOString().slice(0, 10);
  const search = new URLSearchParams({
    patient: client.patient.id,
    category: "vital-signs",
    date: `ge${since}`,
    _count: String(PAGE),
  });
  const observations = await client.request(`Observation?${search}`, { pageLimit: 0, flat: true });
  return KINDS.map((kind) => ({ title: kind.title, lines: linesOf(kind, observations) }))
    .map(({ title, lines }) => ({ title, lines: lines.filter(({ points }) => points.length > 0) }))
    .filter(({ lines }) => lines.length > 0);
}

/** A patient's name, as people write it. */
export function nameOf(patient) {
  const [name] = patient?.name ?? [];
  return name?.text ?? ([...(name?.given ?? []), name?.family].filter(Boolean).join(" ") || "Unnamed patient");
}

/** Birth date and sex, as far as they are known. */
export function inWords(patient) {
  const born = patient?.birthDate ? `born ${patient.birthDate}` : "";
  return [patient?.gender, born].filter(Boolean).join(", ");
}
