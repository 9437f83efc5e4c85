"""PyPI `openapi-spec-validator` on both published forms of the OpenAPI document.

Usage: python validate_openapi.py PUBLIC_URL
"""

import json
import sys
import urllib.request

from openapi_spec_validator import validate


def main(public_url):
    seen = {}
    for name in ("openapi.json", "openapi.plain.json"):
        with urllib.request.urlopen(f"{public_url}/{name}") as answer:
            assert answer.headers.get_content_type() == "application/json", answer.headers["Content-Type"]
            document = json.load(answer)
        validate(document)
        seen[name] = document
    full, plain = seen.values()
    # The plain form leaves out what is not JSON (forms, the metrics page), and adds nothing.
    assert plain["paths"].keys() < full["paths"].keys(), plain["paths"].keys() - full["paths"].keys()
    media = set(media_types(plain))
    assert media == {"application/json"}, f"the plain form names {media}"
    print(f"OpenAPI {full['openapi']}: {len(full['paths'])} paths, {len(plain['paths'])} of them in the plain form")


def media_types(node):
    """The keys of every `content` in requests and responses."""
    if isinstance(node, dict):
        for name, below in node.items():
            if name == "content" and isinstance(below, dict):
                yield from below
            yield from media_types(below)
    elif isinstance(node, list):
        for below in node:
            yield from media_types(below)


if __name__ == "__main__":
    main(*sys.argv[1:])
