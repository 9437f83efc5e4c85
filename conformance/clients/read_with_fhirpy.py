"""PyPI `fhirpy`: read, search, count, create, update and delete, by id and by criteria, a transaction and `$validate`,
as its users write them.

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
    assert of_patient.count() == len(everything)
    rates = of_patient.search(code="http://loinc.org|8867-4", category="vital-signs", date__ge="2026-01-02")
    assert 0 < rates.count() < len(everything), "a day less"

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
    assert weight.is_valid()
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

    # By criteria: created once, changed by them, and deleted by them. Not `get_or_create`, which asks for a conditional
    # create by the address: R4 has `If-None-Exist` for that.
    numbered = client.resources("Patient").search(identifier="urn:example:mrn|fhirpy")
    new = {"identifier": [{"system": "urn:example:mrn", "value": "fhirpy"}], "name": [{"family": "Okafor"}]}
    first, made = numbered.update(client.resource("Patient", **new))
    assert made and numbered.get().id == first.id
    changed, made = numbered.update(client.resource("Patient", **new, gender="female"))
    assert not made and changed.id == first.id and changed.meta.versionId == "2", changed
    numbered.delete()
    assert numbered.count() == 0

    transaction = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:0b1d4d0c-67a8-4d0f-9d3e-0d6f1f6b7a01",
         "resource": {"resourceType": "Patient", "name": [{"family": "Okafor"}]},
         "request": {"method": "POST", "url": "Patient"}},
        {"resource": {**weight.serialize(), "id": "of-transaction", "subject": {
            "reference": "urn:uuid:0b1d4d0c-67a8-4d0f-9d3e-0d6f1f6b7a01"}},
         "request": {"method": "PUT", "url": "Observation/of-transaction"}},
    ]}
    done = client.execute("", method="post", data=transaction)
    assert [entry["response"]["status"] for entry in done["entry"]] == ["201", "201"], done
    client.reference("Observation", "of-transaction").to_resource().delete()

    late = client.resource("Observation", **{**weight.serialize(), "id": None, "effectiveDateTime": "yesterday"})
    assert not late.is_valid()

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

    print(f"read, {len(everything)} over several pages, counts, writes, also by criteria, $validate, a transaction, refusals")


if __name__ == "__main__":
    main(*sys.argv[1:])
