//! What `vitals doctor` looks at in the databases, one line each. It goes on after a check that fails.
//!
//! Migrations and keys are looked at by whoever knows them; their lines join these.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::posture::{self, Problem};
use crate::urls::{ConnectError, Urls, connect, hidden_password, with_user};

/// How far the clocks of the database and of this machine may be apart. Tokens are allowed 5 s; a quarter of that
/// leaves room for the issuer's own clock.
const CLOCKS_WITHIN: TimeDelta = TimeDelta::milliseconds(1_250);

/// Months that must be left in the audit log, this one among them.
const MONTHS_LEFT: usize = 2;

/// One line of the doctor.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: String,
    /// Whether it is as it must be.
    pub ok: bool,
    /// What was found, and what to do if it is not as it must be.
    pub advice: String,
}

impl Check {
    /// A line that is fine, with what was found.
    pub fn fine(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), ok: true, advice: found.into() }
    }

    /// A line that is not fine, with what to do.
    pub fn failed(check: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check: check.into(), ok: false, advice: advice.into() }
    }

    fn of(check: &str, looked: Result<String, String>) -> Self {
        match looked {
            Ok(found) => Self::fine(check, found),
            Err(advice) => Self::failed(check, advice),
        }
    }

    fn of_problems(check: &str, looked: Result<Vec<Problem>, posture::PostureError>) -> Vec<Self> {
        match looked {
            Err(error) => vec![Self::failed(check, sentence(&error))],
            Ok(problems) if problems.is_empty() => vec![Self::fine(check, "as it must be")],
            Ok(problems) => problems
                .into_iter()
                .map(|problem| Self::failed(check, format!("{}: {}", problem.what, problem.advice)))
                .collect(),
        }
    }
}

/// Looks at the databases. `now` is the clock of this machine.
pub async fn checks(urls: &Urls, now: &(dyn Fn() -> DateTime<Utc> + Send + Sync)) -> Vec<Check> {
    let mut checks = vec![
        address("serving database", &urls.app).await,
        address("audit database, adding", &urls.audit_write).await,
        address("audit database, reading", &urls.audit_read).await,
    ];
    if let Some(admin) = &urls.admin {
        checks.push(address("admin database", admin).await);
    }
    if checks.iter().any(|check| !check.ok) {
        return checks;
    }
    checks.push(Check::of("database version", ask(urls, version).await));
    checks.push(Check::of("encoding of the serving database", ask_at(&urls.app, encoding).await));
    checks.push(Check::of("encoding of the audit database", ask_at(&urls.audit_read, encoding).await));
    checks.push(Check::of("commits reach the disk", ask(urls, durable).await));
    checks.push(Check::of("clock of the database", clock(&urls.app, now).await));
    checks.push(Check::of("control tables", ask(urls, control).await));
    checks.extend(Check::of_problems("rights of the login roles", posture::logins(urls).await));
    checks.extend(Check::of_problems("audit store is insert-only", posture::audit(urls).await));
    checks.push(Check::of("months of the audit log ahead", months(&urls.audit_read, now()).await));
    checks.push(Check::of("tenant roles have no password", tenant_login(urls).await));
    checks.push(Check::of("no pooler between us and the database", no_pooler(urls).await));
    checks
}

async fn address(check: &str, url: &str) -> Check {
    let shown = hidden_password(url);
    match connect(url).await {
        Ok(_) => Check::fine(check, shown),
        Err(error) => Check::failed(check, format!("{}: {shown}", sentence(&error))),
    }
}

async fn ask(
    urls: &Urls,
    question: impl AsyncFnOnce(&mut PgConnection) -> Result<Result<String, String>, sqlx::Error>,
) -> Result<String, String> {
    ask_at(&urls.app, question).await
}

async fn ask_at(
    url: &str,
    question: impl AsyncFnOnce(&mut PgConnection) -> Result<Result<String, String>, sqlx::Error>,
) -> Result<String, String> {
    let mut connection = connect(url).await.map_err(|error| sentence(&error))?;
    question(&mut connection).await.unwrap_or_else(|error| Err(said(&error)))
}

async fn version(connection: &mut PgConnection) -> Result<Result<String, String>, sqlx::Error> {
    let (number, text): (i32, String) =
        sqlx::query_as("SELECT current_setting('server_version_num')::int4, current_setting('server_version')")
            .fetch_one(connection)
            .await?;
    Ok(if number >= crate::setup::OLDEST_VERSION {
        Ok(format!("PostgreSQL {text}"))
    } else {
        Err(format!("PostgreSQL {text} is too old: use 15 or newer"))
    })
}

async fn encoding(connection: &mut PgConnection) -> Result<Result<String, String>, sqlx::Error> {
    let encoding: String =
        sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(connection).await?;
    Ok(if encoding == "UTF8" {
        Ok(encoding)
    } else {
        Err(format!("{encoding} cannot hold every text: make the database again with ENCODING 'UTF8'"))
    })
}

async fn durable(connection: &mut PgConnection) -> Result<Result<String, String>, sqlx::Error> {
    let (fsync, pages): (String, String) =
        sqlx::query_as("SELECT current_setting('fsync'), current_setting('full_page_writes')")
            .fetch_one(connection)
            .await?;
    Ok(match (fsync.as_str(), pages.as_str()) {
        ("on", "on") => Ok("fsync and full_page_writes are on".to_owned()),
        ("on", _) => Err("full_page_writes is off: switch it on, or be sure the disk writes whole pages".to_owned()),
        _ => Err("fsync is off, a power cut would lose the database: switch it on".to_owned()),
    })
}

async fn control(connection: &mut PgConnection) -> Result<Result<String, String>, sqlx::Error> {
    let there: bool = sqlx::query_scalar(
        "SELECT to_regclass('control.tenant') IS NOT NULL AND has_schema_privilege('control', 'USAGE')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !there {
        return Ok(Err("there are none, or they are out of reach: run `vitals setup`".to_owned()));
    }
    let tenants: i64 = sqlx::query_scalar("SELECT count(*) FROM control.tenant").fetch_one(connection).await?;
    Ok(Ok(format!("reachable, {tenants} tenants")))
}

/// Records of a month without a partition could not be written, and nobody would be served.
async fn months(url: &str, now: DateTime<Utc>) -> Result<String, String> {
    let mut connection = connect(url).await.map_err(|error| sentence(&error))?;
    let months = crate::migrate::months_ahead(&mut connection, now).await.map_err(|error| said(&error))?;
    if months > MONTHS_LEFT {
        Ok(format!("{months}, with this one"))
    } else {
        Err(format!("{months}, with this one: `vitals migrate up` makes more"))
    }
}

/// Half the round trip is taken off: the database looked at its clock about then.
async fn clock(url: &str, now: &(dyn Fn() -> DateTime<Utc> + Send + Sync)) -> Result<String, String> {
    let mut connection = connect(url).await.map_err(|error| sentence(&error))?;
    let mut nearest: Option<TimeDelta> = None;
    for _ in 0..3 {
        let before = now();
        let theirs: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
            .fetch_one(&mut connection)
            .await
            .map_err(|error| said(&error))?;
        let after = now();
        let apart = theirs - (before + (after - before) / 2);
        if nearest.is_none_or(|nearest| apart.abs() < nearest.abs()) {
            nearest = Some(apart);
        }
    }
    let apart = nearest.unwrap_or_default();
    let found = format!("{} ms from ours", apart.num_milliseconds());
    if apart.abs() <= CLOCKS_WITHIN {
        Ok(found)
    } else {
        Err(format!("{found}: let both machines keep time by NTP, tokens and audit records depend on it"))
    }
}

/// Tenant roles may log in for the sake of Citus, and have no password so that nobody does; one they gave themselves
/// has run out. Whether they have one is tried, not looked up: only a superuser may look.
async fn tenant_login(urls: &Urls) -> Result<String, String> {
    let found = ask_at(&urls.app, async |connection: &mut PgConnection| {
        let (role, lasting): (Option<String>, Option<String>) = sqlx::query_as(
            "SELECT min(rolname)::text,
                 (min(rolname) FILTER (WHERE rolvaliduntil IS DISTINCT FROM '-infinity'::timestamptz))::text
             FROM pg_roles WHERE rolname ~ '^t_[a-z2-7]{26}$' AND rolcanlogin",
        )
        .fetch_one(connection)
        .await?;
        Ok(match lasting {
            None => Ok(role.unwrap_or_default()),
            Some(role) => Err(format!(
                "a password that {role} gave itself would let it log in; as its maker: ALTER ROLE {role} VALID UNTIL \
                 '-infinity'"
            )),
        })
    });
    let role = found.await?;
    if role.is_empty() {
        return Ok("there is no tenant role yet".to_owned());
    }
    // Its own name for a password, to be sure that one is sent.
    let url = with_user(&urls.app, &role)
        .and_then(|url| crate::urls::with_password(&url, Some(&role)))
        .map_err(|error| error.to_string())?;
    match connect(&url).await {
        Err(ConnectError::Refused { .. }) => Ok(format!("{role} could not log in")),
        // Known for that role, and turned away from this database alone.
        Err(ConnectError::Other { source: sqlx::Error::Database(error), .. })
            if error.code().as_deref() == Some("42501") =>
        {
            Err(open_door(&role))
        }
        Err(error) => Err(format!("could not be tried: {}", sentence(&error))),
        Ok(_) => Err(open_door(&role)),
    }
}

fn open_door(role: &str) -> String {
    format!("anybody can log in as {role}: let pg_hba.conf ask for scram-sha-256 instead of trust, peer or ident")
}

async fn no_pooler(urls: &Urls) -> Result<String, String> {
    posture::pooler(&urls.app).await.map_err(|error| sentence(&error))?;
    Ok("every session has a server process to itself".to_owned())
}

/// An error with its causes, in one line.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        sentence = format!("{sentence} ({error})");
        cause = error.source();
    }
    sentence
}

fn said(error: &sqlx::Error) -> String {
    format!("the question failed: {error}")
}
