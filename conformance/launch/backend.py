"""A backend service with PyPI PyJWT and requests: an RS384 key, a client assertion, a token of minutes, a month of
vital signs.

Usage: backend.py key JWKS PRIVATE    makes the key, whose public half is for registering
       backend.py WORLD CLIENT PRIVATE
"""

import json
import sys
import time
import uuid

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KID, ALGORITHM = "python-1", "RS384"


def make_key(jwks, private):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    with open(jwks, "w", encoding="utf-8") as out:
        json.dump({"keys": [{**public, "kid": KID, "alg": ALGORITHM, "use": "sig"}]}, out)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(private, "wb") as out:
        out.write(pem)


def assertion(client, audience, private):
    now = int(time.time())
    claims = {"iss": client, "sub": client, "aud": audience, "exp": now + 120, "iat": now, "jti": str(uuid.uuid4())}
    return jwt.encode(claims, private, algorithm=ALGORITHM, headers={"kid": KID, "typ": "JWT"})


def ask(endpoint, signed, scope):
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed,
    }
    return requests.post(endpoint, data=form, timeout=30)


def month(base, token, since, until):
    url = f"{base}/Observation?category=vital-signs&date=ge{since}&date=lt{until}&_count=40"
    ids, pages = set(), 0
    while url:
        response = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        assert response.status_code == 200, response.text
        bundle = response.json()
        ids.update(entry["resource"]["id"] for entry in bundle.get("entry", []))
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        pages += 1
    return len(ids), pages


def main(world, client, private):
    base = f"{world['url']}/t/{world['tenant']}/fhir"
    discovery = requests.get(f"{base}/.well-known/smart-configuration", timeout=30).json()
    assert "client-confidential-asymmetric" in discovery["capabilities"]
    endpoint = discovery["token_endpoint"]
    with open(private, "rb") as pem:
        key = pem.read()
    signed = assertion(client, endpoint, key)
    response = ask(endpoint, signed, "system/Observation.rs")
    answer = response.json()
    assert response.status_code == 200, answer
    assert response.headers["Cache-Control"] == "no-store", response.headers
    assert answer["expires_in"] == 300 and answer["scope"] == "system/Observation.rs", answer
    assert "refresh_token" not in answer
    found, pages = month(base, answer["access_token"], world["truth"]["month"]["from"], world["truth"]["month"]["until"])
    assert found == world["truth"]["month"]["vitals"], found

    again = ask(endpoint, signed, "system/Observation.rs")
    assert (again.status_code, again.json()["error"]) == (400, "invalid_client"), again.text
    wider = ask(endpoint, assertion(client, endpoint, key), "system/Patient.rs")
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope"), wider.text
    print(f"{found} vital signs in {pages} pages; an assertion was good once")


if sys.argv[1] == "key":
    make_key(*sys.argv[2:])
else:
    with open(sys.argv[1], encoding="utf-8") as file:
        main(json.load(file), *sys.argv[2:])
