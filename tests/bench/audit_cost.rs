//! What the trail costs a read by id: the server as it is, with records committed and with records on disk before the
//! answer, beside a build of the same source that leaves none. Three rounds in turn on one database, because the
//! neighbours of a shared machine come and go.

use std::{path::Path, sync::Arc};

use tokio::runtime::Runtime;

use crate::{
    connection::{Connection, request},
    program::{Folder, Program},
    requests::{
        data,
        drive::{Load, drive},
    },
    table::{Limit, Samples, Table},
};

const TENANT: &str = "trail";
/// Observations that are read, in turn.
const OBSERVATIONS: u32 = 2_000;
/// Entries of a Bundle that loads them.
const ENTRIES: u32 = 500;
const CONNECTIONS: u16 = 32;
const ROUNDS: u32 = 3;
/// What the project asks of itself: three quarters of what goes without a trail.
const KEPT: f64 = 0.75;

/// One of the three, over all rounds.
struct Way<'p> {
    what: &'static str,
    program: &'p Program,
    options: &'static [&'static str],
    rate: f64,
    /// Processor time for each answer, of the server and of the database, in microseconds.
    time: f64,
    latencies: Samples,
}

/// Runs the part.
pub fn run(program: &Program, runtime: &Runtime, table: &mut Table) {
    let (bare, folder) = (Program::without_audit(), Folder::make());
    let way =
        |what, program, options| Way { what, program, options, rate: 0.0, time: 0.0, latencies: Samples::default() };
    let mut ways = [
        way("no trail (a build for this alone)", &bare, &[]),
        way("prompt: committed before the answer", program, &["--audit-durability", "prompt"]),
        way("strict: on disk before the answer", program, &["--audit-durability", "strict"]),
    ];
    let addresses = prepare(program, &folder, runtime);
    for _ in 0..ROUNDS {
        for way in &mut ways {
            let server = way.program.start_with(&folder, "serve", way.options);
            let token = token(program, &folder);
            let requests: Vec<_> = addresses.iter().map(|address| request("GET", address, &token, None)).collect();
            let (address, process) = (server.public, server.process());
            let load = Load { address, process, requests: Arc::new(requests), good: 200 };
            let driven = runtime.block_on(drive(&load, CONNECTIONS, Path::new(folder.path())));
            assert_eq!(driven.bad, 0, "{} of the answers were {}", driven.bad, driven.status);
            way.rate += driven.rate / f64::from(ROUNDS);
            way.time += (driven.server + driven.database).as_secs_f64() * 1e6 / f64::from(ROUNDS);
            way.latencies.append(driven.latencies);
            server.stop();
        }
    }
    let [without, with @ ..] = ways;
    let p50 = without.latencies.median();
    table.row(&format!("read by id, 32 at once, {}", without.what), without.rate, "/s", &Limit::None);
    for way in with {
        let limit = Limit::Measured(without.rate, "no trail");
        table.row(&format!("read by id, {}", way.what), way.rate, "/s", &limit);
        table.row("the same, its part of what goes without", way.rate / without.rate, "", &Limit::Asked(KEPT));
        table.row("the same, processor time each", way.time, "us", &Limit::Measured(without.time, "no trail"));
        table.row("the same, p50", way.latencies.median(), "ms", &Limit::Measured(p50, "no trail"));
    }
}

/// A token for the server that runs: its address is part of it.
fn token(program: &Program, folder: &Folder) -> String {
    format!("Bearer {}", program.run(folder, &["token", "--tenant", TENANT, "--scope", "system/*.cruds"]).1)
}

/// A tenant with Observations, and where these are.
fn prepare(program: &Program, folder: &Folder, runtime: &Runtime) -> Vec<String> {
    let server = program.start(folder, "serve");
    program.run(folder, &["tenant", "create", TENANT]);
    let token = token(program, folder);
    let addresses = runtime.block_on(async {
        let mut connection = Connection::open(server.public).await;
        let (base, mut addresses) = (format!("/t/{TENANT}/fhir"), Vec::new());
        for number in 0..OBSERVATIONS / ENTRIES {
            let bundle = data::transaction(number * ENTRIES, ENTRIES, &data::patient_id);
            let answer = connection.ask(&request("POST", &base, &token, Some(&bundle))).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let answer: serde_json::Value = serde_json::from_str(&answer.body).expect("a Bundle");
            addresses.extend(answer["entry"].as_array().into_iter().flatten().filter_map(|entry| {
                let (path, _) = entry["response"]["location"].as_str()?.split_once("/_history")?;
                Some(path.split_once("/t/").map_or_else(|| format!("{base}/{path}"), |(_, path)| format!("/t/{path}")))
            }));
        }
        addresses
    });
    assert_eq!(addresses.len(), OBSERVATIONS as usize, "every Observation was created");
    server.stop();
    addresses
}
