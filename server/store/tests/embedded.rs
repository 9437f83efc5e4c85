//! The embedded PostgreSQL, setup on it, and what `serve` would refuse, against real servers of this test's own.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test writes its own SQL, and looks at real clocks"
)]

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use vitals_store::control::{
    roles,
    tenants::{self, Isolation, NewTenant},
};
use vitals_store::embedded::{Embedded, EmbeddedError, EmbeddedOptions, LockError, ServeLock, Stopped};
use vitals_store::seal::MasterKey;
use vitals_store::urls::{ConnectError, Urls, connect, with_database};
use vitals_store::{control, doctor, migrate, posture, setup};

/// What the roles of two tenants are called in the tables below.
const TENANT: &str = "t_abcdefghijklmnopqrstuvwxyz";
const OTHER: &str = "t_zyxwvutsrqponmlkjihgfedcba";

/// A data directory that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vitals-store-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o711)).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Ok(elsewhere) = fs::read_link(self.0.join("postgres")) {
            fs::remove_dir_all(elsewhere.parent().unwrap()).unwrap();
        }
        fs::remove_dir_all(&self.0).unwrap();
    }
}

async fn fast(folder: &Path) -> Result<Embedded, EmbeddedError> {
    let options = EmbeddedOptions { fsync: false, max_connections: 60 };
    Embedded::start_with(folder, options, &mut |_| ()).await
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}

/// Setup as a command does it.
async fn set_up(urls: &Urls) -> setup::Report {
    let report = setup::cluster(urls).await.unwrap();
    let mut admin = connect(&urls.app_admin().unwrap()).await.unwrap();
    migrate::control(&mut admin, Utc::now()).await.unwrap();
    let mut audit = connect(&urls.audit_admin().unwrap()).await.unwrap();
    migrate::audit(&mut audit, Utc::now()).await.unwrap();
    control::privileges::apply(&mut admin, &urls.login_names().unwrap()).await.unwrap();
    report
}

async fn problems(urls: &Urls) -> Vec<String> {
    posture::check(urls).await.unwrap().into_iter().map(|problem| problem.what).collect()
}

#[tokio::test]
async fn database_starts_is_shared_and_stops_with_its_last_user() {
    let folder = Folder::new("shared");
    let (first, second) = tokio::join!(fast(&folder.0), fast(&folder.0));
    let (first, second) = (first.unwrap(), second.unwrap());
    let urls = second.urls();

    // Secrets and files are nobody else's.
    let mode = |path: &str| fs::metadata(folder.0.join(path)).unwrap().mode() & 0o777;
    assert_eq!((mode("secrets"), mode("secrets/database-app"), mode("postgres")), (0o700, 0o600, 0o700));
    assert_eq!(mode("run"), 0o700);

    // Nobody gets in without a password, and nobody at all over the network.
    assert!(matches!(
        connect(&urls.admin.clone().unwrap().replace("vitals_admin:", "vitals_admin:x")).await,
        Err(ConnectError::Refused { .. })
    ));
    let mut admin = connect(&urls.admin().unwrap()).await.unwrap();
    for (setting, value) in [
        ("listen_addresses", ""),
        ("jit", "off"),
        ("max_connections", "60"),
        ("max_locks_per_transaction", "256"),
        ("lc_collate", "C.UTF-8"),
        ("server_encoding", "UTF8"),
    ] {
        let found: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&mut admin).await.unwrap();
        assert_eq!(found, value, "{setting}");
    }

    // Its log keeps what it must, and no value out of a statement that failed.
    let failed = sqlx::query("SELECT 'Smith-Planted'::int4").execute(&mut admin).await;
    assert!(failed.is_err());
    admin.close().await.unwrap();

    assert_eq!(first.stop().await.unwrap(), Stopped::InUse);
    connect(&urls.admin().unwrap()).await.unwrap().close().await.unwrap();
    assert_eq!(second.stop().await.unwrap(), Stopped::Down);
    assert!(matches!(connect(&urls.admin().unwrap()).await, Err(ConnectError::Away { .. })));
    let log = fs::read_to_string(folder.0.join("postgres.log")).unwrap();
    assert!(log.contains("ready to accept connections") && !log.contains("Planted"), "{log}");

    // A later start finds the same database, soon.
    let began = Instant::now();
    let again = fast(&folder.0).await.unwrap();
    let took = began.elapsed();
    assert_eq!(again.urls(), urls);
    connect(&urls.admin().unwrap()).await.unwrap().close().await.unwrap();
    eprintln!("second start: {took:?}");

    // A database that was killed is started again.
    let pid = fs::read_to_string(again.data().join("postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap().to_owned();
    assert!(Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap().success());
    let revived = fast(&folder.0).await.unwrap();
    connect(&urls.admin().unwrap()).await.unwrap().close().await.unwrap();
    assert_eq!(again.stop().await.unwrap(), Stopped::InUse);
    assert_eq!(revived.stop().await.unwrap(), Stopped::Down);
}

#[tokio::test]
async fn setup_may_be_repeated_and_passes_its_own_checks() {
    let folder = Folder::new("setup");
    let database = fast(&folder.0).await.unwrap();
    let urls = database.urls();

    let began = Instant::now();
    let report = set_up(&urls).await;
    eprintln!("setup: {:?}", began.elapsed());
    assert_eq!(report.pending, []);
    assert!(report.made.iter().any(|made| made == "database vitals_audit"), "{:?}", report.made);

    let began = Instant::now();
    assert_eq!(setup::cluster(&urls).await.unwrap(), setup::Report::default());
    let mut admin = connect(&urls.app_admin().unwrap()).await.unwrap();
    control::privileges::apply(&mut admin, &urls.login_names().unwrap()).await.unwrap();
    eprintln!("setup again: {:?}", began.elapsed());
    assert_eq!(problems(&urls).await, Vec::<String>::new());

    let checks = doctor::checks(&urls, &Utc::now).await;
    let failed: Vec<&str> = checks.iter().filter(|check| !check.ok).map(|check| check.check.as_str()).collect();
    assert_eq!(failed, ["commits reach the disk"], "fsync is off in this test: {checks:#?}");
    assert!(checks.iter().all(|check| !check.advice.contains("password=")));
    let shown: Vec<&str> = checks[..3].iter().map(|check| check.advice.as_str()).collect();
    assert!(shown.iter().all(|url| url.contains(":***@")), "{shown:?}");
    let ahead = doctor::checks(&urls, &|| Utc::now() + TimeDelta::seconds(3)).await;
    assert!(ahead.iter().any(|check| check.check == "clock of the database" && !check.ok));

    // Every login serves; it sees the control tables and can make nothing.
    for slot in [0, 9] {
        let mut login = connect(&urls.login(slot).unwrap()).await.unwrap();
        let name: String = sqlx::query_scalar("SELECT name FROM control.login_role WHERE slot = $1")
            .bind(i16::try_from(slot).unwrap())
            .fetch_one(&mut login)
            .await
            .unwrap();
        assert_eq!(name, urls.login_name(slot).unwrap());
        for refused in [
            "CREATE SCHEMA mine",
            "CREATE TABLE public.mine (a int)",
            "CREATE TEMPORARY TABLE mine (a int)",
            "SELECT set_config('role', 'vitals_settle', false)",
            "UPDATE pg_catalog.pg_settings SET setting = 'vitals_settle' WHERE name = 'role'",
            "DELETE FROM control.tenant",
            "SET ROLE vitals_owner",
            "SET ROLE vitals_admin",
            "CREATE ROLE mine",
        ] {
            let error = sqlx::raw_sql(refused).execute(&mut login).await.unwrap_err();
            let code =
                error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned);
            assert_eq!(code.as_deref(), Some("42501"), "{refused}: {error}");
        }
        sqlx::raw_sql("SET ROLE vitals_settle").execute(&mut login).await.unwrap();
        // Not even to look.
        let audit = with_database(&urls.login(slot).unwrap(), "vitals_audit").unwrap();
        let error = connect(&audit).await.unwrap_err();
        assert!(matches!(error, ConnectError::Other { .. }), "{error}");
    }
    assert!(connect(&with_database(&urls.audit_read, "vitals").unwrap()).await.is_err());
    database.stop().await.unwrap();
}

/// Things that are wrong with the logins that serve: what makes it so, what puts it right, and how it is told.
const LOGIN_WRONGS: [(&str, &str, &str); 40] = [
    ("ALTER ROLE vitals_app SUPERUSER", "ALTER ROLE vitals_app NOSUPERUSER", "is a superuser"),
    ("ALTER ROLE vitals_app_3 BYPASSRLS", "ALTER ROLE vitals_app_3 NOBYPASSRLS", "role vitals_app_3 bypasses row"),
    ("ALTER ROLE vitals_app CREATEROLE", "ALTER ROLE vitals_app NOCREATEROLE", "may create roles"),
    ("ALTER ROLE vitals_app CREATEDB", "ALTER ROLE vitals_app NOCREATEDB", "may create databases"),
    ("ALTER ROLE vitals_app INHERIT", "ALTER ROLE vitals_app NOINHERIT", "inherits"),
    ("ALTER ROLE vitals_app REPLICATION", "ALTER ROLE vitals_app NOREPLICATION", "may replicate"),
    (
        "ALTER ROLE vitals_app SET search_path = public",
        "ALTER ROLE vitals_app SET search_path = pg_catalog, \"$user\", pg_temp",
        "another search path",
    ),
    ("GRANT vitals_owner TO vitals_app", "REVOKE vitals_owner FROM vitals_app", "may become role vitals_owner"),
    ("GRANT pg_read_all_data TO vitals_settle", "REVOKE pg_read_all_data FROM vitals_settle", "pg_read_all_data"),
    (
        "GRANT t_abcdefghijklmnopqrstuvwxyz TO vitals_app WITH ADMIN OPTION",
        "REVOKE ADMIN OPTION FOR t_abcdefghijklmnopqrstuvwxyz FROM vitals_app",
        "may hand out a membership",
    ),
    (
        "ALTER TABLE t_abcdefghijklmnopqrstuvwxyz.patient_history OWNER TO vitals_app",
        "ALTER TABLE t_abcdefghijklmnopqrstuvwxyz.patient_history OWNER TO vitals_owner",
        "vitals_app owns t_abcdefghijklmnopqrstuvwxyz.patient_history",
    ),
    (
        "ALTER TABLE t_abcdefghijklmnopqrstuvwxyz.patient_history OWNER TO t_abcdefghijklmnopqrstuvwxyz",
        "ALTER TABLE t_abcdefghijklmnopqrstuvwxyz.patient_history OWNER TO vitals_owner",
        "t_abcdefghijklmnopqrstuvwxyz owns",
    ),
    ("GRANT CREATE ON SCHEMA public TO PUBLIC", "REVOKE CREATE ON SCHEMA public FROM PUBLIC", "everyone may create in"),
    (
        "GRANT CREATE ON SCHEMA t_abcdefghijklmnopqrstuvwxyz TO t_abcdefghijklmnopqrstuvwxyz",
        "REVOKE CREATE ON SCHEMA t_abcdefghijklmnopqrstuvwxyz FROM t_abcdefghijklmnopqrstuvwxyz",
        "may create in schema t_",
    ),
    (
        "GRANT CREATE ON DATABASE vitals TO vitals_app",
        "REVOKE CREATE ON DATABASE vitals FROM vitals_app",
        "in database",
    ),
    ("GRANT TEMP ON DATABASE vitals TO PUBLIC", "REVOKE TEMP ON DATABASE vitals FROM PUBLIC", "temporary tables"),
    (
        "GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO vitals_app",
        "REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM vitals_app",
        "vitals_app may call set_config",
    ),
    (
        "GRANT SELECT ON t_abcdefghijklmnopqrstuvwxyz.patient_history TO vitals_app",
        "REVOKE SELECT ON t_abcdefghijklmnopqrstuvwxyz.patient_history FROM vitals_app",
        "without becoming the tenant",
    ),
    (
        "GRANT SELECT ON t_abcdefghijklmnopqrstuvwxyz.patient_history TO t_zyxwvutsrqponmlkjihgfedcba",
        "REVOKE SELECT ON t_abcdefghijklmnopqrstuvwxyz.patient_history FROM t_zyxwvutsrqponmlkjihgfedcba",
        "another tenant's",
    ),
    (
        "GRANT DELETE ON t_abcdefghijklmnopqrstuvwxyz.patient_history TO t_abcdefghijklmnopqrstuvwxyz",
        "REVOKE DELETE ON t_abcdefghijklmnopqrstuvwxyz.patient_history FROM t_abcdefghijklmnopqrstuvwxyz",
        "may only add",
    ),
    (
        "GRANT SELECT (body) ON t_abcdefghijklmnopqrstuvwxyz.patient TO vitals_app_4",
        "REVOKE SELECT (body) ON t_abcdefghijklmnopqrstuvwxyz.patient FROM vitals_app_4",
        "vitals_app_4 has rights on t_abcdefghijklmnopqrstuvwxyz.patient (body) without becoming",
    ),
    (
        "GRANT SELECT (body) ON t_abcdefghijklmnopqrstuvwxyz.patient TO PUBLIC",
        "REVOKE SELECT (body) ON t_abcdefghijklmnopqrstuvwxyz.patient FROM PUBLIC",
        "everyone has rights on t_abcdefghijklmnopqrstuvwxyz.patient (body)",
    ),
    (
        "GRANT UPDATE (body) ON t_abcdefghijklmnopqrstuvwxyz.patient_history TO t_abcdefghijklmnopqrstuvwxyz",
        "REVOKE UPDATE (body) ON t_abcdefghijklmnopqrstuvwxyz.patient_history FROM t_abcdefghijklmnopqrstuvwxyz",
        "may change t_abcdefghijklmnopqrstuvwxyz.patient_history (body), to which",
    ),
    (
        "GRANT SELECT (record) ON t_abcdefghijklmnopqrstuvwxyz.audit_outbox TO t_abcdefghijklmnopqrstuvwxyz",
        "REVOKE SELECT (record) ON t_abcdefghijklmnopqrstuvwxyz.audit_outbox FROM t_abcdefghijklmnopqrstuvwxyz",
        "may only add",
    ),
    (
        "GRANT SELECT ON t_abcdefghijklmnopqrstuvwxyz.patient TO vitals_settle",
        "REVOKE SELECT ON t_abcdefghijklmnopqrstuvwxyz.patient FROM vitals_settle",
        "beyond reading and emptying outboxes",
    ),
    (
        "GRANT UPDATE (record) ON t_abcdefghijklmnopqrstuvwxyz.audit_outbox TO vitals_settle",
        "REVOKE UPDATE (record) ON t_abcdefghijklmnopqrstuvwxyz.audit_outbox FROM vitals_settle",
        "beyond reading and emptying outboxes",
    ),
    (
        "GRANT USAGE ON SCHEMA control TO t_abcdefghijklmnopqrstuvwxyz",
        "REVOKE USAGE ON SCHEMA control FROM t_abcdefghijklmnopqrstuvwxyz",
        "t_abcdefghijklmnopqrstuvwxyz has rights on schema control",
    ),
    (
        "GRANT SELECT ON control.key TO t_abcdefghijklmnopqrstuvwxyz",
        "REVOKE SELECT ON control.key FROM t_abcdefghijklmnopqrstuvwxyz",
        "t_abcdefghijklmnopqrstuvwxyz has rights on control.key",
    ),
    (
        "GRANT USAGE ON SCHEMA t_abcdefghijklmnopqrstuvwxyz TO t_zyxwvutsrqponmlkjihgfedcba",
        "REVOKE USAGE ON SCHEMA t_abcdefghijklmnopqrstuvwxyz FROM t_zyxwvutsrqponmlkjihgfedcba",
        "another tenant's",
    ),
    ("GRANT UPDATE ON control.tenant TO vitals_app", "REVOKE UPDATE ON control.tenant FROM vitals_app", "only read"),
    (
        "GRANT UPDATE (status) ON control.tenant TO vitals_app_9",
        "REVOKE UPDATE (status) ON control.tenant FROM vitals_app_9",
        "role vitals_app_9 may change control.tenant (status)",
    ),
    (
        "GRANT UPDATE (expires) ON control.grant TO vitals_app",
        "REVOKE UPDATE (expires) ON control.grant FROM vitals_app",
        "role vitals_app may change control.\"grant\" (expires)",
    ),
    (
        "GRANT DELETE ON control.grant TO vitals_app",
        "REVOKE DELETE ON control.grant FROM vitals_app",
        "role vitals_app may change control.\"grant\"",
    ),
    (
        "GRANT SELECT ON control.key TO vitals_app WITH GRANT OPTION",
        "REVOKE GRANT OPTION FOR SELECT ON control.key FROM vitals_app",
        "may pass on",
    ),
    (
        "CREATE FUNCTION public.leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER
         AS 'SELECT count(*) FROM t_abcdefghijklmnopqrstuvwxyz.patient'",
        "DROP FUNCTION public.leak()",
        "function public.leak() runs with the rights of its owner",
    ),
    (
        "CREATE FUNCTION t_abcdefghijklmnopqrstuvwxyz.leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER
         AS 'SELECT count(*) FROM t_zyxwvutsrqponmlkjihgfedcba.patient'",
        "DROP FUNCTION t_abcdefghijklmnopqrstuvwxyz.leak()",
        "leak() runs with the rights of its owner",
    ),
    (
        "ALTER TABLE t_abcdefghijklmnopqrstuvwxyz.patient DROP CONSTRAINT patient_tenant",
        "ALTER TABLE t_abcdefghijklmnopqrstuvwxyz.patient ADD CONSTRAINT patient_tenant CHECK (tenant = :number)",
        "no constraint patient_tenant",
    ),
    (
        "ALTER TABLE t_abcdefghijklmnopqrstuvwxyz.patient DROP CONSTRAINT patient_tenant,
         ADD CONSTRAINT patient_tenant CHECK (tenant > 0)",
        "ALTER TABLE t_abcdefghijklmnopqrstuvwxyz.patient DROP CONSTRAINT patient_tenant,
         ADD CONSTRAINT patient_tenant CHECK (tenant = :number)",
        "no constraint patient_tenant",
    ),
    (
        "ALTER ROLE t_abcdefghijklmnopqrstuvwxyz VALID UNTIL 'infinity'",
        "ALTER ROLE t_abcdefghijklmnopqrstuvwxyz VALID UNTIL '-infinity'",
        "tenant role t_abcdefghijklmnopqrstuvwxyz gave itself",
    ),
    ("GRANT CONNECT ON DATABASE vitals TO PUBLIC", "REVOKE CONNECT ON DATABASE vitals FROM PUBLIC", "may connect to"),
];

/// The same of the audit store.
const AUDIT_WRONGS: [(&str, &str, &str); 12] = [
    (
        "GRANT INSERT ON audit.receipt TO vitals_audit_write",
        "REVOKE INSERT ON audit.receipt FROM vitals_audit_write",
        "INSERT on audit.receipt",
    ),
    (
        "GRANT DELETE ON audit.record TO vitals_audit_write",
        "REVOKE DELETE ON audit.record FROM vitals_audit_write",
        "DELETE",
    ),
    (
        "GRANT UPDATE (hash) ON audit.record TO vitals_audit_read",
        "REVOKE UPDATE (hash) ON audit.record FROM vitals_audit_read",
        "UPDATE",
    ),
    (
        "GRANT INSERT ON audit.record TO vitals_audit_read",
        "REVOKE INSERT ON audit.record FROM vitals_audit_read",
        "INSERT",
    ),
    ("GRANT vitals_owner TO vitals_audit_write", "REVOKE vitals_owner FROM vitals_audit_write", "vitals_owner"),
    (
        "GRANT SELECT ON audit.record TO vitals_audit_write",
        "REVOKE SELECT ON audit.record FROM vitals_audit_write",
        "role vitals_audit_write has SELECT",
    ),
    (
        "GRANT USAGE ON SCHEMA audit TO vitals_app; GRANT SELECT, DELETE ON audit.record TO vitals_app",
        "REVOKE USAGE ON SCHEMA audit FROM vitals_app; REVOKE SELECT, DELETE ON audit.record FROM vitals_app",
        "vitals_app has DELETE, SELECT on audit.record",
    ),
    ("GRANT USAGE ON SCHEMA audit TO vitals_app_9", "REVOKE USAGE ON SCHEMA audit FROM vitals_app_9", "vitals_app_9"),
    (
        "GRANT UPDATE (hash) ON audit.record TO vitals_settle",
        "REVOKE UPDATE (hash) ON audit.record FROM vitals_settle",
        "vitals_settle has UPDATE on audit.record (hash)",
    ),
    ("GRANT SELECT ON audit.record TO PUBLIC", "REVOKE SELECT ON audit.record FROM PUBLIC", "everyone has SELECT"),
    (
        "GRANT CONNECT ON DATABASE vitals_audit TO vitals_app",
        "REVOKE CONNECT ON DATABASE vitals_audit FROM vitals_app",
        "vitals_app has CONNECT",
    ),
    (
        "GRANT CONNECT ON DATABASE vitals_audit TO PUBLIC",
        "REVOKE CONNECT ON DATABASE vitals_audit FROM PUBLIC",
        "everyone may connect to",
    ),
];

/// A tenant: its role and its number.
async fn tenant(admin: &mut PgConnection, name: &str) -> (String, i32) {
    let new = NewTenant {
        name: name.parse().unwrap(),
        display: String::new(),
        isolation: Isolation::Schema,
        tier: "default".to_owned(),
        issuer: None,
    };
    let made = tenants::create(admin, &MasterKey::generate().unwrap(), &new, Utc::now()).await.unwrap().tenant;
    (made.role.to_string(), made.number)
}

#[tokio::test]
async fn login_that_could_do_more_than_serve_is_found() {
    let folder = Folder::new("posture");
    let database = fast(&folder.0).await.unwrap();
    let urls = database.urls();
    set_up(&urls).await;
    let mut admin = connect(&urls.app_admin().unwrap()).await.unwrap();
    roles::replenish(&mut admin, Utc::now()).await.unwrap();
    let (role, number) = tenant(&mut admin, "st-mary").await;
    let (other, _) = tenant(&mut admin, "st-john").await;
    let named = |text: &str| text.replace(TENANT, &role).replace(OTHER, &other).replace(":number", &number.to_string());
    let mut audit = connect(&urls.audit_admin().unwrap()).await.unwrap();
    assert_eq!(problems(&urls).await, Vec::<String>::new());
    let login =
        doctor::checks(&urls, &Utc::now).await.into_iter().find(|c| c.check.starts_with("tenant roles")).unwrap();
    assert!(login.ok && login.advice.contains("could not log in"), "{login:?}");

    // A role may give itself a password. It does not get in with it.
    let mut app = connect(&urls.app).await.unwrap();
    run(&mut app, &format!("SET ROLE {role}; ALTER ROLE {role} PASSWORD 'own'")).await;
    let (_, server) = urls.app.split_once('@').unwrap();
    let own = connect(&format!("postgres://{role}:own@{server}")).await;
    assert!(matches!(own, Err(ConnectError::Refused { .. })), "{own:?}");
    run(&mut admin, &format!("ALTER ROLE {other} VALID UNTIL 'infinity'")).await;
    let login =
        doctor::checks(&urls, &Utc::now).await.into_iter().find(|c| c.check.starts_with("tenant roles")).unwrap();
    assert!(!login.ok && login.advice.contains(&other), "{login:?}");
    run(&mut admin, &format!("ALTER ROLE {other} VALID UNTIL '-infinity'")).await;

    let whats = |problems: Vec<posture::Problem>| problems.into_iter().map(|p| p.what).collect::<Vec<_>>();
    for (wrong, right, told) in LOGIN_WRONGS {
        let (wrong, right, told) = (named(wrong), named(right), named(told));
        run(&mut admin, &wrong).await;
        let found = whats(posture::logins(&urls).await.unwrap());
        assert!(found.iter().any(|problem| problem.contains(&told)), "{wrong}: {found:?}");
        run(&mut admin, &right).await;
        assert_eq!(whats(posture::logins(&urls).await.unwrap()), Vec::<String>::new(), "{right}");
    }
    for (wrong, right, told) in AUDIT_WRONGS {
        run(&mut audit, wrong).await;
        let found = whats(posture::audit(&urls).await.unwrap());
        assert!(found.iter().any(|problem| problem.contains(told)), "{wrong}: {found:?}");
        run(&mut audit, right).await;
        assert_eq!(whats(posture::audit(&urls).await.unwrap()), Vec::<String>::new(), "{right}");
    }
    assert_eq!(problems(&urls).await, Vec::<String>::new());
    database.stop().await.unwrap();
}

#[tokio::test]
async fn role_that_is_no_superuser_can_set_up_all_but_one_thing() {
    let folder = Folder::new("outside");
    let database = fast(&folder.0).await.unwrap();
    let superuser = database.urls();
    let mut admin = connect(&superuser.admin().unwrap()).await.unwrap();
    run(&mut admin, "CREATE ROLE boss LOGIN CREATEROLE CREATEDB PASSWORD 'b'; CREATE ROLE plain LOGIN PASSWORD 'p'")
        .await;
    let app = superuser.app.replace("/vitals?", "/ward?");
    let (user, rest) = app.split_once('@').unwrap();
    let app = format!("postgres://ward'app:se%20cr%27et@{rest}");
    assert!(user.contains("vitals_app"));
    let urls = |admin: &str| {
        let admin = format!("postgres://{admin}@{}", rest.replace("/ward?", "/postgres?"));
        Urls::outside(&app, Some(&admin), None).unwrap()
    };

    // A role that may not is told so; one that may makes everything.
    let error = setup::cluster(&urls("plain:p")).await.unwrap_err();
    assert!(matches!(error, setup::SetupError::NotAdministrator(_)), "{error}");
    let outside = urls("boss:b");
    let report = set_up(&outside).await;
    assert!(report.pending.iter().all(|pending| pending.statement.contains("set_config")), "{report:?}");
    assert_eq!(report.pending.iter().map(|p| p.database.as_str()).collect::<Vec<_>>(), ["ward_audit", "ward"]);

    // It does not serve before a superuser has done the rest.
    let found = problems(&outside).await;
    assert!(!found.is_empty() && found.iter().all(|problem| problem.contains("set_config")), "{found:?}");
    for pending in &report.pending {
        let url = superuser.admin().unwrap().replace("/postgres?", &format!("/{}?", pending.database));
        run(&mut connect(&url).await.unwrap(), &pending.statement).await;
    }
    assert_eq!(problems(&outside).await, Vec::<String>::new());
    assert_eq!(setup::cluster(&outside).await.unwrap(), setup::Report::default());

    // A new password of the first role reaches the others.
    assert_eq!(setup::renew_passwords(&outside).await.unwrap(), Vec::<String>::new());
    run(&mut admin, "ALTER ROLE \"ward'app\" PASSWORD 'other'").await;
    assert!(matches!(setup::renew_passwords(&outside).await, Err(setup::SetupError::WrongPassword(_))));
    let renamed = |url: &str| url.replace("se%20cr%27et", "other");
    let renewed = Urls::outside(&renamed(&outside.app), outside.admin.as_deref(), None).unwrap();
    assert_eq!(setup::renew_passwords(&renewed).await.unwrap().len(), 11);
    connect(&renewed.login(7).unwrap()).await.unwrap();

    // A superuser does not serve, whatever else is right.
    let mighty = Urls { app: superuser.admin().unwrap(), ..superuser.clone() };
    assert!(matches!(setup::cluster(&mighty).await, Err(setup::SetupError::Mighty { .. })));
    drop(admin);
    database.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pooler_in_transaction_mode_is_refused() {
    let folder = Folder::new("pooler");
    let database = fast(&folder.0).await.unwrap();
    set_up(&database.urls()).await;
    // The database itself is no pooler.
    posture::pooler(&database.urls().app).await.unwrap();

    // The pooler's own session to the server needs no password here.
    let hba = database.data().join("pg_hba.conf");
    let rules = fs::read_to_string(&hba).unwrap();
    fs::write(&hba, format!("local all vitals_app trust\n{rules}")).unwrap();
    let mut admin = connect(&database.urls().admin().unwrap()).await.unwrap();
    run(&mut admin, "SELECT pg_reload_conf()").await;
    let directory: String =
        sqlx::query_scalar("SELECT current_setting('unix_socket_directories')").fetch_one(&mut admin).await.unwrap();
    let address = transaction_pooler(Path::new(&directory).join(".s.PGSQL.5432"));

    let refused = posture::pooler(&format!("postgres://vitals_app@{address}/vitals")).await.unwrap_err();
    assert!(matches!(refused, posture::PoolerError::Mixes), "{refused}");
    assert!(refused.to_string().contains("session mode"));
    drop(admin);
    database.stop().await.unwrap();
}

/// A pooler in transaction mode, as far as simple queries need one: every client is let in, and each query of any
/// client goes to the one session it has with the server.
fn transaction_pooler(server: PathBuf) -> SocketAddr {
    let mut session = UnixStream::connect(server).unwrap();
    let startup = b"user\0vitals_app\0database\0vitals\0\0";
    let length = u32::try_from(startup.len() + 8).unwrap().to_be_bytes();
    session.write_all(&[&length[..], &196_608_u32.to_be_bytes(), startup].concat()).unwrap();
    let mut greeting = Vec::new();
    relay_until_ready(&mut session, &mut greeting);
    let session = Arc::new(Mutex::new(session));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (session, greeting) = (Arc::clone(&session), greeting.clone());
            thread::spawn(move || serve_client(client.unwrap(), &session, &greeting));
        }
    });
    address
}

fn serve_client(mut client: TcpStream, session: &Mutex<UnixStream>, greeting: &[u8]) {
    loop {
        let mut length = [0; 4];
        client.read_exact(&mut length).unwrap();
        let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
        client.read_exact(&mut startup).unwrap();
        if startup == 80_877_103_u32.to_be_bytes() {
            client.write_all(b"N").unwrap(); // no TLS here
        } else {
            break client.write_all(greeting).unwrap();
        }
    }
    while let Ok(query) = message(&mut client) {
        if query[0] == b'Q' {
            let mut session = session.lock().unwrap();
            session.write_all(&query).unwrap();
            relay_until_ready(&mut *session, &mut client);
        }
    }
}

fn relay_until_ready(from: &mut impl Read, to: &mut impl Write) {
    loop {
        let message = message(from).unwrap();
        to.write_all(&message).unwrap();
        if message[0] == b'Z' {
            return;
        }
    }
}

fn message(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; 5];
    from.read_exact(&mut message)?;
    let length = u32::from_be_bytes(message[1..].try_into().unwrap()) as usize;
    message.resize(length + 1, 0);
    from.read_exact(&mut message[5..])?;
    Ok(message)
}

#[tokio::test]
async fn place_that_only_root_reaches_is_left_for_the_state_directory() {
    let folder = Folder::new("closed");
    if fs::metadata(&folder.0).unwrap().uid() != 0 {
        eprintln!("not root: nothing to see");
        return;
    }
    fs::set_permissions(&folder.0, Permissions::from_mode(0o700)).unwrap();
    let data_dir = folder.0.join("in/side");
    let mut told = Vec::new();
    let options = EmbeddedOptions { fsync: false, max_connections: 60 };
    let database = Embedded::start_with(&data_dir, options, &mut |text| told.push(text.to_owned())).await.unwrap();

    assert!(database.data().starts_with("/var/lib/vitals"), "{}", database.data().display());
    assert!(told.iter().any(|text| text.contains("/var/lib/vitals")), "{told:?}");
    assert_eq!(fs::read_link(data_dir.join("postgres")).unwrap(), database.data());
    let urls = database.urls();
    let home = database.data().parent().unwrap().to_owned();
    database.stop().await.unwrap();

    // Found again, even where the unprivileged user could now go; and said again.
    fs::set_permissions(&folder.0, Permissions::from_mode(0o711)).unwrap();
    let again = fast(&data_dir).await.unwrap();
    assert_eq!(again.urls(), urls);
    again.stop().await.unwrap();
    fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn path_too_long_for_a_socket_gets_a_short_one() {
    let folder = Folder::new("long");
    let data_dir = folder.0.join("a-rather-long-name".repeat(5));
    let database = fast(&data_dir).await.unwrap();

    let mut admin = connect(&database.urls().admin().unwrap()).await.unwrap();
    let row = sqlx::query("SELECT current_setting('unix_socket_directories')").fetch_one(&mut admin).await.unwrap();
    let directory: String = row.get(0);
    assert!(directory.starts_with("/tmp/vitals-"), "{directory}");
    assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
    drop(admin);
    database.stop().await.unwrap();
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn second_server_on_a_data_directory_learns_of_the_first() {
    let folder = Folder::new("serve");
    let mut first = ServeLock::acquire(&folder.0).unwrap();
    first.listening("http://127.0.0.1:8080").unwrap();

    let error = ServeLock::acquire(&folder.0).unwrap_err();
    assert!(matches!(error, LockError::Serving { .. }));
    let told = error.to_string();
    assert!(told.contains("http://127.0.0.1:8080") && told.contains(&std::process::id().to_string()), "{told}");

    drop(first);
    ServeLock::acquire(&folder.0).unwrap();
}
