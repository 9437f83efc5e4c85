//! The release binary, as a person runs it: on a directory of its own, with nothing from the environment.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::process;

/// How long a stop may take before it is given up.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A data directory, gone when this is dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one that PostgreSQL's own user can pass through.
    pub fn make() -> Self {
        let path = std::env::temp_dir().join(format!("vitals-bench-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).expect("its mode can be set");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left running where a bench ended in a panic.
        if let Ok(text) = fs::read_to_string(self.0.join("postgres/postmaster.pid"))
            && let Some(process) = text.lines().next()
        {
            signal("QUIT", process);
            std::thread::sleep(Duration::from_secs(1));
        }
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left over: {error}", self.0.display());
        }
    }
}

/// The program.
pub struct Program(PathBuf);

/// The program as it serves.
pub struct Serving {
    child: Child,
    /// Where it listens.
    pub public: SocketAddr,
    /// Where it listens for its operator.
    pub operator: SocketAddr,
    /// From start to the ready line.
    pub ready_after: Duration,
}

impl Program {
    /// The one that the environment names in `VITALS`, else a new build, with the cargo that built this and in the
    /// same profile: the figures of a debug build say nothing, but they show whether the bench itself works.
    pub fn find() -> Self {
        Self::named("VITALS").unwrap_or_else(|| Self(build(&[])))
    }

    /// One that leaves no audit records, as `VITALS_WITHOUT_AUDIT` names it or newly built, beside the other.
    pub fn without_audit() -> Self {
        let built = || build(&["--features", "bench-without-audit", "--target-dir"]);
        Self::named("VITALS_WITHOUT_AUDIT").unwrap_or_else(|| Self(built()))
    }

    #[expect(clippy::disallowed_methods, reason = "the only settings of the bench")]
    fn named(variable: &str) -> Option<Self> {
        let path = std::env::var_os(variable)?;
        Some(Self(fs::canonicalize(path).unwrap_or_else(|_| panic!("{variable} is the path of a program"))))
    }

    fn command(&self, folder: &Folder) -> Command {
        let mut command = Command::new(&self.0);
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .arg("--data-dir")
            .arg(folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end: how long it took, and what it printed.
    pub fn run(&self, folder: &Folder, arguments: &[&str]) -> (Duration, String) {
        let began = Instant::now();
        let output = self.command(folder).args(arguments).output().expect("the binary can be run");
        let took = began.elapsed();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "vitals {}: {said}", arguments.join(" "));
        (took, String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts `serve` or `demo` and waits for the ready line.
    pub fn start(&self, folder: &Folder, verb: &str) -> Serving {
        self.start_with(folder, verb, &[])
    }

    /// The same with further options.
    pub fn start_with(&self, folder: &Folder, verb: &str, options: &[&str]) -> Serving {
        let operator = free_address();
        let began = Instant::now();
        let mut child = self
            .command(folder)
            .args([verb, "--listen", "127.0.0.1:0", "--operator-listen", &operator.to_string()])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary can be run");
        let lines = BufReader::new(child.stdout.take().expect("standard output is a pipe")).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let url = line.strip_prefix("listening on ")?;
            url.split_once("://")?.1.parse().ok()
        });
        let ready_after = began.elapsed();
        let Some(public) = address else {
            let ended = child.wait().expect("a process that closed its output ends");
            panic!("vitals {verb} was never ready: {ended}");
        };
        Serving { child, public, operator, ready_after }
    }
}

impl Serving {
    /// Resident memory in megabytes.
    pub fn memory(&self) -> f64 {
        process::memory_of(self.process())
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as its operator would.
    pub fn stop(mut self) {
        self.stop_by("TERM");
    }

    fn stop_by(&mut self, name: &str) {
        signal(name, &self.child.id().to_string());
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < STOP_WITHIN {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop_by("TERM");
        }
    }
}

/// Builds the program; with further options, the last of which takes a target directory, in one of its own.
fn build(options: &[&str]) -> PathBuf {
    let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    let ourselves = std::env::current_exe().expect("a program knows where it is");
    let mut beside = ourselves.ancestors().nth(2).expect("cargo puts benches below deps").to_owned();
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--package", "vitals-server"]).args(profile).args(options);
    if !options.is_empty() {
        let named = beside.file_name().expect("a profile has a name").to_owned();
        let target = beside.parent().expect("a profile stands in a target directory").join("bench-without-audit");
        command.arg(&target);
        beside = target.join(named);
    }
    let built = command.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo can be run");
    assert!(built.success(), "the binary can be built");
    let path = beside.join("vitals");
    assert!(path.exists(), "{} is built", path.display());
    path
}

/// An address that nobody listens on.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free")
}

fn signal(name: &str, process: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), process]).stderr(Stdio::null()).status();
    if sent.is_err() {
        eprintln!("process {process} could not be sent {name}");
    }
}
