"""PyPI `fhirpy`: read, search, create, update and delete, as its users write them.

Usage: python read_with_fhirpy.py BASE TOKEN FOREIGN_BASE PATIENT OBSERVATIONS
PATIENT is a patient of BASE's tenant with OBSERVATIONS observations.
"""

import json
import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import ForbiddenError, OperationOutcome, ResourceNotFound


def main(base, token, foreign_base, patient_id, observations):
    client = SyncFHIRClient(base, authorization=f"Bearer {token}")

    patient = client.reference("Patient", patient_id).to_resource()
    assert patient.id == patient_id
    assert client.resources("Patient").search(_id=patient_id).first().id == patient_id
    family = patient.get_by_path(["name", 0, "family"])
    assert patient_id in {found.id for found in client.resources("Patient").search(name=family).fetch_all()}

    of_patient = client.resources("Observation").search(patient=patient_id)
    assert len(of_patient.limit(5).fetch()) == 5
    everything = of_patient.limit(50).fetch_all()
    assert len({found.id for found in everything}) == len(everything) == int(observations), "all pages, each once"
    newest = of_patient.sort("-date").limit(1).first()
    assert newest.effectiveDateTime == max(found.effectiveDateTime for found in everything)
    assert not of_patient.search(date__lt="1800-01-01").fetch_all()

    weight = client.resource(
        "Observation",
        status="final",
        category=[{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        code={"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        subject=patient.to_reference(),
        effectiveDateTime="2026-01-01T08:00:00Z",
        valueQuantity={"value": 70.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    )
    weight.save()
    assert weight.id and weight.meta.versionId == "1"
    weight["status"] = "amended"
    weight.save()
    assert weight.meta.versionId == "2"
    assert client.reference("Observation", weight.id).to_resource().status == "amended"
    weight.delete()
    try:
        client.reference("Observation", weight.id).to_resource()
    except ResourceNotFound:
        pass
    else:
        raise AssertionError("the deleted observation was read")

    try:
        client.resource("Observation", status="final", code={"text": "pulse"}, pulse=72).save()
    except OperationOutcome as refused:
        issue = refused.resource["issue"][0]
        assert "pulse" in issue["expression"][0], issue
    else:
        raise AssertionError("an unknown element was taken")

    try:
        SyncFHIRClient(foreign_base, authorization=f"Bearer {token}").resources("Patient").fetch()
    except ForbiddenError as refused:
        assert json.loads(str(refused))["issue"][0]["code"] == "forbidden", refused
    else:
        raise AssertionError("another tenant answered")

    print(f"read, {len(everything)} over several pages, newest first, create, update, delete, issues, refused next door")


if __name__ == "__main__":
    main(*sys.argv[1:])
