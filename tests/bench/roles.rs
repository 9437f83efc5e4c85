//! What `SET ROLE` costs with many roles: it moves a connection from one tenant to another, and a login role that is
//! a member of 5,000 roles pays for that (DESIGN section 4 has at most 1,000 for each login).

use std::fmt::Write as _;

use crate::{
    postgres::{As, Postgres},
    table::{Limit, Samples, Table},
};

/// Memberships of one login role.
const SIZES: [usize; 2] = [1_000, 5_000];
/// Connections that are measured.
const CONNECTIONS: usize = 7;
/// Moves on each after the first.
const LATER: usize = 200;
/// In the database of a temporary folder, for as long as the bench runs.
const PASSWORD: &str = "bench";

/// Runs it.
pub fn run(postgres: &Postgres, table: &mut Table) {
    for size in SIZES {
        make(postgres, size);
        let limit = 1e3 / postgres.select_only(1);
        let limit = Limit::Measured(limit, "pgbench -S, one client, a select");
        let (mut first, mut later, mut again) = (Samples::default(), Samples::default(), Samples::default());
        for connection in 0..CONNECTIONS {
            let login = format!("bench_login_{size}");
            let times = postgres.timed(&As::Login(&login, PASSWORD), &script(postgres, size, connection));
            assert_eq!(times.len(), LATER + 2, "each move was measured");
            first.add(times[0]);
            times[1..=LATER].iter().for_each(|took| later.add(*took));
            again.add(times[LATER + 1]);
        }
        table.row(&format!("SET ROLE, {size} roles, first of a connection"), first.median(), "ms", &limit);
        table.row(&format!("SET ROLE, {size} roles, later ones"), later.median(), "ms", &limit);
        table.row(&format!("SET ROLE, {size} roles, first after a role is made"), again.median(), "ms", &limit);
    }
}

/// Makes a login role and its roles, as tenants' roles are made.
fn make(postgres: &Postgres, size: usize) {
    postgres.psql(
        &As::Admin,
        &format!(
            "CREATE ROLE bench_login_{size} LOGIN NOINHERIT PASSWORD '{PASSWORD}';
             DO $$ BEGIN
                 FOR number IN 1..{size} LOOP
                     EXECUTE format('CREATE ROLE bench_{size}_%s LOGIN', number);
                     EXECUTE format('GRANT bench_{size}_%s TO bench_login_{size}', number);
                 END LOOP;
             END $$;"
        ),
    );
}

fn script(postgres: &Postgres, size: usize, connection: usize) -> String {
    // A statement before the first, so that it does not pay for the connection's own start.
    let mut script = "SELECT 1;\n\\timing on\n".to_owned();
    for step in 0..=LATER {
        move_to(&mut script, size, (step * 7 + connection) % size);
    }
    script.push_str(&postgres.elsewhere(&format!("CREATE ROLE bench_other_{size}_{connection}")));
    move_to(&mut script, size, connection);
    script
}

fn move_to(script: &mut String, size: usize, number: usize) {
    writeln!(script, "SET ROLE bench_{size}_{};", number + 1).expect("a string takes text");
}
