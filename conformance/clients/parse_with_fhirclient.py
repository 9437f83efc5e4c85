"""PyPI `fhirclient` (SMART on FHIR's own Python client): its R4 models are strict, so an element of a wrong name or
type in our CapabilityStatement, our Bundles or our OperationOutcomes stops it.

Usage: python parse_with_fhirclient.py BASE TOKEN FOREIGN_BASE PATIENT OBSERVATIONS
PATIENT is a patient of BASE's tenant with OBSERVATIONS observations.
"""

import sys

import requests
from fhirclient import client
from fhirclient.models.bundle import Bundle
from fhirclient.models.capabilitystatement import CapabilityStatement
from fhirclient.models.observation import Observation
from fhirclient.models.operationoutcome import OperationOutcome
from fhirclient.models.patient import Patient


class Session(requests.Session):
    """Signs every request: this client has no other way to take a token that is there already."""

    def __init__(self, token):
        super().__init__()
        self.headers["Authorization"] = f"Bearer {token}"


def main(base, token, foreign_base, patient_id, observations):
    session = Session(token)

    def get(url, status=200):
        answer = session.get(url)
        assert answer.status_code == status, (url, answer.status_code, answer.text)
        assert answer.headers["Content-Type"].startswith("application/fhir+json"), answer.headers["Content-Type"]
        return answer.json()

    capabilities = CapabilityStatement(get(f"{base}/metadata"))
    assert capabilities.fhirVersion == "4.0.1"
    offered = {
        (resource.type, interaction.code)
        for resource in capabilities.rest[0].resource
        for interaction in resource.interaction
    }
    assert {("Patient", "read"), ("Observation", "search-type")} <= offered, offered

    page, count = Bundle(get(f"{base}/Observation?patient={patient_id}&_count=50")), 0
    while page:
        assert page.type == "searchset"
        for entry in page.entry or []:
            assert isinstance(entry.resource, Observation) and entry.search.mode == "match"
            count += 1
        following = [link.url for link in page.link if link.relation == "next"]
        page = Bundle(get(following[0])) if following else None
    assert count == int(observations), count
    history = Bundle(get(f"{base}/Patient/{patient_id}/_history"))
    assert history.type == "history" and history.entry[0].request.method in ("PUT", "POST")

    refusals = [
        (f"{base}/Patient/nobody", 404, "not-found"),
        (f"{base}/Patient?name:exact-ish=x", 400, "not-supported"),
        (f"{base}/Observation?date=yesterday", 400, "invalid"),
        (f"{base}/Cat/1", 404, "not-supported"),
        (f"{foreign_base}/Patient/{patient_id}", 403, "forbidden"),
    ]
    for url, status, code in refusals:
        outcome = OperationOutcome(get(url, status))
        assert outcome.issue[0].severity == "error" and outcome.issue[0].code == code, (url, outcome.as_json())

    # The whole client: it reads the capabilities for how to sign in, then reads and searches by its own paths.
    smart = client.FHIRClient(settings={"app_id": "conformance", "api_base": base})
    smart.prepare()
    smart.server.session = session
    assert Patient.read(patient_id, smart.server).id == patient_id
    first = Observation.where({"patient": patient_id, "_count": "5"}).perform(smart.server)
    assert len(first.entry) == 5
    new = Patient({"resourceType": "Patient", "name": [{"family": "Okafor", "given": ["Ify"]}]})
    made = Patient(new.create(smart.server))
    made.gender = "female"
    changed = Patient(made.update(smart.server))
    assert (made.meta.versionId, changed.meta.versionId, changed.gender) == ("1", "2", "female")
    changed.origin_server = smart.server
    changed.delete()
    get(f"{base}/Patient/{made.id}", 410)
    print(f"CapabilityStatement, {count} Observations in Bundles, a history, writes, {len(refusals)} OperationOutcomes")


if __name__ == "__main__":
    main(*sys.argv[1:])
