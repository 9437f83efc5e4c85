"""The package that PyPI `openapi-python-client` makes of our plain OpenAPI document: a read, a search to its last page,
a create, and a refusal that is understood through the generated types.

Usage: python use_python_client.py BASE TOKEN FOREIGN_BASE PATIENT OBSERVATIONS
PATIENT is a patient of BASE's tenant with OBSERVATIONS observations. PYTHONPATH leads to `vitals_client`.
"""

import sys
from urllib.parse import parse_qs, urlsplit

from vitals_client import AuthenticatedClient
from vitals_client.api.bundle import post_bundle
from vitals_client.api.discovery import read_capabilities
from vitals_client.api.observation import (
    create_observation, delete_observation, read_observation, search_observation, update_observation,
    validate_observation,
)
from vitals_client.api.patient import read_patient, search_patient
from vitals_client.models import (
    Bundle, BundleEntry, BundleEntryRequest, BundleEntryRequestMethod, BundleResourceType, BundleType, CodeableConcept,
    Coding, HumanName, Observation, ObservationResourceType, ObservationStatus, OperationOutcome,
    OperationOutcomeIssueCode, OperationOutcomeIssueSeverity, Patient, PatientResourceType, Quantity, Reference,
)
from vitals_client.types import UNSET

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"


def heart_rate(subject, rate, unit="/min", time="2026-02-01T08:00:00Z"):
    return Observation(
        resource_type=ObservationResourceType.OBSERVATION,
        status=ObservationStatus.FINAL,
        category=[CodeableConcept(coding=[Coding(system=CATEGORIES, code="vital-signs")])],
        code=CodeableConcept(coding=[Coding(system=LOINC, code="8867-4")]),
        subject=Reference(reference=subject),
        effective_date_time=time,
        value_quantity=Quantity(value=rate, unit="beats/minute", system=UCUM, code=unit),
    )


def main(base, token, foreign_base, patient_id, observations):
    address, tenant = base.removesuffix("/fhir").split("/t/")
    client = AuthenticatedClient(base_url=address, token=token, raise_on_unexpected_status=True)
    next_door = foreign_base.removesuffix("/fhir").split("/t/")[1]
    with client:
        # A read.
        patient = read_patient.sync(tenant, patient_id, client=client)
        assert isinstance(patient, Patient) and patient.id == patient_id, patient
        assert patient.name[0].family == "Abeling" and patient.meta.version_id == "1", patient

        # A search with a period and a code, page after page until there is no next link.
        asked = {
            "patient": patient_id, "code": [f"{LOINC}|8867-4"], "date": ["ge2026-01-01", "lt2026-02-01"],
            "field_sort": "-date", "field_count": 50,
        }
        found, pages = [], 0
        while asked:
            page = search_observation.sync(tenant, client=client, **asked)
            assert isinstance(page, Bundle) and page.type_ == BundleType.SEARCHSET, page
            found += [entry.resource for entry in page.entry or []]
            following = [link.url for link in page.link if link.relation == "next"]
            asked = {"field_page": parse_qs(urlsplit(following[0]).query)["_page"][0]} if following else None
            pages += 1
        assert all(isinstance(each, Observation) and each.value_quantity.code == "/min" for each in found)
        assert len({each.id for each in found}) == len(found) == int(observations), (len(found), pages)
        assert pages > 1, pages
        times = [each.effective_date_time for each in found]
        assert times == sorted(times, reverse=True), "newest first"
        named = search_patient.sync(tenant, client=client, family=["abel"], field_summary=UNSET)
        assert [entry.resource.id for entry in named.entry] == [patient_id], named

        # A create, a change and a delete.
        created = create_observation.sync(tenant, client=client, body=heart_rate(f"Patient/{patient_id}", 71.5))
        assert isinstance(created, Observation) and created.meta.version_id == "1", created
        assert created.value_quantity.value == 71.5 and created.status == ObservationStatus.FINAL, created
        created.status = ObservationStatus.AMENDED
        amended = update_observation.sync(tenant, created.id, client=client, body=created, if_match='W/"1"')
        assert isinstance(amended, Observation) and amended.meta.version_id == "2", amended
        stale = update_observation.sync_detailed(tenant, created.id, client=client, body=created, if_match='W/"1"')
        assert stale.status_code == 412 and isinstance(stale.parsed, OperationOutcome), stale.content
        assert stale.parsed.issue[0].code == OperationOutcomeIssueCode.CONFLICT, stale.parsed
        assert delete_observation.sync_detailed(tenant, created.id, client=client).status_code == 204
        gone = read_observation.sync_detailed(tenant, created.id, client=client)
        assert gone.status_code == 410, gone.content

        # A refusal with two findings, each with its element.
        wrong = heart_rate(f"Patient/{patient_id}", 72, unit="bpm", time=UNSET)
        refused = create_observation.sync_detailed(tenant, client=client, body=wrong)
        assert refused.status_code == 422 and isinstance(refused.parsed, OperationOutcome), refused.content
        findings = {(issue.code, *issue.expression) for issue in refused.parsed.issue}
        assert findings == {
            (OperationOutcomeIssueCode.CODE_INVALID, "Observation.valueQuantity.code"),
            (OperationOutcomeIssueCode.REQUIRED, "Observation.effective"),
        }, findings
        for issue in refused.parsed.issue:
            assert issue.severity == OperationOutcomeIssueSeverity.ERROR and issue.diagnostics, issue

        # The same, asked beforehand.
        asked = validate_observation.sync_detailed(tenant, client=client, body=wrong)
        assert asked.status_code == 200, asked.content
        assert {(issue.code, *issue.expression) for issue in asked.parsed.issue} == findings, asked.content

        # A transaction: a patient and a heart rate of that patient.
        one = "urn:uuid:5a3c1f80-2b7e-4c5d-9e11-6f0a7b8c9d01"
        new = Patient(resource_type=PatientResourceType.PATIENT, name=[HumanName(family="Okoro", given=["Ife"])])
        post = BundleEntryRequestMethod.POST
        transaction = Bundle(
            resource_type=BundleResourceType.BUNDLE,
            type_=BundleType.TRANSACTION,
            entry=[
                BundleEntry(full_url=one, resource=new, request=BundleEntryRequest(method=post, url="Patient")),
                BundleEntry(
                    resource=heart_rate(one, 66), request=BundleEntryRequest(method=post, url="Observation")),
            ],
        )
        done = post_bundle.sync(tenant, client=client, body=transaction)
        assert isinstance(done, Bundle) and done.type_ == BundleType.TRANSACTION_RESPONSE, done
        assert [entry.response.status for entry in done.entry] == ["201", "201"], done

        # Next door, and what is offered here.
        foreign = read_patient.sync_detailed(next_door, patient_id, client=client)
        assert foreign.status_code == 403, foreign.content
        assert foreign.parsed.issue[0].code == OperationOutcomeIssueCode.FORBIDDEN, foreign.parsed
        offered = read_capabilities.sync(tenant, client=client)
        assert {kind.type_ for kind in offered.rest[0].resource} >= {"Patient", "Observation"}, offered

    print(f"read, {len(found)} over {pages} pages, create, update, delete, a 422 of {len(findings)} findings, $validate, a transaction")


if __name__ == "__main__":
    main(*sys.argv[1:])
