"""Prints a page of a delegated search, a line for each entry: whose it is, and what. The link that leads on goes into a
file, where one is named."""

import json
import sys

TENANT = "urn:vitals:tenant"

bundle = json.load(sys.stdin)
if bundle["resourceType"] != "Bundle":
    sys.exit(json.dumps(bundle))
for entry in bundle.get("entry", []):
    resource = entry["resource"]
    tenant = next((tag["code"] for tag in resource["meta"]["tag"] if tag["system"] == TENANT), "?")
    if entry["search"]["mode"] == "match":
        value = resource["valueQuantity"]
        print(f"{tenant:<6} {resource['effectiveDateTime']}  {value['value']} {value['unit']}  {entry['fullUrl']}")
    else:
        print(f"{tenant:<6} ! {resource['issue'][0]['diagnostics']}")
following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
print("       more" if following else "       no more")
if len(sys.argv) > 1:
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(following[0] if following else "")
