//! Making tenants, and migrations that have nothing to do.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    connection::{Connection, request},
    postgres::{As, Postgres},
    program::{Folder, Program, Serving},
    table::{Limit, Samples, Table},
};

/// Tenants that are made each way.
const TENANTS: usize = 50;
/// How often the bare statements are run.
const BARE: usize = 20;
/// Runs of the migrations.
const RUNS: usize = 5;

/// Runs it.
pub async fn run(program: &Program, folder: &Folder, server: &Serving, postgres: &Postgres, table: &mut Table) {
    let bare = bare(postgres);
    let limit = Limit::Measured(bare.median(), "its tables by psql, one transaction");
    let by_operator = by_operator(folder, server).await;
    let by_command = by_command(program, folder);
    for (who, samples) in [("operator listener", &by_operator), ("command line", &by_command)] {
        let (median, slow) = (samples.median(), samples.percentile(95));
        table.row(&format!("tenant create, {who}, median of {TENANTS}"), median, "ms", &limit);
        table.row(&format!("tenant create, {who}, 95th of 100"), slow, "ms", &Limit::Asked(300.0));
    }

    let (_, status) = program.run(folder, &["--json", "migrate", "status"]);
    let tenants = status.matches("\"state\":\"current\"").count();
    for (command, asked) in [("up", Limit::Asked(2.0)), ("status", Limit::None)] {
        let mut runs = Samples::default();
        for _ in 0..RUNS {
            runs.add(program.run(folder, &["--json", "migrate", command]).0);
        }
        let what = format!("migrate {command}, nothing to do, {tenants} tenants");
        table.row(&what, runs.median() / 1e3, "s", &asked);
    }
}

async fn by_operator(folder: &Folder, server: &Serving) -> Samples {
    let token = std::fs::read_to_string(folder.path().join("operator.token")).expect("serve makes the token");
    let authorization = format!("Bearer {}", token.trim());
    let mut connection = Connection::open(server.operator).await;
    let mut samples = Samples::default();
    for number in 0..TENANTS {
        let body = format!("{{\"id\":\"operator-{number}\"}}");
        // The host must be the listener's own there.
        let asked = request("POST", "/operator/tenants", &authorization, Some(&body));
        let asked = String::from_utf8_lossy(&asked).replacen("host: bench", &format!("host: {}", server.operator), 1);
        let began = Instant::now();
        let answer = connection.ask(asked.as_bytes()).await;
        samples.add(began.elapsed());
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    samples
}

fn by_command(program: &Program, folder: &Folder) -> Samples {
    let mut samples = Samples::default();
    for number in 0..TENANTS {
        samples.add(program.run(folder, &["tenant", "create", &format!("command-{number}")]).0);
    }
    samples
}

/// The tables of a tenant without registry, keys, ledger and change log.
fn bare(postgres: &Postgres) -> Samples {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/tenant");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the migrations lie beside us")
        .map(|entry| entry.expect("a folder's entry is readable").path())
        .collect();
    files.sort();
    let statements: String =
        files.iter().map(|file| std::fs::read_to_string(file).expect("a migration is readable")).collect();
    let mut samples = Samples::default();
    for number in 0..BARE {
        let role = format!("bench_bare_{number}");
        let script = format!(
            "CREATE ROLE {role};\n\\timing on\nBEGIN;\nCREATE SCHEMA {role};\nSET LOCAL search_path = {role};\n{}\n\
             COMMIT;\n\\timing off\nDROP SCHEMA {role} CASCADE;\nDROP ROLE {role};\n",
            statements.replace(":tenant", "1").replace(":role", &role)
        );
        samples.add(postgres.timed(&As::Admin, &quiet(&script)).into_iter().sum::<Duration>());
    }
    samples
}

/// DROP … CASCADE lists what it drops as a notice, to nobody's use.
fn quiet(script: &str) -> String {
    format!("SET client_min_messages = warning;\n{script}")
}
