//! Imports that are broken off, in whatever way, and go on (FAULTS.md E03): each line once, and progress true.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use vitals_tests::{
    Chance, Program, examples,
    program::{self, Process, Ran, STOPS_WITHIN, Shared},
    samples,
    sql::Session,
};

use super::{bundle, errors, packed, tenant, told};
use crate::commands::members;

/// How often the process is killed at most.
const KILLS: usize = 8;
/// Lines of the two files: nine batches and five.
const LINES: [usize; 2] = [9_000, 5_000];
/// How long the end of an import may take on a busy machine.
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// A tenant, and a look behind it.
struct Place {
    program: &'static Program,
    tenant: String,
    role: String,
    session: Session,
}

impl Place {
    async fn new() -> Self {
        let Shared { program, urls, .. } = program::shared().await;
        let tenant = tenant(program, "broken-off").await;
        let mut session = Session::open(&urls.app_admin().expect("admin"));
        let role = session.run(&format!("SELECT role FROM control.tenant WHERE name = '{tenant}'"));
        Self { program, tenant, role, session }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        self.program.file_of(&format!("{}-{name}", self.tenant), bytes)
    }

    fn line<'l>(&'l self, files: &'l [String], more: &[&'l str]) -> Vec<&'l str> {
        let mut line = vec!["--json", "import", "--tenant", &self.tenant];
        line.extend(more);
        line.extend(files.iter().map(String::as_str));
        line
    }

    /// Runs an import to its end.
    async fn run(&self, files: &[String], more: &[&str]) -> Ran {
        self.program.start(&self.line(files, more)).await.end(ENDS_WITHIN).await
    }

    fn sql(&mut self, statement: &str) -> String {
        self.session.run(&format!("SET search_path = {}; {statement}", self.role))
    }

    fn number(&mut self, statement: &str) -> usize {
        self.sql(statement).parse().expect("a number")
    }

    /// How many batches of the import are done.
    fn batches(&mut self) -> usize {
        self.number("SELECT count(*) FROM import_batch")
    }

    /// Starts an import and waits until so many batches are done; none if it ends before.
    async fn started(&mut self, files: &[String], batches: usize) -> Option<Process> {
        let mut process = self.program.start(&self.line(files, &[])).await;
        while process.is_running() {
            if self.batches() >= batches {
                return Some(process);
            }
            tokio::task::yield_now().await;
        }
        None
    }

    /// Waits until the server has moved on what the killed ones left in the outbox, and looks whether the trail holds.
    async fn audited(&mut self) -> Vec<Value> {
        let began = Instant::now();
        while self.number("SELECT count(*) FROM audit_outbox") > 0 {
            assert!(began.elapsed() < ENDS_WITHIN, "the outbox is not empty");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.program.run(&["audit", "verify"]).await.expect(0);
        let tail = ["audit", "tail", "--tenant", &self.tenant, "--lines", "10000", "--json"];
        let records: Vec<Value> = self.program.run(&tail).await.expect(0).json().as_array().expect("an array").clone();
        records.into_iter().filter(|record| record["origin"] == "job").collect()
    }
}

/// The text of one file: every second Observation has no id, one id comes again and again, some lines are broken, and some
/// are Bundles. Beside it what is to be refused.
fn text(file: usize) -> (String, Vec<String>) {
    let (mut text, mut refused) = (String::new(), Vec::new());
    for number in 1..=LINES[file] {
        let mut resource = samples::vital(&format!("o{file}-{number}"), "p1", samples::HEART_RATE, 60.0, "2026-03-01");
        match number {
            _ if number % 700 == 7 => {
                writeln!(text, "{{ broken").expect("memory");
                refused.push(format!("{number}: structure"));
                continue;
            }
            _ if number % 450 == 13 => {
                let mut about = resource.clone();
                about["subject"]["reference"] = "urn:uuid:1".into();
                about.as_object_mut().expect("an object").remove("id");
                let entries = [
                    json!({ "resource": { "resourceType": "Device" } }),
                    json!({ "resource": about }),
                    json!({ "fullUrl": "urn:uuid:1", "resource": { "resourceType": "Patient", "gender": "other" } }),
                ];
                resource = bundle("collection", &entries);
                refused.push(format!("{number} entry 0: not-supported"));
            }
            _ if number % 450 == 14 => {
                resource["id"] = "again".into();
                resource["valueQuantity"]["value"] = (100 * file + number / 450).into();
            }
            _ if number % 2 == 0 => {
                resource.as_object_mut().expect("an object").remove("id");
            }
            _ => {}
        }
        writeln!(text, "{resource}").expect("memory");
    }
    (text, refused)
}

#[tokio::test]
async fn killed_at_any_moment_it_loads_each_line_once_and_tells_each_error_once() {
    let mut place = Place::new().await;
    let ((first, mut refused), (second, more)) = (text(0), text(1));
    refused.extend(more);
    let files = [place.file("first.ndjson", first.as_bytes()), place.file("second.ndjson.gz", &packed(&second))];
    let all = LINES.iter().sum::<usize>();
    let bundles = refused.iter().filter(|told| told.contains("entry")).count();
    let again: usize = LINES.iter().map(|lines| (lines + 450 - 14) / 450).sum();
    let mut chance = Chance(3);

    let (mut kills, mut before) = (0, 0);
    for kill in 0..KILLS {
        // At first before anything is done, then wherever it is behind one batch more.
        let wanted = if kill == 0 { 0 } else { before + 1 };
        let Some(mut process) = place.started(&files, wanted).await else { break };
        tokio::time::sleep(Duration::from_millis(chance.below(60))).await;
        if !process.is_running() {
            break;
        }
        process.kill();
        kills += 1;
        let after = place.batches();
        assert!(after >= before, "{before} batches were done, and then {after}");
        before = after;
    }
    let ran = place.run(&files, &[]).await.expect(1);

    assert!(kills >= 2 && before > 0, "killed {kills} times, {before} batches done");
    assert!(ran.stderr.contains("goes on with the import of these files"), "{}", ran.stderr);
    let report = ran.json();
    assert_eq!(members(&report), ["errors_file", "loaded", "read", "refused"]);
    let read = all + 2 * bundles;
    let count = |name: &str| report[name].as_u64().and_then(|count| usize::try_from(count).ok()).expect("a number");
    assert_eq!((count("read"), count("refused")), (read, refused.len()), "{report}");
    assert_eq!(count("loaded"), read - refused.len());
    assert_eq!(told(&errors(&report)), refused);
    // Each once, and at version 1 but for the one that comes again.
    let observations = read - refused.len() - bundles - (again - 1);
    assert_eq!(place.number("SELECT count(*) FROM observation"), observations);
    assert_eq!(place.number("SELECT count(*) FROM patient"), bundles);
    assert_eq!(place.number("SELECT count(*) FROM observation WHERE version <> 1"), 1);
    assert_eq!(place.number("SELECT count(*) FROM patient WHERE version <> 1"), 0);
    let last = place.sql("SELECT version || ' ' || q_low FROM observation WHERE id = 'again'");
    assert_eq!(last, format!("{again} {}", 100 + LINES[1] / 450));
    assert_eq!(place.number("SELECT count(*) FROM observation_history"), again - 1);
    // Nothing is left of how far it was, and each write is in the trail once.
    assert_eq!(place.number("SELECT count(*) FROM import"), 0);
    let jobs = format!("SELECT count(*) FROM control.job WHERE finished IS NULL AND tenant = '{}'", place.role);
    assert_eq!(place.number(&jobs), 0);
    let mut written: BTreeMap<String, usize> = BTreeMap::new();
    for record in place.audited().await {
        for entry in record["entries"].as_array().expect("entries") {
            *written.entry(format!("{}/{}", entry["type"], entry["id"])).or_default() += 1;
        }
    }
    assert_eq!(written.remove("\"Observation\"/\"again\""), Some(again));
    assert_eq!((written.len(), written.values().max()), (observations - 1 + bundles, Some(&1)));
}

#[tokio::test]
async fn real_data_killed_in_the_middle_goes_on_and_is_loaded_once() {
    let Some(files) = examples::files() else {
        println!("not run: 1 case, it needs the files of VITALS_TEST_DATA");
        return;
    };
    let lines: usize = files.iter().map(|(_, _, text)| text.lines().count()).sum();
    let files: Vec<String> = files.iter().map(|(path, ..)| path.display().to_string()).collect();
    let refused = examples::refused().len();
    let mut place = Place::new().await;

    let mut process = place.started(&files, 1).await.expect("it goes on behind its first batch");
    process.kill();
    let (between, batches) = (place.number("SELECT count(*) FROM observation"), place.batches());
    let ran = place.run(&files, &[]).await.expect(1);

    let report = ran.json();
    assert!(batches > 0, "{batches}");
    assert!(ran.stderr.contains("goes on with"), "{}", ran.stderr);
    let count = |name: &str| report[name].as_u64().and_then(|count| usize::try_from(count).ok());
    assert_eq!(["read", "loaded", "refused"].map(count), [lines, lines - refused, refused].map(Some), "{report}");
    assert_eq!(errors(&report).len(), refused);
    let ids = "SELECT (SELECT count(*) FROM observation) + (SELECT count(*) FROM patient)";
    let stand = place.number(ids);
    assert!(between < stand && stand <= lines, "{between}, then {stand} of {lines}");
    // It has ended: the same command loads the same again, and nothing doubles.
    let again = place.run(&files, &[]).await.expect(1);
    assert_eq!(again.json()["loaded"], report["loaded"]);
    assert!(!again.stderr.contains("goes on with"), "{}", again.stderr);
    assert_eq!(place.number(ids), stand);
    place.audited().await;
}

#[tokio::test]
async fn restart_begins_anew_and_changed_files_do_too_and_neither_doubles() {
    let mut place = Place::new().await;
    let files = [place.file("first.ndjson", text(1).0.as_bytes())];
    let broken_off = async |place: &mut Place| {
        let batches = place.batches() + 1;
        place.started(&files, batches).await.expect("it goes on").kill();
        place.sql("SELECT id FROM import")
    };

    let first = broken_off(&mut place).await;
    let restarted = place.run(&files, &["--restart"]).await.expect(1);
    let stand = place.number("SELECT count(*) FROM observation");
    broken_off_of_other(&mut place, &files, &first).await;
    std::fs::write(&files[0], text(1).0 + "\n").expect("the file can be written");
    let changed = place.run(&files, &[]).await.expect(1);

    assert!(!restarted.stderr.contains("goes on"), "{}", restarted.stderr);
    assert!(changed.stderr.contains("they have changed since: it begins anew"), "{}", changed.stderr);
    assert_eq!(restarted.json()["read"], changed.json()["read"]);
    // What has no id is another resource in another file; what has one is not.
    let unnamed = place.number("SELECT count(*) FROM observation WHERE id LIKE '%-8%-%'");
    let after = place.number("SELECT count(*) FROM observation");
    assert!(after > stand && after - stand <= unnamed, "{stand}, then {after}, of which {unnamed} have no name");
    assert_eq!(place.number("SELECT count(*) FROM observation WHERE id LIKE 'o1-%' AND version <> 1"), 0);
    assert_eq!(place.number("SELECT count(*) FROM import"), 0);
}

/// Breaks an import off, and sees that it is another one than this.
async fn broken_off_of_other(place: &mut Place, files: &[String], first: &str) {
    place.started(files, 1).await.expect("it goes on").kill();
    let other = place.sql("SELECT id FROM import");
    assert!(!other.is_empty() && other != first, "{other}");
}

#[tokio::test]
async fn asked_to_stop_it_stops_behind_a_batch_and_goes_on_later_and_two_at_a_time_are_refused() {
    let mut place = Place::new().await;
    let files = [place.file("first.ndjson", text(0).0.as_bytes())];

    let process = place.started(&files, 1).await.expect("it goes on");
    process.pause();
    let second = place.run(&files, &[]).await;
    process.terminate();
    process.go_on();
    let stopped = process.end(ENDS_WITHIN).await;
    let ended = place.run(&files, &[]).await.expect(1);

    second.expect_sentence(1, "another process is importing these files into this tenant");
    stopped.expect_sentence(1, "the same command goes on from there");
    assert!(ended.stderr.contains("goes on with the import"), "{}", ended.stderr);
    assert_eq!(errors(&ended.json()).len(), text(0).1.len());
    assert_eq!(place.number("SELECT count(*) FROM observation WHERE id LIKE 'o0-%' AND version <> 1"), 0);
}

#[tokio::test]
async fn asked_to_stop_it_does_not_wait_for_a_pipe_that_says_nothing() {
    let mut place = Place::new().await;

    let (mut process, input) = place.program.start_with(&["import", "--tenant", &place.tenant, "-"]).await;
    while place.number("SELECT count(*) FROM import") == 0 {
        assert!(process.is_running(), "{}", process.stderr());
    }
    process.interrupt();
    let stopped = process.end(STOPS_WITHIN).await.expect(1);
    drop(input);

    assert!(stopped.stderr.contains("stopped after 0 resources"), "{}", stopped.stderr);
}
