//! What a request costs with everything on (token, scopes, validation, isolation, audit) over 100,000 vital signs of
//! 200 patients, beside `pgbench` on the same rows: the very statements that the server sends, with as many clients,
//! before and after it, because the neighbours of a shared machine come and go.

pub mod data;
pub mod drive;
mod load;
mod report;
pub mod statement;

use std::{cell::Cell, sync::Arc, time::Duration};

use tokio::runtime::Runtime;

use self::{
    drive::{Driven, Load, drive},
    report::{Reach, Report},
    statement::{Log, Script, Sent},
};
use crate::{
    connection::{Connection, request},
    postgres::{As, Postgres, Rate},
    program::{Folder, Program, Serving},
};

/// The tenant that requests go to.
const TENANT: &str = "bench";
/// Connections at once: of single requests, and of Bundles.
const MANY: u16 = 32;
const BUNDLES: u16 = 8;
/// Entries of a Bundle.
const ENTRIES: u32 = 100;
/// Different requests that are made beforehand, and different Bundles.
const VARIETY: u32 = 2_000;
const DIFFERENT_BUNDLES: u32 = 64;
/// From ready to idle: what the start allocated for itself is given back.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// Where everything is.
struct Place<'p> {
    program: &'p Program,
    folder: &'p Folder,
    postgres: &'p Postgres,
    /// The next number that pgbench makes ids from.
    numbers: Cell<u64>,
}

/// A case: what is asked of the server, and what pgbench does instead.
struct Case {
    what: &'static str,
    load: Load,
    script: Script,
    reach: Reach,
    /// Connections at once, beside one.
    many: u16,
    /// Resources that a good answer adds.
    adds: u32,
}

/// Runs it, on a database of its own.
pub fn run(program: &Program, runtime: &Runtime, markdown: bool) {
    let folder = Folder::make();
    drop(program.start(&folder, "serve"));
    let postgres = runtime.block_on(Postgres::join(&folder));
    let place = Place { program, folder: &folder, postgres: &postgres, numbers: Cell::new(0) };
    let server = program.start(&folder, "serve");
    std::thread::sleep(SETTLED_AFTER);

    let mut report = Report::begin();
    report.figure("memory, idle", server.memory(), None, " MB", Reach::Most(60.0));
    runtime.block_on(load::by_bundles(&place, &server, &mut report));
    load::by_import(&place, &mut report);
    server.stop();

    // What the server sends is looked at first, with a server of its own: sessions that log do not measure.
    let log = Log::open(&postgres, folder.path());
    let server = program.start(&folder, "serve");
    let scripts = runtime.block_on(scripts(&place, &server, log));
    server.stop();

    let server = program.start(&folder, "serve");
    let role = place.role(TENANT);
    postgres.psql(&As::Admin, &format!("VACUUM ANALYZE {role}.observation; CHECKPOINT;"));
    for case in place.cases(&server, scripts) {
        for connections in [1, case.many] {
            place.measure(runtime, &case, connections, &role, &mut report);
        }
    }
    report.figure("memory after all this", server.memory(), None, " MB", Reach::None);
    report.end(&postgres, markdown);
    // In this order: the last one out stops the database.
    runtime.block_on(postgres.leave());
    server.stop();
}

/// The addresses of the two reading cases, of one patient or Observation by its number.
fn read_of(number: u32) -> String {
    format!("/t/{TENANT}/fhir/Observation/{}", data::FIRST_OBSERVATION + u64::from(number % data::OBSERVATIONS))
}

fn search_of(number: u32) -> String {
    let patient = data::patient_id(number % data::PATIENTS);
    let (half, code) = (data::HALF, "http://loinc.org|8867-4");
    format!("/t/{TENANT}/fhir/Observation?patient={patient}&code={code}&date=ge{half}&_count=50")
}

/// What the server sends for each case, as scripts of pgbench: read, search, create, Bundle.
async fn scripts(place: &Place<'_>, server: &Serving, mut log: Log<'_>) -> [Script; 4] {
    let token = place.token();
    let mut connection = Connection::open(server.public).await;
    let mut seen = Vec::new();
    let base = format!("/t/{TENANT}/fhir");
    let observation = data::observation(0).to_string();
    let bundle = data::transaction(0, ENTRIES, &data::patient_id);
    for (asked, status) in [
        (request("GET", &read_of(0), &token, None), 200),
        (request("GET", &search_of(0), &token, None), 200),
        (request("POST", &format!("{base}/Observation"), &token, Some(&observation)), 201),
        (request("POST", &base, &token, Some(&bundle)), 200),
    ] {
        log.skip();
        let answer = connection.ask(&asked).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        let sent = log.sent();
        assert!(!sent.is_empty(), "the log holds what was sent for a request");
        seen.push((sent, answer.body));
    }
    log.close();
    let [read, search, create, bundle] = seen.try_into().expect("four cases");
    assert_eq!(search.1.matches("\"fullUrl\"").count(), 50, "the page is full");

    let any_of = |sent: &[Sent], first: u64, count: u32| {
        let script = Script::of(sent, |value| (value == first.to_string()).then(|| ":id".to_owned()));
        assert!(script.text.contains(":id"), "what is asked for is bound");
        script.within(&format!("\\set id {first} + random(0, {})\n", count - 1), "")
    };
    let read = any_of(&read.0, data::FIRST_OBSERVATION, data::OBSERVATIONS);
    let search = any_of(&search.0, data::FIRST_PATIENT, data::PATIENTS);
    // Ids ascend with time, as the server's do. Those of records begin with f, so that no outbox's sweep takes them for
    // old ones.
    let numbered = "\\set n :n + 1\n\\set id 1000000000000000000 + (:n * 64 + :client_id) * 128\n";
    let is_uuid = |value: &str| value.len() == 36 && value.matches('-').count() == 4;
    let record = || "lpad(:id, 32, 'f')::uuid".to_owned();
    let created = serde_json::from_str::<serde_json::Value>(&create.1).expect("a resource");
    let created = created["id"].as_str().expect("with an id").to_owned();
    let create = Script::of(&create.0, |value| match value {
        value if value == created => Some(":id".to_owned()),
        value => is_uuid(value).then(record),
    })
    .within(numbered, "");
    let bundle = Script::of(&bundle.0, |value| match value {
        value if is_uuid(value) => Some(record()),
        value => {
            let ids: Vec<&str> = value.trim_matches(['{', '}']).split(',').collect();
            let of_bundle = ids.len() == ENTRIES as usize && ids.iter().all(|id| is_uuid(id));
            of_bundle.then(|| format!("ARRAY(SELECT (:id::bigint + g)::text FROM generate_series(1, {ENTRIES}) g)"))
        }
    })
    .within(&format!("{numbered}BEGIN;\n"), "COMMIT;\n");
    [read, search, create, bundle]
}

impl Place<'_> {
    fn role(&self, tenant: &str) -> String {
        self.postgres
            .psql(&As::Admin, &format!("SELECT role FROM control.tenant WHERE name = '{tenant}';"))
            .trim()
            .to_owned()
    }

    fn token(&self) -> String {
        let (_, token) = self.program.run(self.folder, &["token", "--tenant", TENANT, "--scope", "system/*.cruds"]);
        format!("Bearer {token}")
    }

    fn cases(&self, server: &Serving, scripts: [Script; 4]) -> [Case; 4] {
        let token = self.token();
        let base = format!("/t/{TENANT}/fhir");
        let load = |requests, good| Load {
            address: server.public,
            process: server.process(),
            requests: Arc::new(requests),
            good,
        };
        // A step without a common divisor with the number of rows, so that neighbours are far apart.
        let gets = |path: fn(u32) -> String| {
            let requests = (0..VARIETY).map(|number| request("GET", &path(number * 7_919), &token, None));
            load(requests.collect(), 200)
        };
        let creates = (0..VARIETY).map(|number| {
            let body = data::observation(number * 7_919 % data::OBSERVATIONS).to_string();
            request("POST", &format!("{base}/Observation"), &token, Some(&body))
        });
        let bundles = (0..DIFFERENT_BUNDLES)
            .map(|number| request("POST", &base, &token, Some(&data::transaction(number, ENTRIES, &data::patient_id))));
        let [read, search, create, bundle] = scripts;
        let case = |what, load, script, reach, many, adds| Case { what, load, script, reach, many, adds };
        [
            case("read by id", gets(read_of), read, Reach::Ratio(0.20), MANY, 0),
            case("search of 50", gets(search_of), search, Reach::Ratio(0.30), MANY, 0),
            case("create", load(creates.collect(), 201), create, Reach::Ratio(0.40), MANY, 1),
            case("Bundle of 100", load(bundles.collect(), 200), bundle, Reach::Ratio(0.35), BUNDLES, ENTRIES),
        ]
    }

    fn measure(&self, runtime: &Runtime, case: &Case, connections: u16, role: &str, report: &mut Report) {
        let before = self.alone(case, connections, role);
        let rows = self.rows(role);
        let driven = runtime.block_on(drive(&case.load, connections, self.folder.path()));
        let added = self.rows(role) - rows;
        let after = self.alone(case, connections, role);
        let fault = fault(case, &driven, added);
        let many = connections == case.many;
        let what = format!("{}, {connections} connection{}", case.what, if connections == 1 { "" } else { "s" });
        let reach = if many { case.reach } else { Reach::None };
        report.case(&what, &driven, &[before, after], reach, fault.as_deref());
    }

    /// pgbench, and away with the records that nobody waits for.
    fn alone(&self, case: &Case, clients: u16, role: &str) -> Rate {
        let mut script = case.script.clone();
        self.numbers.set(self.numbers.get() + 10_000_000);
        script.variables.push(("n".to_owned(), self.numbers.get().to_string()));
        let rate = self.postgres.script(&As::Tenant(role), clients, self.folder, &script);
        if case.adds > 0 {
            let since = "ffffffff-0000-0000-0000-000000000000";
            self.postgres.psql(
                &As::Admin,
                &format!("DELETE FROM {role}.audit_outbox WHERE id >= '{since}'; VACUUM {role}.audit_outbox;"),
            );
        }
        rate
    }

    fn rows(&self, role: &str) -> u64 {
        let count = self.postgres.psql(&As::Admin, &format!("SELECT count(*) FROM {role}.observation;"));
        count.trim().parse().expect("a number")
    }
}

/// What makes a figure worth nothing: an answer that was not good, or a row that is missing.
fn fault(case: &Case, driven: &Driven, added: u64) -> Option<String> {
    let promised = u64::from(driven.good) * u64::from(case.adds);
    match (driven.bad, added == promised) {
        (0, true) => None,
        (0, false) => Some(format!("{promised} rows were promised and {added} were added")),
        (bad, _) => Some(format!("{bad} answers were not good, {} among them", driven.status)),
    }
}
