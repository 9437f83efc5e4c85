//! How PostgreSQL runs searches over 100,000 Observations: by an index that gives the rows or their order, never by
//! reading the table from one end to the other.

use vitals_fhir::{
    interaction::SearchType,
    resource::Observation,
    search::{Filter, Query, form_pairs},
    token,
    vital::LOINC,
};
use vitals_store::rows::{Mark, Position};
use vitals_tests::{Tenant, cluster};

/// Rows, of 200 patients, over five codes, one of which is rare.
const ROWS: u32 = 100_000;

/// Writes the rows past the server: what is looked at is how they are found.
async fn fill(tenant: &Tenant) {
    tenant.get("Patient", &tenant.all()).await.expect(200);
    let role = tenant.role();
    let codes = |code: &str| format!("ARRAY['{}','{}']", token::coding(LOINC, code), token::code_alone(code));
    let case = |of: &dyn Fn(&str) -> String| {
        let whens = ["8867-4", "8310-5", "2708-6", "9279-1"].iter().enumerate();
        let whens: Vec<String> = whens.map(|(place, code)| format!("WHEN {place} THEN {}", of(code))).collect();
        // One row in a thousand has the rare code.
        format!("CASE WHEN n % 1000 = 0 THEN {} ELSE CASE n % 4 {} END END", of("8287-5"), whens.join(" "))
    };
    let first_code = case(&|code| format!("'{}'", token::coding(LOINC, code)));
    let codes = case(&codes);
    let status = "'final'";
    tenant
        .server
        .cluster
        .sql(&format!(
            "INSERT INTO {role}.observation (version, last_updated, eff_low, eff_high, id, patient, vital, code1, status, \
             codes, category, tokens, q_low, body) \
             SELECT 1, t, t, t, 'o' || n, 'p' || n % 200, NULL, {first_code}, {status}, {codes}, ARRAY['{category}'], \
             ARRAY['i:{identifier}' || n], n % 150, '{{}}' \
             FROM (SELECT n, timestamptz '2026-01-01' + n * interval '1 minute' AS t FROM generate_series(1, {ROWS}) n) r; \
             ANALYZE {role}.observation",
            category = token::code_alone("vital-signs"),
            identifier = token::code_alone("id-"),
        ))
        .await;
}

#[tokio::test]
async fn no_search_reads_a_table_of_100_000_rows_from_end_to_end() {
    let tenant = Tenant::fresh().await;
    fill(&tenant).await;
    let confined = tenant.token("patient/Observation.rs").patient("p7").sign();
    let after = Position { mark: Mark::Number(1_775_000_000_000), id: "o9".to_owned() };
    let everything = tenant.all();
    let of_patient = ["observation_patient_date", "observation_patient_code"];
    // Token, search, and the indexes one of which gives its rows.
    let cases: [(&str, &str, &[&str]); 27] = [
        (&everything, "patient=p7&code=http://loinc.org|8867-4&_sort=-date", &of_patient),
        (&everything, "patient=p7&code=http://loinc.org|8867-4&_sort=date", &of_patient),
        (&everything, "patient=p7&code=http://loinc.org|8867-4&date=ge2026-02&date=lt2026-03", &of_patient),
        (&everything, "patient=p7", &of_patient),
        (&everything, "patient=p7&_sort=date", &of_patient),
        (&everything, "patient=p7&date=ge2026-02-01", &of_patient),
        (&everything, "patient=p7&category=vital-signs", &of_patient),
        (&everything, "patient=p7&value-quantity=gt100", &of_patient),
        (&everything, "code=http://loinc.org|8287-5", &["observation_codes", "observation_last_updated"]),
        (&everything, "identifier=id-77", &["observation_tokens"]),
        (&everything, "identifier=id-77&_sort=date", &["observation_tokens"]),
        (&everything, "_id=o5,o6", &["observation_pkey"]),
        (&everything, "_id=o5,o6&_sort=-date", &["observation_pkey"]),
        (&everything, "_lastUpdated=ge2026-03", &["observation_last_updated"]),
        (&everything, "", &["observation_last_updated"]),
        (&everything, "_sort=date", &["observation_time"]),
        (&everything, "_sort=-date", &["observation_time"]),
        (&everything, "category=vital-signs&_sort=-date", &["observation_time"]),
        (&everything, "code=http://loinc.org|8867-4&_sort=-date", &["observation_code_date"]),
        (&everything, "code=http://loinc.org|8867-4&_sort=date", &["observation_code_date"]),
        (&everything, "code=http://loinc.org|8867-4&date=ge2026-02&_sort=-date", &["observation_code_date"]),
        (&everything, "code=http://loinc.org|8302-2&_sort=-date", &["observation_code_date"]),
        // One of several codes of its vital.
        (&everything, "code=http://loinc.org|59408-5&_sort=-date", &["observation_code_date", "observation_codes"]),
        // As of a compartment.
        (&everything, "_compartment=p7", &["observation_tokens"]),
        (&everything, "_compartment=p7&code=http://loinc.org|8867-4", &["observation_tokens"]),
        (&confined, "", &of_patient),
        (&confined, "code=http://loinc.org|8867-4", &of_patient),
    ];
    let app = &tenant.server.app;
    for (token, search, indexes) in cases {
        let access = tenant.access(token);
        let (compartment, asked): (Vec<_>, Vec<_>) =
            form_pairs(search).expect("a form").into_iter().partition(|(name, _)| name == "_compartment");
        let mut query = Query::<Observation>::parse(&asked, true, &[]).expect("a search");
        query.filters.extend(compartment.into_iter().map(|(_, id)| Filter::Compartment(id)));
        for after in [None, Some(&after)] {
            let (pool, access, query, after) = (app.pool.clone(), access.clone(), query.clone(), after.cloned());
            let plan = cluster::runtime().spawn(async move {
                let mut read = pool.read(&access).await.expect("a connection");
                let mut rows = read.allow::<Observation, SearchType>().expect("within scope");
                rows.plan(&query, after.as_ref()).await.expect("a plan")
            });
            let plan = plan.await.expect("no panic").join("\n");
            assert!(!plan.contains("Seq Scan"), "{search}\n{plan}");
            assert!(indexes.iter().any(|index| plan.contains(index)), "{search} by {indexes:?}\n{plan}");
        }
    }
}
