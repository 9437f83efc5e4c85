//! A look behind the server, as the administrator of its database: through `psql`, since only the store names sqlx.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{Tenant, cluster::Cluster};

impl Cluster {
    /// Runs statements in the database of the tenants and returns what they return, columns parted by `|`.
    pub async fn sql(&self, statements: &str) -> String {
        let mut psql = self.psql();
        psql.args(["--command", statements]);
        tokio::task::spawn_blocking(move || {
            let output = psql.output().expect("psql can be run");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "psql: {said}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        })
        .await
        .expect("psql ends")
    }

    fn psql(&self) -> Command {
        let mut command = Command::new(program());
        command
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1", "--dbname"])
            .arg(self.urls.app_admin().expect("the embedded database has an administrator"))
            .stdin(Stdio::null());
        command
    }
}

impl Tenant {
    /// The role that is also the name of its schema.
    pub fn role(&self) -> String {
        let directory = self.server.app.directory().expect("the directory is read");
        directory.tenant(&self.name).expect("the server knows the tenant").role.to_string()
    }
}

/// `psql`, which lies beside the programs of PostgreSQL where it is not in the path.
fn program() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    installed.map(|entry| entry.path().join("bin/psql")).find(|path| path.exists()).unwrap_or_else(|| "psql".into())
}
