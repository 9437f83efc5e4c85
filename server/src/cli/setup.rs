//! `vitals setup`: roles, databases and schemas on a PostgreSQL of the operator's; the embedded one has them already.
//! Everything that is there stays, so it may be repeated.
//!
//! On standard output it writes the environment that a server needs, so that `vitals setup > vitals.env` is enough.

use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use vitals_store::{
    setup::{self, Pending, SetupError},
    urls::{connect, hidden_password, with_database, with_user},
};

use super::{CommandError, Exit, Needs, Opened, print, recorded::Recorder};
use crate::config::{Database, MasterKeySource, Secret, Settings};

/// The role that serves, and its database, where the operator names none.
const ROLE: &str = "vitals_app";
const DATABASE: &str = "vitals";

/// Runs the command.
pub async fn run(settings: &Settings, json: bool) -> Result<Exit, CommandError> {
    let prepared = match (&settings.database, &settings.admin_database_url) {
        (Database::Embedded, None) => embedded(settings).await?,
        (Database::Embedded, Some(admin)) => derived(settings, admin.expose()).await?,
        (Database::Outside(_), _) => outside(settings).await?,
    };
    let exit = if prepared.pending.is_empty() { Exit::Success } else { Exit::Failure };
    if json {
        print::json(&prepared)?;
    } else {
        tell(settings, &prepared)?;
    }
    Ok(exit)
}

/// What is there now.
#[derive(Debug, Serialize)]
struct Prepared {
    /// The role that serves. Its password is hidden unless it was made here.
    database_url: String,
    /// The role that adds audit records, likewise.
    audit_database_url: String,
    /// What was made.
    made: Vec<String>,
    /// What only a superuser can do.
    pending: Vec<Statement>,
}

/// A statement for a superuser.
#[derive(Debug, Serialize)]
struct Statement {
    database: String,
    statement: String,
}

impl From<Pending> for Statement {
    fn from(pending: Pending) -> Self {
        Self { database: pending.database, statement: pending.statement }
    }
}

/// Whether addresses are printed with their passwords.
#[derive(Clone, Copy)]
enum Shown {
    /// They were made here, and are nowhere else.
    Whole,
    /// The operator has them.
    Hidden,
}

impl Shown {
    fn url(self, url: &str) -> String {
        match self {
            Self::Whole => url.to_owned(),
            Self::Hidden => hidden_password(url),
        }
    }
}

async fn embedded(settings: &Settings) -> Result<Prepared, CommandError> {
    let opened = Opened::of(settings, Needs::Admin).await?;
    let prepared = prepare(&opened, Shown::Hidden, Shown::Hidden, Vec::new()).await;
    let closed = opened.close().await;
    prepared.and_then(|prepared| closed.map(|()| prepared))
}

async fn outside(settings: &Settings) -> Result<Prepared, CommandError> {
    let opened = Opened::of(settings, Needs::Admin).await?;
    prepare(&opened, Shown::Hidden, Shown::Hidden, Vec::new()).await
}

/// Makes a role that serves, with a password of its own, beside the administrator's.
async fn derived(settings: &Settings, admin: &str) -> Result<Prepared, CommandError> {
    let url = with_password(&with_user(&with_database(admin, DATABASE)?, ROLE)?, &password()?)?;
    let settings = Settings { database: Database::Outside(Secret::new(url.clone())), ..settings.clone() };
    let opened = Opened::of(&settings, Needs::Admin).await?;
    // Until here nothing was made.
    drop(connect(&opened.urls.admin()?).await?);

    // From here on the password may be the role's, so it is told even when the end is not reached.
    let lost = |error: CommandError| {
        CommandError::new(format!("{error}; to go on where this ended, run it with VITALS_DATABASE_URL={url}"))
    };
    let made = match setup::cluster(&opened.urls).await {
        Ok(report) => report.made,
        Err(error @ (SetupError::TooOld(_) | SetupError::NotAdministrator(_) | SetupError::Mighty { .. })) => {
            return Err(explained(error));
        }
        Err(error) => return Err(lost(explained(error))),
    };
    if !made.contains(&format!("login role {ROLE}")) {
        return Err(CommandError::new(format!(
            "role {ROLE} is there already, and nobody can read its password: give --database-url as the first setup \
             printed it, or as a superuser run ALTER ROLE {ROLE} PASSWORD '…'"
        )));
    }
    let audit = if settings.audit_database_url.is_some() { Shown::Hidden } else { Shown::Whole };
    prepare(&opened, Shown::Whole, audit, made).await.map_err(lost)
}

fn password() -> Result<String, CommandError> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).map_err(|_| CommandError::new("the system gives no random bytes"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// The same address with a password: before the host, or as a parameter where it names a socket.
fn with_password(url: &str, password: &str) -> Result<String, CommandError> {
    let mut url = reqwest::Url::parse(url)?;
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "password")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    if !url.has_host() || url.set_password(Some(password)).is_err() {
        url.query_pairs_mut().append_pair("password", password);
    }
    Ok(url.into())
}

/// Makes what is missing. `made` is what was made before.
async fn prepare(
    opened: &Opened<'_>,
    serving: Shown,
    audit: Shown,
    mut made: Vec<String>,
) -> Result<Prepared, CommandError> {
    let report = opened.prepare().await?;
    made.extend(report.made);
    if !opened.is_embedded() {
        let renewed = setup::renew_passwords(&opened.urls).await.map_err(explained)?;
        made.extend(renewed.iter().map(|role| format!("password of role {role}")));
    }
    if !made.is_empty() {
        // Only now is there a trail to write to.
        let mut recorder = Recorder::open(opened).await?;
        let mut record = recorder.of_server("setup");
        record.count = Some(made.len() as u64);
        recorder.end(record, Ok(())).await?;
    }
    Ok(Prepared {
        database_url: serving.url(&opened.urls.app),
        audit_database_url: audit.url(&opened.urls.audit_write),
        made,
        pending: report.pending.into_iter().map(Statement::from).collect(),
    })
}

fn explained(error: SetupError) -> CommandError {
    let advice = match &error {
        SetupError::WrongPassword(role) => {
            format!(": give the right one, or as a superuser run ALTER ROLE {role} PASSWORD '…'")
        }
        _ => String::new(),
    };
    CommandError::new(format!("{}{advice}", CommandError::from(error)))
}

fn tell(settings: &Settings, prepared: &Prepared) -> Result<(), CommandError> {
    for made in &prepared.made {
        print::note(&format!("set up: {made}"));
    }
    for pending in &prepared.pending {
        print::note(&format!("to be run by a superuser in database {}: {};", pending.database, pending.statement));
    }
    if !prepared.pending.is_empty() {
        print::note("`vitals serve` does not start before that is done; then run `vitals setup` again");
    }
    if settings.database == Database::Embedded && settings.admin_database_url.is_none() {
        print::note(&format!("the embedded PostgreSQL under {} is ready", settings.data_dir.display()));
        return Ok(());
    }
    if prepared.made.is_empty() {
        print::note("everything was there already");
    }
    if settings.master_key == MasterKeySource::DataDirectory {
        print::note(
            "the server also needs VITALS_MASTER_KEY_FILE: a file of mode 0600 with what `openssl rand -base64 32` \
             prints, the same on every machine",
        );
    }
    print::line(&format!("VITALS_DATABASE_URL={}", prepared.database_url))?;
    print::line(&format!("VITALS_AUDIT_DATABASE_URL={}", prepared.audit_database_url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_goes_where_the_address_takes_it() {
        let cases = [
            ("postgres://u@h:5432/d", "postgres://u:new@h:5432/d"),
            ("postgres://u:old@h/d?sslmode=require", "postgres://u:new@h/d?sslmode=require"),
            ("postgres://u@h/d?password=old", "postgres://u:new@h/d"),
            ("postgres:///d?host=/run/pg&user=u", "postgres:///d?host=%2Frun%2Fpg&user=u&password=new"),
        ];
        for (url, expected) in cases {
            assert_eq!(with_password(url, "new").unwrap(), expected);
        }
    }

    #[test]
    fn the_role_that_serves_is_derived_from_the_administrators_address() {
        let admin = "postgres://postgres:secret@db.example:6432/postgres?sslmode=require";
        let url = with_password(&with_user(&with_database(admin, DATABASE).unwrap(), ROLE).unwrap(), "new").unwrap();
        assert_eq!(url, "postgres://vitals_app:new@db.example:6432/vitals?sslmode=require");
    }

    #[test]
    fn passwords_are_shown_only_when_they_were_made_here() {
        let url = "postgres://u:secret@h/d";
        assert_eq!(Shown::Whole.url(url), url);
        assert!(!Shown::Hidden.url(url).contains("secret"));
    }

    #[test]
    fn made_passwords_differ_and_need_no_escape_in_an_address() {
        let (one, other) = (password().unwrap(), password().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    }
}
