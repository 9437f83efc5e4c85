//! From nothing to serving, and what it takes to stand there.

use std::time::Duration;

use crate::{
    program::{Folder, Program},
    table::{Limit, Samples, Table},
};

/// Starts on an existing directory.
const STARTS: usize = 7;
/// From ready to idle: what the start allocated for itself is given back.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// Runs the demo in the empty folder, then the server on what it left.
pub fn run(program: &Program, folder: &Folder, table: &mut Table) {
    let demo = program.start(folder, "demo");
    let seconds = demo.ready_after.as_secs_f64();
    table.row("demo, from an empty directory to ready", seconds, "s", &Limit::Asked(20.0));
    std::thread::sleep(SETTLED_AFTER);
    table.row("memory of demo, after it loaded its data", demo.memory(), "MB", &Limit::Asked(60.0));
    demo.stop();

    let mut starts = Samples::default();
    for _ in 0..STARTS {
        let server = program.start(folder, "serve");
        starts.add(server.ready_after);
        server.stop();
    }
    let seconds = starts.median() / 1e3;
    table.row("serve, on an existing directory to ready", seconds, "s", &Limit::Asked(1.5));
    let server = program.start(folder, "serve");
    std::thread::sleep(SETTLED_AFTER);
    table.row("memory of serve, idle", server.memory(), "MB", &Limit::Asked(60.0));
    server.stop();
}
