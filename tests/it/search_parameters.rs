//! Search parameters over HTTP, as tables: what is asked, and which resources are found
//! (<https://hl7.org/fhir/R4/search.html>).

use serde_json::{Value, json};
use vitals_fhir::vital::{OBSERVATION_CATEGORY, VITAL_SIGNS};
use vitals_tests::{Answer, Tenant, samples, tenant::client};

const UCUM: &str = "http://unitsofmeasure.org";

/// A tenant with resources whose ids are their labels.
async fn world(resources: &[Value]) -> Tenant {
    let tenant = Tenant::fresh().await;
    let all = tenant.all();
    for resource in resources {
        let path = format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        tenant.put(&path, &all, &resource.to_string()).await.expect(201);
    }
    tenant
}

/// Asks each search and compares the ids found, sorted, with those expected.
async fn finds(tenant: &Tenant, kind: &str, cases: &[(&str, &str)]) {
    for (query, expected) in cases {
        let answer = tenant.get(&format!("{kind}?{query}"), &tenant.all()).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        let mut found = answer.ids();
        found.sort();
        assert_eq!(found.join(" "), *expected, "{query}");
        assert_eq!(answer.json()["total"], found.len(), "{query}");
        let counted = tenant.get(&format!("{kind}?{query}&_summary=count"), &tenant.all()).await.expect(200).json();
        assert_eq!(counted["total"], found.len(), "{query}");
        assert!(counted.get("entry").is_none(), "{query}");
    }
}

fn patients() -> Vec<Value> {
    vec![
        json!({"resourceType": "Patient", "id": "ada", "active": true, "gender": "female", "birthDate": "1815-12-10",
            "identifier": [{"system": "urn:mrn", "value": "1", "type": {"text": "Medical Record"}}],
            "name": [{"family": "Lovelace", "given": ["Ada", "Augusta"]}, {"family": "Byron"}]}),
        json!({"resourceType": "Patient", "id": "bob", "active": false, "gender": "male", "birthDate": "1980-02",
            "identifier": [{"value": "1"}], "name": [{"family": "Müller", "given": ["Bob"], "text": "Bob the Builder"}]}),
        json!({"resourceType": "Patient", "id": "cid", "gender": "unknown", "birthDate": "1980",
            "identifier": [{"system": "urn:mrn", "value": "3"}], "name": [{"family": "muller-lyer"}]}),
        json!({"resourceType": "Patient", "id": "dot"}),
    ]
}

#[tokio::test]
async fn patients_are_found_by_each_parameter() {
    let tenant = world(&patients()).await;
    let cases = [
        ("_id=ada,dot,none", "ada dot"),
        ("identifier=1", "ada bob"),
        ("identifier=urn:mrn|1", "ada"),
        ("identifier=|1", "bob"),
        ("identifier=urn:mrn|", "ada cid"),
        ("identifier:not=urn:mrn|1", "bob cid dot"),
        ("identifier:missing=true", "dot"),
        ("identifier:missing=false", "ada bob cid"),
        ("identifier:text=medical", "ada"),
        ("identifier:text=record", ""),
        ("name=MULL", "bob cid"),
        ("name=bob", "bob"),
        ("name=builder", ""),
        ("name:contains=builder", "bob"),
        ("name:contains=%25", ""),
        ("name=_", ""),
        ("name:exact=M%C3%BCller", "bob"),
        ("name:exact=Muller", ""),
        ("name:exact=muller-lyer", "cid"),
        ("name:missing=true", "dot"),
        ("family=by", "ada"),
        ("family=ada", ""),
        ("family:contains=LER", "bob cid"),
        ("family:exact=Byron", "ada"),
        ("family:exact=byron", ""),
        ("family:missing=true", "dot"),
        ("given=aug", "ada"),
        ("given:exact=Ada", "ada"),
        ("given:contains=ug", "ada"),
        ("given:missing=true", "cid dot"),
        ("given=ada&family=byron", "ada"),
        ("given=ada,bob", "ada bob"),
        ("birthdate=1980", "bob cid"),
        ("birthdate=1980-02", "bob"),
        ("birthdate=ne1980-02", "ada cid"),
        ("birthdate=lt1900", "ada"),
        ("birthdate=ge1980-02", "bob cid"),
        ("birthdate=gt1980-02", "cid"),
        ("birthdate=sa1979", "bob cid"),
        ("birthdate=eb1980-02", "ada"),
        ("birthdate=le1980-02-01", "ada cid"),
        ("birthdate:missing=true", "dot"),
        ("gender=female", "ada"),
        ("gender=female,male", "ada bob"),
        ("gender=http://hl7.org/fhir/administrative-gender|male", "bob"),
        ("gender=urn:x|male", ""),
        ("gender=http://hl7.org/fhir/administrative-gender|", "ada bob cid"),
        ("gender:not=male", "ada cid dot"),
        ("gender:missing=true", "dot"),
        ("active=true", "ada"),
        ("active=false", "bob"),
        ("active:not=true", "bob cid dot"),
        ("active:missing=true", "cid dot"),
        ("active=http://terminology.hl7.org/CodeSystem/special-values|true", "ada"),
        ("_lastUpdated=ge2020", "ada bob cid dot"),
        ("_lastUpdated=lt2020", ""),
    ];
    finds(&tenant, "Patient", &cases).await;
}

fn quantity(value: f64, unit: &str, code: &str) -> Value {
    json!({"value": value, "unit": unit, "system": UCUM, "code": code})
}

fn observation(id: &str, code: &str, rest: &Value) -> Value {
    let mut observation = json!({"resourceType": "Observation", "id": id, "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]}});
    for (name, value) in rest.as_object().unwrap() {
        observation[name] = value.clone();
    }
    observation
}

/// Pulse and pressure are vital signs by their codes; the core temperature of LOINC 8329-5 is none, so that it may lack
/// a time and be in any unit.
fn observations() -> Vec<Value> {
    let vital_signs = json!([{"coding": [{"system": OBSERVATION_CATEGORY, "code": VITAL_SIGNS}]}]);
    let part = |code: &str, value: f64| {
        json!({"code": {"coding": [{"system": "http://loinc.org", "code": code,
        "display": "Part of pressure"}]}, "valueQuantity": quantity(value, "mmHg", "mm[Hg]")})
    };
    vec![
        observation(
            "fever",
            "8329-5",
            &json!({"subject": {"reference": "Patient/p1"}, "effectiveDateTime": "2026-03-01",
            "code": {"text": "Körper Temperature", "coding": [{"system": "http://loinc.org", "code": "8329-5"}]},
            "category": [{"coding": [{"code": "vital-signs", "display": "Vital Signs"}]}],
            "encounter": {"reference": "Encounter/e1"}, "valueQuantity": quantity(98.6, "°F", "[degF]")}),
        ),
        observation(
            "pulse",
            "8867-4",
            &json!({"subject": {"reference": "Patient/p1"}, "category": vital_signs,
            "effectiveDateTime": "2026-03-02T10:00:00Z", "identifier": [{"system": "urn:x", "value": "7"}],
            "performer": [{"reference": "Practitioner/d1"}, {"identifier": {"system": "urn:staff", "value": "9"}}],
            "device": {"reference": "Device/d1"}, "valueQuantity": quantity(72.0, "beats/minute", "/min")}),
        ),
        observation(
            "press",
            "85354-9",
            &json!({"subject": {"reference": "Patient/p2"}, "status": "preliminary", "category": vital_signs,
            "effectivePeriod": {"start": "2026-03-01"}, "component": [part("8480-6", 120.0), part("8462-4", 80.0)]}),
        ),
        observation(
            "rhythm",
            "8884-9",
            &json!({"subject": {"identifier": {"system": "urn:mrn", "value": "1"}},
            "valueCodeableConcept": {"text": "Sinus", "coding": [{"system": "urn:r", "code": "sinus"}]}}),
        ),
        observation(
            "ward",
            "8329-5",
            &json!({"subject": {"reference": "Group/g1"},
            "valueQuantity": {"value": 5.4, "comparator": "<", "unit": "mg"}}),
        ),
    ]
}

#[tokio::test]
async fn observations_are_found_by_each_parameter() {
    let tenant = world(&observations()).await;
    let cases = [
        ("patient=p1", "fever pulse"),
        ("patient:missing=true", "ward"),
        ("patient:identifier=urn:mrn|1", "rhythm"),
        ("subject=Group/g1", "ward"),
        ("subject:Group=g1", "ward"),
        ("subject=g1", "ward"),
        ("subject:Patient=p2", "press"),
        ("subject:identifier=1", "rhythm"),
        ("subject:missing=false", "fever press pulse rhythm ward"),
        ("code=8329-5", "fever ward"),
        ("code:not=8329-5", "press pulse rhythm"),
        ("code:text=korper%20temp", "fever"),
        ("code:missing=true", ""),
        ("category=vital-signs", "fever press pulse"),
        ("category:not=vital-signs", "rhythm ward"),
        ("category:text=vital", "fever"),
        ("category:missing=true", "rhythm ward"),
        ("status=preliminary", "press"),
        ("status=http://hl7.org/fhir/observation-status|final&patient=p1", "fever pulse"),
        ("status:not=final", "press"),
        ("date=2026-03-02", "pulse"),
        ("date=ge2026-03-02", "press pulse"),
        ("date:missing=true", "rhythm ward"),
        ("identifier=urn:x|7", "pulse"),
        ("encounter=e1", "fever"),
        ("encounter=Encounter/e1,Encounter/e2", "fever"),
        ("encounter:EpisodeOfCare=e1", ""),
        ("encounter:missing=false", "fever"),
        ("performer=d1", "pulse"),
        ("performer:Practitioner=d1", "pulse"),
        ("performer:Organization=d1", ""),
        ("performer:identifier=urn:staff|9", "pulse"),
        ("performer:missing=true", "fever press rhythm ward"),
        ("device=Device/d1", "pulse"),
        ("device:missing=false", "pulse"),
        ("value-concept=sinus", "rhythm"),
        ("value-concept=urn:r|sinus", "rhythm"),
        ("value-concept:text=SINUS", "rhythm"),
        ("value-concept:missing=false", "rhythm"),
        ("value-concept:not=sinus&patient=p1", "fever pulse"),
        ("combo-code=8480-6", "press"),
        ("combo-code=8329-5", "fever ward"),
        ("combo-code:not=8480-6,8329-5", "pulse rhythm"),
        ("combo-code:text=part", "press"),
        ("component-code=http://loinc.org|8480-6", "press"),
        ("component-code=85354-9", ""),
        ("component-code:missing=true", "fever pulse rhythm ward"),
        ("component-code:text=part%20of", "press"),
        ("_lastUpdated=ge2020&code=8329-5", "fever ward"),
        ("patient=p1&code=8867-4", "pulse"),
        ("patient=p1,p2&code=http://loinc.org|8867-4,http://loinc.org|85354-9", "press pulse"),
        ("patient=p1&patient=p2", ""),
    ];
    finds(&tenant, "Observation", &cases).await;
}

#[tokio::test]
async fn quantities_are_found_in_whichever_unit_of_ucum() {
    let tenant = world(&observations()).await;
    let cases = [
        // 98.6 [degF] is 37 Cel.
        ("value-quantity=37|http://unitsofmeasure.org|Cel", "fever"),
        ("value-quantity=37.0|http://unitsofmeasure.org|Cel", "fever"),
        ("value-quantity=ge37|http://unitsofmeasure.org|Cel", "fever"),
        ("value-quantity=gt37|http://unitsofmeasure.org|Cel", ""),
        ("value-quantity=ne37|http://unitsofmeasure.org|Cel", ""),
        ("value-quantity=310.15|http://unitsofmeasure.org|K", "fever"),
        ("value-quantity=98.6|http://unitsofmeasure.org|[degF]", "fever"),
        ("value-quantity=99|http://unitsofmeasure.org|[degF]", "fever"),
        ("value-quantity=98.60|http://unitsofmeasure.org|[degF]", "fever"),
        ("value-quantity=98.5|http://unitsofmeasure.org|[degF]", ""),
        ("value-quantity=98.6||[degF]", "fever"),
        ("value-quantity=98.6||%C2%B0F", "fever"),
        ("value-quantity=98.6", "fever"),
        ("value-quantity=1.2|http://unitsofmeasure.org|Hz", "pulse"),
        ("value-quantity=72|http://unitsofmeasure.org|{beats}/min", "pulse"),
        ("value-quantity=72||beats/minute", "pulse"),
        ("value-quantity=gt70,lt1||none", "fever pulse"),
        ("value-quantity=gt70&value-quantity=lt90", "pulse"),
        ("value-quantity=37|urn:other|Cel", ""),
        // Less than 5.4, without a code.
        ("value-quantity=lt5||mg", "ward"),
        ("value-quantity=5||mg", ""),
        ("value-quantity=eb5.4||mg", "ward"),
        ("value-quantity=gt5.4||mg", ""),
        ("value-quantity:missing=true", "press rhythm"),
        ("component-value-quantity=120", "press"),
        ("component-value-quantity=16|http://unitsofmeasure.org|kPa", "press"),
        ("component-value-quantity=15.99|http://unitsofmeasure.org|kPa", ""),
        ("component-value-quantity=gt120", ""),
        ("component-value-quantity:missing=true", "fever pulse rhythm ward"),
        // Code and value of one and the same component.
        ("component-code-value-quantity=8480-6$120", "press"),
        ("component-code-value-quantity=http://loinc.org|8480-6$gt100||mm[Hg]", "press"),
        ("component-code-value-quantity=8480-6$80", ""),
        ("component-code-value-quantity=http://loinc.org|$80", "press"),
        ("component-code-value-quantity=|8480-6$120", ""),
        ("combo-code-value-quantity=8462-4$80", "press"),
        ("combo-code-value-quantity=8867-4$72", "pulse"),
        ("combo-code-value-quantity=8867-4$80,8462-4$80", "press"),
        ("code-value-quantity=http://loinc.org|8867-4$gt70", "pulse"),
        ("code-value-quantity=8867-4$gt72", ""),
        ("code-value-quantity=8329-5$37|http://unitsofmeasure.org|Cel", "fever"),
        ("code-value-quantity=8480-6$120", ""),
        ("code-value-quantity:missing=false", "fever pulse ward"),
    ];
    finds(&tenant, "Observation", &cases).await;
}

#[tokio::test]
async fn an_update_and_a_delete_change_what_is_found() {
    let tenant = world(&observations()).await;
    let all = tenant.all();
    let rewritten = observation(
        "fever",
        "8884-9",
        &json!({"subject": {"reference": "Patient/p9"},
        "valueCodeableConcept": {"coding": [{"code": "high"}]}}),
    );
    tenant.put("Observation/fever", &all, &rewritten.to_string()).await.expect(200);
    tenant.delete("Observation/press", &all).await.expect(204);
    let renamed = json!({"resourceType": "Patient", "id": "ada", "name": [{"family": "King"}]});
    tenant.put("Patient/ada", &all, &patients()[0].to_string()).await.expect(201);
    tenant.put("Patient/ada", &all, &renamed.to_string()).await.expect(200);
    let cases = [
        ("patient=p1", "pulse"),
        ("patient=p9&value-concept=high", "fever"),
        ("value-quantity=37|http://unitsofmeasure.org|Cel", ""),
        ("code:text=k", ""),
        ("encounter=e1", ""),
        ("component-code=8480-6", ""),
        ("component-value-quantity=120", ""),
    ];
    finds(&tenant, "Observation", &cases).await;
    let cases = [("name=king", "ada"), ("name=byron", ""), ("gender=female", ""), ("birthdate:missing=true", "ada")];
    finds(&tenant, "Patient", &cases).await;
}

/// The ids on all pages, and how many pages there were.
async fn paged(tenant: &Tenant, path: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut address) = (Vec::new(), 0, format!("{}/{path}", tenant.base()));
    loop {
        let page = Answer::of(client().get(&address).bearer_auth(tenant.all())).await.expect(200);
        ids.extend(page.ids());
        pages += 1;
        assert!(pages < 100, "the pages of {path} do not end");
        match page.link("next") {
            Some(next) => address = next,
            None => return (ids, pages),
        }
    }
}

#[tokio::test]
async fn each_order_holds_over_pages_in_both_directions() {
    let mut resources = Vec::new();
    for number in 0..12 {
        // Several share each value, and some have none.
        let mut patient = samples::patient(&format!("p{number:02}"), &format!("F{}", number % 3));
        patient["birthDate"] = format!("19{}0-01-01", number % 4 + 1).into();
        if number % 5 == 0 {
            for name in ["name", "birthDate"] {
                patient.as_object_mut().unwrap().remove(name);
            }
        }
        resources.push(patient);
        let time = format!("2026-03-0{}", number % 4 + 1);
        let mut observation = samples::vital(&format!("o{number:02}"), "p00", samples::HEART_RATE, 70.0, &time);
        if number % 5 == 0 {
            observation = samples::undated(observation);
        }
        resources.push(observation);
    }
    let tenant = world(&resources).await;
    let value = |resource: &Value, key: &str| match key {
        "family" => resource["name"][0]["family"].as_str().unwrap_or_default().to_lowercase(),
        "birthdate" => resource["birthDate"].as_str().unwrap_or_default().to_owned(),
        "date" => resource["effectiveDateTime"].as_str().unwrap_or_default().to_owned(),
        _ => resource["meta"]["lastUpdated"].as_str().unwrap().to_owned(),
    };
    let lists = [
        ("Patient?", vec!["family", "birthdate", "_lastUpdated"]),
        ("Observation?", vec!["date", "_lastUpdated"]),
        ("Observation?patient=p00&", vec!["date", "_lastUpdated"]),
        ("Observation?patient=p00&code=http://loinc.org|8867-4&", vec!["date", "_lastUpdated"]),
    ];
    for (list, keys) in lists {
        for key in keys {
            let mut both = Vec::new();
            for direction in ["", "-"] {
                let path = format!("{list}_sort={direction}{key}");
                let whole = tenant.get(&path, &tenant.all()).await.expect(200);
                assert!(whole.link("self").unwrap().ends_with(&format!("_sort={direction}{key}")));
                let entries = whole.json()["entry"].as_array().unwrap().clone();
                let values: Vec<_> = entries.iter().map(|entry| value(&entry["resource"], key)).collect();
                assert_eq!(values.len(), 12);
                let sorted = values.is_sorted_by(|one, two| if direction == "-" { one >= two } else { one <= two });
                assert!(sorted, "{path}: {values:?}");
                for size in [1, 3, 11, 12] {
                    let (ids, pages) = paged(&tenant, &format!("{path}&_count={size}")).await;
                    assert_eq!((ids, pages), (whole.ids(), 12_usize.div_ceil(size)), "{path} by {size}");
                }
                both.push(whole.ids());
            }
            both[1].reverse();
            assert_eq!(both[0], both[1], "{list} {key}: one direction is the other backwards");
        }
    }
}
