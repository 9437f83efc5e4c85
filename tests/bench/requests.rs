//! Reads and searches over HTTP with everything on (token, scopes, isolation, audit), beside `pgbench` with the
//! statement that each of them runs. There only the id is a bind: with the codes as constants PostgreSQL plans as
//! well as it can, which is the limit to be held against.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    connection::{Connection, request},
    postgres::{As, Postgres},
    program::{Folder, Program, Serving},
    table::{Limit, Samples, Table},
};

/// The tenant with the data.
const TENANT: &str = "bench";
/// Patients, and observations of each: enough that nobody hits the same row all the time, little enough for memory.
const PATIENTS: u32 = 100;
const OBSERVATIONS: u32 = 200;
/// Connections at once.
const CONNECTIONS: u16 = 32;
/// Requests before the measurement, and in it.
const WARM: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(5);
/// Different requests that are made beforehand.
const VARIETY: u32 = 2_000;

/// As `server/store/src/rows/read.rs` writes it for a token that reaches everything.
const READ: &str = "\\set n random(0, :last)
SELECT x.tenant, x.id, x.version, x.last_updated, x.patient AS patient, x.body
FROM observation x WHERE x.id = 'rate-' || :n AND TRUE;
";

/// As `server/store/src/rows/search/render.rs` writes it for `patient`, a vital's `code`, `_sort=-date`, `_count=50`.
const SEARCH: &str = "\\set n random(0, :patients)
SELECT u.tenant, u.id, u.version, u.last_updated, u.patient, u.body, u.place FROM (
(SELECT x.tenant, x.id, x.version, x.last_updated, x.patient AS patient, x.body, x.eff_low AS place
FROM observation x WHERE TRUE AND x.code1 = ':code' AND x.patient = 'patient-' || :n
AND (x.codes && ARRAY[':code']) ORDER BY x.eff_low DESC, x.id ASC LIMIT 51)
UNION ALL
(SELECT x.tenant, x.id, x.version, x.last_updated, x.patient AS patient, x.body, x.eff_low AS place
FROM observation x WHERE TRUE AND x.code1 = '*' AND x.patient = 'patient-' || :n
AND (x.codes && ARRAY[':code']) ORDER BY x.eff_low DESC, x.id ASC LIMIT 51)
) u ORDER BY u.place DESC, u.id ASC LIMIT 51;
";

/// Runs it.
pub async fn run(program: &Program, folder: &Folder, server: &Serving, postgres: &Postgres, table: &mut Table) {
    program.run(folder, &["tenant", "create", TENANT]);
    let file = folder.path().join("bench.ndjson");
    std::fs::write(&file, data()).expect("the data can be written");
    let (took, _) = program.run(folder, &["import", "--tenant", TENANT, &file.to_string_lossy()]);
    let rows = f64::from(PATIENTS * (OBSERVATIONS + 1));
    table.row("import, resources a second", rows / took.as_secs_f64(), "/s", &Limit::None);

    let role = postgres.psql(&As::Admin, &format!("SELECT role FROM control.tenant WHERE name = '{TENANT}';"));
    let role = role.trim();
    postgres.psql(&As::Admin, &format!("VACUUM ANALYZE {role}.observation;"));
    let (_, token) = program.run(folder, &["token", "--tenant", TENANT, "--scope", "system/*.rs"]);
    let base = format!("/t/{TENANT}/fhir");

    let last = PATIENTS * OBSERVATIONS - 1;
    let reads = requests(&token, |number| format!("{base}/Observation/rate-{}", number % (last + 1)));
    let searches = requests(&token, |number| {
        format!(
            "{base}/Observation?patient=patient-{}&code=http://loinc.org|8867-4&_sort=-date&_count=50",
            number % PATIENTS
        )
    });
    let code = postgres.psql(&As::Admin, &format!("SELECT DISTINCT code1 FROM {role}.observation;"));
    let read = READ.replace(":last", &last.to_string());
    let search = SEARCH.replace(":patients", &(PATIENTS - 1).to_string()).replace(":code", code.trim());

    for (what, requests, statement) in [("read by id", reads, read), ("search of 50", searches, search)] {
        for connections in [1, CONNECTIONS] {
            // Once before and once after, because the neighbours of a shared machine come and go.
            let before = postgres.statement(&As::Tenant(role), connections, folder.path(), &statement);
            let (latencies, refused) = drive(server.public, &requests, connections).await;
            let after = postgres.statement(&As::Tenant(role), connections, folder.path(), &statement);
            let limit = Limit::Measured(f64::midpoint(before, after), "pgbench, the statement");
            let rate = f64::from(latencies.count()) / MEASURED.as_secs_f64();
            table.row(&format!("{what}, {connections} connections"), rate, "/s", &limit);
            if refused > 0 {
                table.row(&format!("{what}, {connections} connections, refused"), f64::from(refused), "", &Limit::None);
            }
            for percent in [50, 99] {
                let latency = latencies.percentile(percent);
                let what = format!("{what}, {connections} connections, {percent}th of 100");
                table.row(&what, latency, "ms", &Limit::None);
            }
        }
    }
    for clients in [1, CONNECTIONS] {
        let rate = postgres.select_only(clients);
        table.row(&format!("(pgbench -S itself, {clients} clients)"), rate, "/s", &Limit::None);
    }
    table.row("memory of serve after all this", server.memory(), "MB", &Limit::None);
}

fn requests(token: &str, path: impl Fn(u32) -> String) -> Arc<Vec<Vec<u8>>> {
    let authorization = format!("Bearer {token}");
    // A step without a common divisor with the number of rows, so that neighbours are far apart.
    Arc::new((0..VARIETY).map(|number| request("GET", &path(number * 7_919), &authorization, None)).collect())
}

/// Asks over this many connections, each as soon as it has its answer: how long each answer took, and how many
/// requests were refused because the server was busy.
async fn drive(address: SocketAddr, requests: &Arc<Vec<Vec<u8>>>, connections: u16) -> (Samples, u32) {
    let began = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|number| {
            let requests = Arc::clone(requests);
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                let (mut samples, mut refused) = (Samples::default(), 0);
                let mut at = usize::from(number) * 61;
                while began.elapsed() < WARM + MEASURED {
                    at = (at + 1) % requests.len();
                    let sent = Instant::now();
                    let (status, length) = connection.exchange(&requests[at]).await;
                    match status {
                        _ if began.elapsed() < WARM => {}
                        200 => samples.add(sent.elapsed()),
                        503 => refused += 1,
                        other => panic!("answered {other} with {length} bytes"),
                    }
                }
                (samples, refused)
            })
        })
        .collect();
    let (mut all, mut refused) = (Samples::default(), 0);
    for task in tasks {
        let (samples, more) = task.await.expect("a connection is served to its end");
        all.append(samples);
        refused += more;
    }
    (all, refused)
}

/// Heart rates as a monitor sends them, some 850 bytes each.
fn data() -> String {
    let mut text = String::new();
    for patient in 0..PATIENTS {
        let name = format!("{{\"family\":\"Bench{patient}\",\"given\":[\"Ada\"]}}");
        writeln!(text, "{{\"resourceType\":\"Patient\",\"id\":\"patient-{patient}\",\"name\":[{name}]}}")
            .expect("a string takes text");
    }
    for number in 0..PATIENTS * OBSERVATIONS {
        let (patient, hour) = (number % PATIENTS, number / PATIENTS);
        let when = format!("2026-{:02}-{:02}T{:02}:00:00.000Z", 1 + hour / 24 / 28, 1 + hour / 24 % 28, hour % 24);
        let observation = serde_json::json!({
            "resourceType": "Observation",
            "id": format!("rate-{number}"),
            "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/heartrate"]},
            "identifier": [{"system": "https://monitors.example/readings", "value": format!("reading-{number:012}")}],
            "status": "final",
            "category": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                "code": "vital-signs", "display": "Vital Signs"}], "text": "Vital Signs"}],
            "code": {"coding": [{
                "system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}], "text": "Heart rate"},
            "subject": {"reference": format!("Patient/patient-{patient}")},
            "effectiveDateTime": when,
            "performer": [{"display": "Bedside monitor of the intensive care unit"}],
            "device": {"display": "Monitor 7, channel 2"},
            "valueQuantity": {
                "value": 50 + number % 60, "unit": "beats/minute", "system": "http://unitsofmeasure.org",
                "code": "/min"},
        });
        writeln!(text, "{observation}").expect("a string takes text");
    }
    text
}
