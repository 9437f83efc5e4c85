//! The `vitals` program as an operator meets it: a process with settings, that ends or serves.
//!
//! It is built once a run, and found beside the test that runs. Whatever becomes of a test, its processes and its
//! PostgreSQL are gone afterwards: a small shell watches each of them and outlives us by a moment.

use std::{
    io::Read,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::OnceCell;
use vitals_access::clock::Clock as _;
use vitals_server::clock::SystemClock;
use vitals_store::{
    control::tenants::{self, Isolation, NewTenant},
    embedded::EmbeddedOptions,
    seal::MasterKey,
    urls::{self, Urls},
};

use crate::{
    cluster::{self, Cluster},
    oracle, poll, sql, variable,
};

/// How long a command may take. Most need tenths of a second; several tests share the machine.
const ENDS_WITHIN: Duration = Duration::from_mins(1);
/// How long a start may take: the first one makes a database.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// What a process that was asked to stop may need.
pub const STOPS_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at a process.
const PAUSE: Duration = Duration::from_millis(5);

/// The program with its settings, which are those of one installation.
#[derive(Clone)]
pub struct Program {
    /// Its data directory.
    pub folder: PathBuf,
    settings: Vec<(String, String)>,
    /// Most files that a process may have open.
    files: Option<u32>,
    _undertaker: Arc<Undertaker>,
}

impl Program {
    /// With an embedded PostgreSQL, in a data directory that is not there yet. Ports are chosen by the system.
    pub fn embedded() -> Self {
        let folder = std::env::temp_dir().join(format!("vitals-test-{}", uuid::Uuid::new_v4()));
        let program =
            Self { settings: Vec::new(), files: None, _undertaker: Arc::new(Undertaker::of(&folder)), folder };
        let folder = program.folder.display().to_string();
        program
            .with("VITALS_DATA_DIR", &folder)
            .with("VITALS_LISTEN", "127.0.0.1:0")
            .with("VITALS_OPERATOR_LISTEN", "127.0.0.1:0")
    }

    /// The same with another setting, as a variable of the environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without a setting.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self
    }

    /// The same, whose processes may have no more than this many files open.
    #[must_use]
    pub fn with_files(self, files: u32) -> Self {
        Self { files: Some(files), ..self }
    }

    /// A file of its own, which goes with the installation.
    pub fn file(&self, name: &str, text: &str) -> String {
        self.file_of(name, text.as_bytes())
    }

    /// The same of bytes that are no text.
    pub fn file_of(&self, name: &str, bytes: &[u8]) -> String {
        let folder = self.folder.with_extension("files");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("a file can be written");
        path.display().to_string()
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        self.start(arguments).await.end(ENDS_WITHIN).await
    }

    /// Runs a command to its end that reads this from its standard input.
    pub async fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let ((process, mut stdin), input) = (self.start_with(arguments).await, input.to_vec());
        // It may end before it has read all.
        let writing = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input).ok());
        let ran = process.end(ENDS_WITHIN).await;
        writing.join().expect("a writer ends");
        ran
    }

    /// Starts a command, with the way to its standard input.
    pub async fn start_with(&self, arguments: &[&str]) -> (Process, ChildStdin) {
        let mut process = self.prepared(arguments, Stdio::piped()).await;
        let stdin = process.child.stdin.take().expect("it was asked for");
        (process, stdin)
    }

    /// Starts a command.
    pub async fn start(&self, arguments: &[&str]) -> Process {
        self.prepared(arguments, Stdio::null()).await
    }

    async fn prepared(&self, arguments: &[&str], stdin: Stdio) -> Process {
        let binary = tokio::task::spawn_blocking(binary).await.expect("the program is built");
        let mut command = match self.files {
            None => Command::new(binary),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]).arg(binary);
                shell
            }
        };
        command.args(arguments).env_clear().envs(self.settings.iter().map(|(name, value)| (name, value)));
        // Where `id` and PostgreSQL are.
        command.envs(variable("PATH").map(|path| ("PATH", path)));
        command.stdin(stdin);
        Process::spawn(command)
    }

    /// Starts `serve` and waits for its ready line.
    pub async fn serve(&self) -> Serving {
        Serving::of(self.start(&["serve"]).await).await
    }
}

/// The program on a PostgreSQL of its operator's: a database of its own there, made by `vitals setup`.
///
/// Not on the PostgreSQL that other tests share: setting up gives the audit roles new passwords.
pub struct Outside {
    /// The program.
    pub program: Program,
    /// Its databases.
    pub urls: Urls,
    /// What secrets are sealed under.
    pub master_key: MasterKey,
}

impl Outside {
    /// Sets up a new database.
    pub async fn fresh() -> Self {
        let outside = Self::not_set_up().await;
        outside.program.run(&["setup"]).await.expect(0);
        outside
    }

    /// The addresses of a database that is not there yet.
    pub async fn not_set_up() -> Self {
        let cluster = cluster().await;
        let name = format!("outside_{}", uuid::Uuid::new_v4().simple());
        let master_key = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let app = urls::with_database(&cluster.urls.app, &name).expect("a URL");
        let admin = cluster.urls.admin.as_deref().expect("the embedded database has an administrator");
        let urls = Urls::outside(&app, Some(admin), None).expect("URLs");
        let program = Program::embedded()
            .with("VITALS_DATABASE_URL", &app)
            .with("VITALS_ADMIN_DATABASE_URL", admin)
            .with("VITALS_MASTER_KEY", &master_key);
        Self { program, urls, master_key: MasterKey::parse(&master_key).expect("32 bytes in hexadecimal") }
    }

    /// Makes tenants `t-000`, `t-001` and so on, without a process for each.
    pub async fn tenants(&self, count: usize) -> Vec<String> {
        let mut admin = urls::connect(&self.urls.app_admin().expect("admin")).await.expect("a connection");
        let mut names = Vec::new();
        for number in 0..count {
            let name = format!("t-{number:03}");
            let new = NewTenant {
                name: name.parse().expect("a tenant name"),
                display: name.clone(),
                isolation: Isolation::Schema,
                tier: "default".to_owned(),
                issuer: None,
            };
            tenants::create(&mut admin, &self.master_key, &new, SystemClock.now()).await.expect("a tenant");
            names.push(name);
        }
        names
    }

    /// Runs statements in the database of the tenants, as its administrator.
    pub async fn sql(&self, statements: &str) -> String {
        sql::run(&self.urls.app_admin().expect("admin"), statements).await
    }

    /// Runs statements in the audit database, as its administrator.
    pub async fn audit_sql(&self, statements: &str) -> String {
        sql::run(&self.urls.audit_admin().expect("admin"), statements).await
    }
}

/// The PostgreSQL of every [`Outside`].
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    let start = async || {
        let options = EmbeddedOptions { fsync: false, max_connections: 200 };
        let started = cluster::runtime().spawn(Cluster::start(options));
        started.await.expect("the cluster starts")
    };
    CLUSTER.get_or_init(start).await
}

/// A server that tests share, and the program that administers it.
pub struct Shared {
    /// The program, with the server's settings.
    pub program: Program,
    /// The server.
    pub server: Serving,
    /// Its databases.
    pub urls: Urls,
}

/// The served installation of this run. On an outside PostgreSQL: there a command takes a third of the time.
pub async fn shared() -> &'static Shared {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    let start = async || {
        let Outside { program, urls, .. } = Outside::fresh().await;
        Shared { server: program.serve().await, program, urls }
    };
    SHARED.get_or_init(start).await
}

/// A process of the program, with what it has written so far.
pub struct Process {
    child: Child,
    stdout: Written,
    stderr: Written,
    readers: Vec<JoinHandle<()>>,
    warden: Child,
}

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn read_from(&self, mut source: impl Read + Send + 'static) -> JoinHandle<()> {
        let written = self.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut chunk) {
                written.0.lock().expect("nobody panicked").extend_from_slice(&chunk[..length]);
            }
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("nobody panicked")).into_owned()
    }
}

impl Process {
    fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be run");
        let (stdout, stderr) = (Written::default(), Written::default());
        let readers = vec![
            stdout.read_from(child.stdout.take().expect("it was asked for")),
            stderr.read_from(child.stderr.take().expect("it was asked for")),
        ];
        let warden = watching(&format!("read _ || kill -KILL {}", child.id()));
        Self { child, stdout, stderr, readers, warden }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn end(mut self, within: Duration) -> Ran {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(began.elapsed() < within, "it has not ended within {within:?}: {}", self.stderr.text());
            tokio::time::sleep(PAUSE).await;
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader ends");
        }
        Ran { code: status.code(), stdout: self.stdout.text(), stderr: self.stderr.text() }
    }

    /// Waits until a line that holds `what` is on its standard output.
    ///
    /// # Panics
    /// When it ends before.
    pub async fn says(&mut self, what: &str) -> String {
        let began = Instant::now();
        loop {
            let text = self.stdout.text();
            // Only whole lines.
            let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(line) = lines.map(str::trim_end).find(|line| line.contains(what)) {
                return line.to_owned();
            }
            let ended = self.child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "it ended and did not say {what:?}: {}", self.stderr.text());
            assert!(began.elapsed() < READY_WITHIN, "it has not said {what:?}: {}", self.stderr.text());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The time that it kept a core busy so far (proc(5): ticks of a hundredth of a second).
    pub fn busy(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it is our child");
        // Behind the name, which may hold anything.
        let (_, rest) = stat.rsplit_once(") ").expect("a name");
        let ticks = |place: usize| rest.split(' ').nth(place).and_then(|text| text.parse::<u64>().ok());
        let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system).expect("Linux tells it");
        Duration::from_millis(ticks * 10)
    }

    /// The files it has open.
    pub fn files(&self) -> Vec<PathBuf> {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it is our child");
        open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect()
    }

    /// Its memory that is resident, in bytes.
    pub fn memory(&self) -> usize {
        self.status_of("VmRSS:")
    }

    /// The most of that there ever was, or since [`Process::forget_peak`].
    pub fn peak_memory(&self) -> usize {
        self.status_of("VmHWM:")
    }

    /// Begins to count the most memory anew.
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("it is our child");
    }

    fn status_of(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it is our child");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
        let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().expect("in kilobytes");
        kilobytes * 1024
    }

    /// Asks it to stop, as a service manager does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Asks it to stop, as somebody at a terminal does.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Makes it do nothing at all until it may go on; signals wait.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().expect("sh can be started");
        assert!(status.success(), "it cannot be signalled");
    }

    /// Ends it at once, in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
        // The warden reads a line and leaves the number alone, which may be somebody else's by now.
        if let Some(stdin) = &mut self.warden.stdin {
            std::io::Write::write_all(stdin, b"\n").ok();
        }
        self.warden.wait().ok();
        oracle::hear("standard error", &self.stderr.text());
        if !std::thread::panicking() {
            oracle::silent();
        }
    }
}

impl Ran {
    /// Panics unless it ended with this code, showing what it wrote.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// Panics unless it failed with one sentence on standard error and nothing on standard output.
    #[track_caller]
    pub fn expect_sentence(self, code: i32, part: &str) -> Self {
        let ran = self.expect(code);
        assert_eq!(ran.stdout, "", "{}", ran.stderr);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert!(matches!(lines.as_slice(), [line] if line.starts_with("vitals: ")), "not one sentence: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "no {part:?} in: {}", ran.stderr);
        ran
    }
}

/// A process that serves.
pub struct Serving {
    /// Its public URL.
    pub url: String,
    /// The operator listener's URL.
    pub operator_url: String,
    /// The process.
    pub process: Process,
}

impl Serving {
    /// Waits until a process serves.
    pub async fn of(mut process: Process) -> Self {
        let line = process.says("listening on ").await;
        let url = line.split("listening on ").last().expect("the line was found").to_owned();
        // Where a server chose its operator port, its log says so, before the ready line does.
        poll::until("the log names the operator's address", async || operator_of(&process.stderr()).is_some()).await;
        let operator = operator_of(&process.stderr()).expect("it was there");
        Self { url, operator_url: format!("http://{operator}"), process }
    }

    /// Stops it as a service manager does.
    pub async fn stop(self) -> Ran {
        self.process.terminate();
        self.process.end(STOPS_WITHIN).await
    }
}

fn operator_of(log: &str) -> Option<String> {
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find_map(|line| line["operator"].as_str().map(str::to_owned))
}

/// The program, built as the test that runs was built.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = std::env::current_exe().expect("a test has a path");
        // target/<profile>/deps/<test>
        let folder = test.ancestors().nth(2).expect("tests lie in a profile's folder");
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(other) => other,
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "vitals-server", "--bin", "vitals", "--profile", profile])
            .arg("--target-dir")
            .arg(folder.parent().expect("a profile's folder lies in the target folder"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .status()
            .expect("cargo can be run");
        assert!(status.success(), "vitals does not build");
        folder.join("vitals")
    })
}

/// Stops the PostgreSQL of a data directory and clears the directory away, once we let go of it or end ourselves.
struct Undertaker(Child);

impl Undertaker {
    fn of(folder: &Path) -> Self {
        let script = format!(
            "read _; if pid=$(head -n 1 '{folder}/postgres/postmaster.pid' 2>/dev/null) && kill -QUIT \"$pid\"; then \
             for _ in $(seq 100); do kill -0 \"$pid\" 2>/dev/null || break; sleep 0.05; done; fi; \
             rm -rf '{folder}' '{folder}.files'",
            folder = folder.display(),
        );
        Self(watching(&script))
    }
}

impl Drop for Undertaker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

/// A shell that waits for a line, or for the end of us. In a group of its own: Ctrl-C is for us alone.
fn watching(script: &str) -> Child {
    Command::new("sh")
        .args(["-c", script])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh can be started")
}
