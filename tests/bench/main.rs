//! What the server costs on this machine, beside what the machine itself can do: `cargo bench -p vitals-tests`.
//!
//! Every figure of ours stands beside a limit measured on the same PostgreSQL in the same minute, because a figure
//! from a busy machine with a shared disk says nothing alone. Nothing here fails for being slow.
//! Words after `--` choose parts: `cargo bench -p vitals-tests -- roles requests`; `--markdown` prints the table of the
//! requests once more, as the README has it. `VITALS` names a program that is built already; without it one is built.
//!
//! Needs `psql` and `pgbench`, which come with PostgreSQL's other programs, and `openssl` for the part `handshakes`.

mod audit_cost;
mod audit_search;
mod connection;
mod delegated;
mod handshakes;
mod limits;
mod neighbours;
mod postgres;
mod process;
mod program;
mod requests;
mod roles;
mod slow;
mod starting;
mod table;
mod tenants;
mod timing;
mod tokens;
mod trail;
mod ways;

use postgres::Postgres;
use program::{Folder, Program};
use table::Table;

/// The parts, in the order they run. The last makes thousands of roles in the database that the others use.
const PARTS: [&str; 15] = [
    "requests",
    "audit-cost",
    "handshakes",
    "ways",
    "limits",
    "neighbours",
    "delegated",
    "starting",
    "tenants",
    "timing",
    "slow",
    "trail",
    "audit-search",
    "tokens",
    "roles",
];

fn main() {
    // cargo adds options of its own, such as --bench.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|word| !PARTS.contains(&word.as_str())) {
        eprintln!("there is no part {unknown}: {}", PARTS.join(", "));
        std::process::exit(2);
    }
    let markdown = std::env::args().any(|argument| argument == "--markdown");
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    vitals_server::egress::install_tls_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");

    let program = Program::find();
    let folder = Folder::make();
    if is_wanted("requests") {
        requests::run(&program, &runtime, markdown);
    }
    if wanted == ["requests"] {
        return;
    }
    let mut table = Table::begin();
    if is_wanted("audit-cost") {
        audit_cost::run(&program, &runtime, &mut table);
        if wanted == ["audit-cost"] {
            table.end();
            return;
        }
    }
    if is_wanted("handshakes") {
        let own = Folder::make();
        runtime.block_on(handshakes::run(&program, &own, &mut table));
        if wanted == ["handshakes"] {
            table.end();
            return;
        }
    }
    if is_wanted("ways") {
        let own = Folder::make();
        runtime.block_on(ways::run(&program, &own, &mut table));
        if wanted == ["ways"] {
            table.end();
            return;
        }
    }
    if is_wanted("limits") {
        runtime.block_on(limits::run(&mut table));
        if wanted == ["limits"] {
            table.end();
            return;
        }
    }
    if is_wanted("neighbours") {
        runtime.block_on(neighbours::run(&program, &mut table));
        if wanted == ["neighbours"] {
            table.end();
            return;
        }
    }
    if is_wanted("delegated") {
        let own = Folder::make();
        runtime.block_on(delegated::run(&program, &own, &mut table));
        if wanted == ["delegated"] {
            table.end();
            return;
        }
    }
    if is_wanted("starting") {
        starting::run(&program, &folder, &mut table);
    }
    let server = program.start(&folder, "serve");
    let postgres = runtime.block_on(Postgres::join(&folder));
    postgres.prepare();
    if is_wanted("tenants") {
        runtime.block_on(tenants::run(&program, &folder, &server, &postgres, &mut table));
    }
    if is_wanted("timing") {
        runtime.block_on(timing::run(&program, &folder, &server, &mut table));
    }
    if is_wanted("slow") {
        runtime.block_on(slow::run(&program, &folder, &server, &mut table));
    }
    if is_wanted("trail") {
        runtime.block_on(trail::run(&folder, &postgres, &mut table));
    }
    if is_wanted("audit-search") {
        runtime.block_on(audit_search::run(&folder, &postgres, &mut table));
    }
    if is_wanted("tokens") {
        runtime.block_on(tokens::run(&program, &folder, &server, &mut table));
    }
    if is_wanted("roles") {
        roles::run(&postgres, &mut table);
    }
    // In this order: the last one out stops the database.
    runtime.block_on(postgres.leave());
    server.stop();
    table.end();
}
