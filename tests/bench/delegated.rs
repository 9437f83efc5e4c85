//! What a grant costs: a read at the base of a tenant that granted it beside the same read by that tenant's own token,
//! and a search over ten tenants beside the same search of one. The two of each pair take turns, so that what the
//! neighbours of a shared machine do is done to both.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use crate::{
    connection::{Connection, request},
    program::{Folder, Program},
    requests::data,
    table::{Limit, Samples, Table},
};

/// How long each pair is measured, after a tenth of it to warm up.
const MEASURED: Duration = Duration::from_secs(8);
/// Tenants that grant something, and how many Observations each has.
const GRANTORS: usize = 10;
const OBSERVATIONS: u32 = 5_000;
const PLATFORM: &str = "platform";
const SCOPE: &str = "vitals:read";
/// A page of the latest heart rates.
const SEARCH: &str = "Observation?code=http://loinc.org|8867-4&_sort=-date&_count=50";

/// Runs the part, on a database of its own.
pub async fn run(program: &Program, folder: &Folder, table: &mut Table) {
    let server = program.start(folder, "serve");
    program.run(folder, &["tenant", "create", PLATFORM]);
    for number in 0..GRANTORS {
        grantor(program, folder, number);
    }
    let own = bearer(program, folder, &["--tenant", &name(0), "--scope", SCOPE]);
    let delegated = bearer(program, folder, &["--tenant", PLATFORM, "--scope", "", "--delegated"]);
    let mut connection = Connection::open(server.public).await;

    let reads = |authorization: &str| -> Vec<Vec<u8>> {
        let path = |number: u32| format!("/t/{}/fhir/Observation/{}", name(0), id(0, number * 61 % OBSERVATIONS));
        (0..1_000).map(|number| request("GET", &path(number), authorization, None)).collect()
    };
    let [alone, granted] = pair(&mut connection, [reads(&own), reads(&delegated)]).await;
    table.row("read by id under a grant, p50", granted, "ms", &Limit::Measured(alone, "own token"));
    table.row("the same ratio beside what is asked for", granted / alone, "x", &Limit::Asked(1.2));

    let one = vec![request("GET", &format!("/t/{}/fhir/{SEARCH}", name(0)), &own, None)];
    let all = vec![request("GET", &format!("/t/{PLATFORM}/delegated/fhir/{SEARCH}"), &delegated, None)];
    let page = connection.ask(&all[0]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.body.matches("\"mode\":\"match\"").count(), 50, "the page is full");
    let [alone, over_all] = pair(&mut connection, [one, all]).await;
    table.row("search of 50 over 10 tenants, p50", over_all, "ms", &Limit::Measured(alone, "one tenant"));
    table.row("the same ratio beside what is asked for", over_all / alone, "x", &Limit::Asked(2.5));
    server.stop();
}

fn name(number: usize) -> String {
    format!("grantor-{number}")
}

fn id(tenant: usize, number: u32) -> String {
    format!("o-{tenant}-{number}")
}

/// A tenant with data that lets the platform read its vital signs.
fn grantor(program: &Program, folder: &Folder, number: usize) {
    let tenant = name(number);
    program.run(folder, &["tenant", "create", &tenant]);
    let mut text = String::new();
    for place in 0..OBSERVATIONS {
        let mut observation = data::observation(place);
        observation["id"] = id(number, place).into();
        writeln!(text, "{observation}").expect("a string takes text");
    }
    let file = folder.path().join(format!("{tenant}.ndjson"));
    std::fs::write(&file, text).expect("a file can be written");
    program.run(folder, &["import", "--tenant", &tenant, &file.display().to_string()]);
    let grant = ["grant", "create", "--from", &tenant, "--to", PLATFORM, "--scope", SCOPE];
    program.run(folder, &[&grant[..], &["--purpose", "HRESCH", "--expires", "1d"]].concat());
}

fn bearer(program: &Program, folder: &Folder, arguments: &[&str]) -> String {
    format!("Bearer {}", program.run(folder, &[&["token"][..], arguments].concat()).1)
}

/// The middle of what two kinds of requests take that take turns.
async fn pair(connection: &mut Connection, kinds: [Vec<Vec<u8>>; 2]) -> [f64; 2] {
    let (began, mut samples) = (Instant::now(), [Samples::default(), Samples::default()]);
    let mut turn = 0;
    while began.elapsed() < MEASURED {
        for (kind, samples) in kinds.iter().zip(&mut samples) {
            let sent = Instant::now();
            let (status, _) = connection.exchange(&kind[turn % kind.len()]).await;
            assert_eq!(status, 200);
            if began.elapsed() > MEASURED / 10 {
                samples.add(sent.elapsed());
            }
        }
        turn += 1;
    }
    samples.map(|samples| samples.median())
}
