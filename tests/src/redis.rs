//! A Redis of a test's own, where this machine has one (`redis-server`, as Debian packages it).

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running Redis, which ends with its test.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    child: Option<Child>,
}

impl Redis {
    /// Starts one; none where the machine has no `redis-server`, which is said with the number of cases that are left out.
    pub fn start(cases: usize) -> Option<Self> {
        if program().is_none() {
            println!("not run: {cases} cases (redis-server is not installed)");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let mut redis = Self { port, child: None };
        redis.begin();
        Some(redis)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Starts it again at the same port, empty.
    pub fn begin(&mut self) {
        let program = program().expect("it was found before");
        let child = Command::new(program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server can be started");
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "Redis opens its port");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it.
    pub fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take()
            && child.kill().is_ok()
        {
            child.wait().ok();
        }
    }
}

fn program() -> Option<PathBuf> {
    let path = crate::variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|file| file.is_file())
}
