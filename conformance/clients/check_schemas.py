"""PyPI `jsonschema`: the schemas of our OpenAPI document against real resources and against its own examples.

Every resource of the files has the shape that the document describes, and but for the siblings of primitives (`_name`)
no element that it does not know. Changed copies are refused, so the schemas do say something.

Usage: python check_schemas.py PUBLIC_URL [FILE…]
"""

import copy
import json
import sys
import urllib.request

from jsonschema import Draft202012Validator


class Document:
    def __init__(self, public_url):
        with urllib.request.urlopen(f"{public_url}/openapi.json") as answer:
            self.whole = json.load(answer)
        # A reference of the document (`#/components/…`) resolves when the schema carries the components with it.
        self.validators = {
            name: Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": self.whole["components"]})
            for name in self.whole["components"]["schemas"]
        }

    def errors(self, name, value):
        return list(self.validators[name].iter_errors(value))

    def resolved(self, schema):
        while "$ref" in schema:
            schema = self.whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def unknown(self, schema, value, place):
        """The members of a value that its schema does not name."""
        if schema.get("$ref", "").endswith("/Resource"):
            return  # a contained resource, of whatever type
        schema = self.resolved(schema)
        if "oneOf" in schema:
            kinds = [self.resolved(one) for one in schema["oneOf"]]
            schema = next(
                one for one in kinds if one["properties"]["resourceType"]["enum"] == [value["resourceType"]])
        if isinstance(value, list):
            for item in value:
                yield from self.unknown(schema["items"], item, place)
        elif isinstance(value, dict):
            for name, below in value.items():
                if name in schema["properties"]:
                    yield from self.unknown(schema["properties"][name], below, f"{place}.{name}")
                elif not name.startswith("_"):
                    yield f"{place}.{name}"


def mutants(resource):
    """The resource with one thing wrong, for each kind of thing that a schema can see."""
    def changed(change):
        wrong = copy.deepcopy(resource)
        change(wrong)
        return wrong

    yield "another type", changed(lambda wrong: wrong.update(resourceType="Device"))
    yield "a number as id", changed(lambda wrong: wrong.update(id=7))
    yield "a list as meta", changed(lambda wrong: wrong.update(meta=[]))
    yield "an extension without url", changed(lambda wrong: wrong.update(extension=[{"valueString": "x"}]))
    if resource["resourceType"] == "Observation":
        yield "no code", changed(lambda wrong: wrong.pop("code"))
        yield "an unknown status", changed(lambda wrong: wrong.update(status="finished"))
        yield "a text as value", changed(lambda wrong: wrong.update(valueQuantity={"value": "72"}))
        yield "one component", changed(lambda wrong: wrong.update(component={"code": {"text": "x"}}))
        yield "a component without code", changed(lambda wrong: wrong.update(component=[{"valueString": "x"}]))
    else:
        yield "an unknown gender", changed(lambda wrong: wrong.update(gender="f"))
        yield "one name", changed(lambda wrong: wrong.update(name={"family": "x"}))
        yield "a number as birth date", changed(lambda wrong: wrong.update(birthDate=1980))


def check_resources(document, files):
    read, refused = 0, 0
    for file in files:
        with open(file, encoding="utf-8") as lines:
            for line in lines:
                resource = json.loads(line)
                name, place = resource["resourceType"], f"{resource['resourceType']}/{resource.get('id')}"
                wrong = document.errors(name, resource)
                assert not wrong, (place, wrong[0].json_path, wrong[0].message)
                unknown = set(document.unknown({"$ref": f"#/{name}"}, resource, name))
                assert not unknown, (place, unknown)
                read += 1
                # All of them for every tenth: the rest differ in nothing that matters here.
                for what, mutant in mutants(resource) if read % 10 == 1 else ():
                    assert document.errors(name, mutant), f"{place}: {what} passes"
                    refused += 1
    return read, refused


def check_examples(document):
    """Each example against the schema beside it."""
    components = document.whole["components"]
    seen = set()

    def walk(node):
        if isinstance(node, dict):
            if "examples" in node and "schema" in node:
                for name, example in node["examples"].items():
                    validator = Draft202012Validator({**node["schema"], "components": components})
                    # One that is of use in a single place stands there.
                    value = example["value"] if "value" in example else components["examples"][name]["value"]
                    wrong = list(validator.iter_errors(value))
                    assert not wrong, (name, wrong[0].json_path, wrong[0].message)
                    seen.add(name)
            for below in node.values():
                walk(below)
        elif isinstance(node, list):
            for below in node:
                walk(below)

    walk({"paths": document.whole["paths"], "responses": components["responses"]})
    assert seen >= set(components["examples"]), set(components["examples"]) - seen
    return len(seen)


def main(public_url, *files):
    document = Document(public_url)
    examples = check_examples(document)
    for example in ("storedPatient", "storedHeartRate"):
        resource = document.whole["components"]["examples"][example]["value"]
        for what, mutant in mutants(resource):
            assert document.errors(resource["resourceType"], mutant), f"{example}: {what} passes"
    read, refused = check_resources(document, files)
    print(f"{len(document.validators)} schemas, {examples} examples; {read} resources fit, {refused} mutants do not")


if __name__ == "__main__":
    main(*sys.argv[1:])
