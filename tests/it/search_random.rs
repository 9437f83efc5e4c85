//! What the SQL of a search finds is what the pure rules admit, on random rows: the caller's predicate
//! ([`Visible::admits`](vitals_access::predicate::Visible::admits)) under random scopes, and quantities
//! ([`QuantityTest::admits`](vitals_fhir::search::QuantityTest::admits)) in random units.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vitals_access::predicate::Columns;
use vitals_fhir::{
    index::ObservationIndex,
    interaction::Letter,
    resource::{Observation, ResourceType},
    search::{Filter, Place, Query, form_text},
};
use vitals_tests::{Chance, Tenant};

const LOINC: &str = "http://loinc.org";
const UCUM: &str = "http://unitsofmeasure.org";
const CATEGORIES: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
/// Of each kind, rows and questions: some minutes of thought, some seconds of machine.
const ROWS: usize = 150;
const SCOPES: usize = 120;
const QUANTITIES: usize = 200;

fn quantity(chance: &mut Chance) -> Value {
    let value = *chance.of(&["36.9", "37", "37.0", "98.6", "98.60", "120", "16", "0", "-1.5", "310.15", "1e2", "5.4"]);
    let (unit, system, code) = *chance.of(&[
        ("C", UCUM, "Cel"),
        ("F", UCUM, "[degF]"),
        ("K", UCUM, "K"),
        ("mmHg", UCUM, "mm[Hg]"),
        ("kPa", UCUM, "kPa"),
        ("beats", UCUM, "/min"),
        ("mg", "urn:other", "mg"),
        ("mg", "", ""),
        ("", "", ""),
    ]);
    let mut quantity = serde_json::from_str::<Value>(&format!("{{\"value\":{value}}}")).expect("JSON");
    for (name, text) in [("unit", unit), ("system", system), ("code", code)] {
        if !text.is_empty() {
            quantity[name] = text.into();
        }
    }
    if chance.below(6) == 0 {
        quantity["comparator"] = (*chance.of(&["<", "<=", ">", ">="])).into();
    }
    quantity
}

fn concept(chance: &mut Chance) -> Value {
    let codings = [
        (LOINC, "8867-4"),
        (LOINC, "2708-6"),
        (LOINC, "59408-5"),
        (LOINC, "8310-5"),
        (LOINC, "8480-6"),
        ("urn:own", "8867-4"),
    ];
    let count = 1 + chance.below(2);
    let codings: Vec<Value> = (0..count)
        .map(|_| {
            let (system, code) = chance.of(&codings);
            json!({ "system": system, "code": code })
        })
        .collect();
    json!({ "coding": codings })
}

fn observation(id: &str, chance: &mut Chance) -> Value {
    let mut row = json!({
        "resourceType": "Observation",
        "id": id,
        "status": chance.of(&["final", "amended", "preliminary"]),
        "code": concept(chance),
    });
    if chance.below(4) > 0 {
        row["subject"] = json!({ "reference": chance.of(&["Patient/p1", "Patient/p2", "Group/p1"]) });
    }
    if chance.below(4) > 0 {
        let system = *chance.of(&[CATEGORIES, "urn:own"]);
        let code = *chance.of(&["vital-signs", "laboratory"]);
        row["category"] = json!([{ "coding": [{ "system": system, "code": code }] }]);
    }
    if chance.below(3) == 0 {
        row["meta"] = json!({ "security": [{ "system": "urn:labels", "code": chance.of(&["N", "R"]) }] });
    }
    if chance.below(3) > 0 {
        row["valueQuantity"] = quantity(chance);
    }
    let parts = chance.below(3);
    if parts > 0 {
        let component = |chance: &mut Chance| json!({ "code": concept(chance), "valueQuantity": quantity(chance) });
        row["component"] = (0..parts).map(|_| component(chance)).collect();
    }
    row
}

/// A tenant with random rows, and what the index says of each. They go in beneath the profiles, which forbid most of
/// what makes them random: vitals in all units, of several codes, without category, time or patient.
async fn world(chance: &mut Chance) -> (Tenant, Vec<(String, ObservationIndex)>) {
    let tenant = Tenant::fresh().await;
    let rows: Vec<Value> = (0..ROWS).map(|number| observation(&format!("o{number}"), chance)).collect();
    let indexes = tenant.plant(&rows).await;
    (tenant, indexes)
}

async fn found(tenant: &Tenant, query: &str, token: &str) -> BTreeSet<String> {
    let page = tenant.get(&format!("Observation?_count=1000&{query}"), token).await.expect(200);
    page.ids().into_iter().collect()
}

fn scope(chance: &mut Chance) -> String {
    let who = *chance.of(&["patient", "user", "system"]);
    let limits = [
        format!("category={CATEGORIES}|vital-signs"),
        "category=laboratory".to_owned(),
        format!("code={LOINC}|8867-4"),
        "code=8867-4".to_owned(),
        "code=urn:own|".to_owned(),
        "status=final".to_owned(),
        "status=final,amended".to_owned(),
        "_security=urn:labels|N".to_owned(),
        "_security=R".to_owned(),
    ];
    match chance.below(8) {
        0 => "vitals:read".to_owned(),
        1 => format!("vitals.{}:read", chance.of(&["heart_rate", "spo2", "blood_pressure", "body_temperature"])),
        2 => format!("{who}/Observation.rs"),
        3 => format!("{who}/*.read"),
        4 => "users:read".to_owned(),
        5 => format!("{who}/Observation.rs?{}&{}", chance.of(&limits), chance.of(&limits)),
        _ => format!("{who}/Observation.rs?{}", chance.of(&limits)),
    }
}

#[tokio::test]
async fn a_search_finds_what_the_predicate_admits_under_random_scopes() {
    let mut chance = Chance(7);
    let (tenant, rows) = world(&mut chance).await;
    let (mut some, mut none) = (0, 0);
    for _ in 0..SCOPES {
        let scopes = (0..=chance.below(2)).map(|_| scope(&mut chance)).collect::<Vec<_>>().join(" ");
        let mut token = tenant.token(&scopes);
        if chance.below(2) == 0 {
            token = token.patient(["p1", "p2", "p3"][usize::try_from(chance.below(3)).expect("small")]);
        }
        let token = token.sign();
        let access = tenant.access(&token);
        let visible = access.visible(ResourceType::Observation, Letter::Search);
        let expected: BTreeSet<String> = rows
            .iter()
            .filter(|(_, index)| visible.admits(&Columns::of_observation(index)))
            .map(|(id, _)| id.clone())
            .collect();
        let answer = tenant.get("Observation?_count=1000", &token).await;
        if answer.status == 403 {
            assert!(expected.is_empty(), "{scopes}");
            none += 1;
            continue;
        }
        assert_eq!(answer.expect(200).ids().into_iter().collect::<BTreeSet<_>>(), expected, "{scopes}: {visible:?}");
        let count = tenant.get("Observation?_summary=count", &token).await.expect(200);
        assert_eq!(count.json()["total"], expected.len(), "{scopes}");
        // One by one as well.
        for _ in 0..3 {
            let (id, _) = chance.of(&rows);
            let status = if expected.contains(id) { 200 } else { 404 };
            tenant.get(&format!("Observation/{id}"), &token).await.expect(status);
        }
        some += usize::from(!expected.is_empty() && expected.len() < rows.len());
    }
    assert!(some > SCOPES / 4 && none > 0, "the scopes say little: {some} reach a part, {none} nothing");
}

#[tokio::test]
async fn a_search_for_a_quantity_finds_what_its_test_admits() {
    let mut chance = Chance(11);
    let (tenant, rows) = world(&mut chance).await;
    let all = tenant.all();
    let mut hits = 0;
    for _ in 0..QUANTITIES {
        let (name, place) =
            *chance.of(&[("value-quantity", Place::Value), ("component-value-quantity", Place::Component)]);
        let prefix = *chance.of(&["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]);
        let number =
            *chance.of(&["37", "37.0", "98.6", "98.60", "310.15", "120", "16", "15.99", "100", "0", "1e2", "-1.5"]);
        let cel = format!("|{UCUM}|Cel");
        let unit = chance
            .of(&[
                String::new(),
                cel,
                format!("|{UCUM}|[degF]"),
                format!("|{UCUM}|kPa"),
                format!("|{UCUM}|mm[Hg]"),
                "||mg".to_owned(),
                "||mmHg".to_owned(),
                "|urn:other|mg".to_owned(),
                format!("|{UCUM}|/min"),
            ])
            .clone();
        let pairs = vec![(name.to_owned(), format!("{prefix}{number}{unit}"))];
        let query = Query::<Observation>::parse(&pairs, true, &[]).expect("a search");
        let [Filter::Quantity(_, tests)] = query.filters.as_slice() else { panic!("one filter: {:?}", query.filters) };
        let expected: BTreeSet<String> = rows
            .iter()
            .filter(|(_, index)| {
                let quantities: Vec<_> = match place {
                    Place::Value => index.value.iter().collect(),
                    _ => index.parts.iter().map(|part| &part.quantity).collect(),
                };
                quantities.into_iter().any(|quantity| tests.iter().any(|test| test.admits(quantity)))
            })
            .map(|(id, _)| id.clone())
            .collect();
        hits += usize::from(!expected.is_empty());
        assert_eq!(found(&tenant, &form_text(&pairs), &all).await, expected, "{pairs:?}");
    }
    assert!(hits > QUANTITIES / 3, "only {hits} of {QUANTITIES} searches find anything");
}
