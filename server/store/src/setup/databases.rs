//! The two databases, their schemas, and what is taken from everyone in them.

use sqlx::PgConnection;

use super::roles::OWNER;
use super::statement::Statement;
use super::{Administrator, Pending, Report, SetupError};

/// Makes a database, or checks the one that is there.
pub(super) async fn make(
    connection: &mut PgConnection,
    administrator: &Administrator,
    database: &str,
    report: &mut Report,
) -> Result<(), SetupError> {
    let encoding: Option<String> = sqlx::query_scalar(
        "SELECT pg_catalog.pg_encoding_to_char(encoding)::text FROM pg_catalog.pg_database WHERE datname = $1",
    )
    .bind(database)
    .fetch_optional(&mut *connection)
    .await
    .map_err(SetupError::doing("look for a database"))?;
    match encoding.as_deref() {
        Some("UTF8") => return Ok(()),
        Some(encoding) => {
            return Err(SetupError::Encoding { database: database.to_owned(), encoding: encoding.to_owned() });
        }
        None => {}
    }
    let native: bool = sqlx::query_scalar(
        "SELECT pg_catalog.pg_encoding_to_char(encoding) = 'UTF8' FROM pg_catalog.pg_database
         WHERE datname = 'template0'",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(SetupError::doing("look for template0"))?;
    let create = Statement::new("CREATE DATABASE ").name(database).text(" OWNER ").name(OWNER);
    // A server whose own locale has another encoding: C goes with every encoding, and our columns sort by it anyway.
    let create =
        create.text(if native { " TEMPLATE template0" } else { " TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'" });
    create.run(connection).await.map_err(SetupError::doing("create a database"))?;
    tracing::debug!(database, admin = administrator.name, "database created");
    report.made.push(format!("database {database}"));
    Ok(())
}

/// Takes rights from everyone, makes the schema, and lets the logins in.
pub(super) async fn arrange(
    connection: &mut PgConnection,
    administrator: &Administrator,
    schema: &'static str,
    logins: &[String],
    report: &mut Report,
) -> Result<(), SetupError> {
    let (database, owned): (String, bool) = sqlx::query_as(
        "SELECT datname::text, datdba = $1::text::regrole FROM pg_catalog.pg_database
         WHERE datname = current_database()",
    )
    .bind(OWNER)
    .fetch_one(&mut *connection)
    .await
    .map_err(SetupError::doing("look at a database"))?;
    // A superuser acts as the owner of whatever it is. Anyone else acts as the owner of what setup made.
    if !administrator.superuser && owned {
        become_owner(connection).await?;
    }
    for rule in rules(&database, administrator, logins) {
        rule.hold(connection, &database, report).await?;
    }
    become_owner(connection).await?;
    let there: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await
        .map_err(SetupError::doing("look for a schema"))?;
    if !there {
        Statement::new("CREATE SCHEMA ")
            .name(schema)
            .run(connection)
            .await
            .map_err(SetupError::doing("create a schema"))?;
        report.made.push(format!("schema {schema} in database {database}"));
    }
    Ok(())
}

/// Lets the logins read the control tables: those that migrations will make.
pub(super) async fn share_control(
    connection: &mut PgConnection,
    logins: &[String],
    report: &mut Report,
) -> Result<(), SetupError> {
    let shared: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_catalog.pg_default_acl d
         CROSS JOIN LATERAL aclexplode(d.defaclacl) a
         JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
         WHERE d.defaclnamespace = 'control'::regnamespace AND d.defaclobjtype = 'r'
           AND d.defaclrole = $1::text::regrole AND a.privilege_type = 'SELECT' AND r.rolname = ANY ($2)",
    )
    .bind(OWNER)
    .bind(logins)
    .fetch_one(&mut *connection)
    .await
    .map_err(SetupError::doing("look at default privileges"))?;
    if usize::try_from(shared) == Ok(logins.len()) {
        return Ok(());
    }
    let statements = [
        Statement::new("GRANT USAGE ON SCHEMA control TO ").names(logins),
        Statement::new("ALTER DEFAULT PRIVILEGES FOR ROLE ")
            .name(OWNER)
            .text(" IN SCHEMA control GRANT SELECT ON TABLES TO ")
            .names(logins),
        // Functions are for everyone unless somebody says otherwise.
        Statement::new("ALTER DEFAULT PRIVILEGES FOR ROLE ")
            .name(OWNER)
            .text(" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"),
    ];
    for statement in statements {
        statement.run(connection).await.map_err(SetupError::doing("share the control schema"))?;
    }
    report.made.push("rights of the login roles on schema control".to_owned());
    Ok(())
}

/// Lets go of every right but those of the owner of our schemas.
pub(super) async fn become_owner(connection: &mut PgConnection) -> Result<(), SetupError> {
    Statement::new("SET ROLE ").name(OWNER).run(connection).await.map_err(SetupError::doing("become vitals_owner"))
}

/// A state of things, how to see whether it is missing, and how to bring it about.
struct Rule {
    /// Is true where it is missing; binds one list of roles.
    missing: &'static str,
    roles: Vec<String>,
    statement: Statement,
}

impl Rule {
    async fn hold(self, connection: &mut PgConnection, database: &str, report: &mut Report) -> Result<(), SetupError> {
        if !self.is_missing(connection).await? {
            return Ok(());
        }
        match self.statement.clone().run(connection).await {
            Ok(()) => {}
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {}
            Err(error) => return Err(SetupError::doing("change rights in a database")(error)),
        }
        // Whoever lacks the right to revoke gets no error, only a notice.
        if self.is_missing(connection).await? {
            report.pending.push(Pending { database: database.to_owned(), statement: self.statement.shown() });
        } else {
            report.made.push(format!("{} in database {database}", self.statement.shown()));
        }
        Ok(())
    }

    async fn is_missing(&self, connection: &mut PgConnection) -> Result<bool, SetupError> {
        sqlx::query_scalar(self.missing)
            .bind(&self.roles)
            .fetch_one(connection)
            .await
            .map_err(SetupError::doing("look at rights in a database"))
    }
}

fn rules(database: &str, administrator: &Administrator, logins: &[String]) -> [Rule; 5] {
    let rule = |missing, roles: &[String], statement| Rule { missing, roles: roles.to_vec(), statement };
    let owner = [OWNER.to_owned()];
    let mut connecting = vec![administrator.name.clone()];
    connecting.extend_from_slice(logins);
    [
        // What these roles have by way of everyone does not count: it is taken from everyone below.
        rule(
            "SELECT EXISTS (
                 SELECT FROM unnest($1::text[]) AS role CROSS JOIN unnest(ARRAY['CREATE', 'CONNECT']) AS needed
                 WHERE NOT EXISTS (
                     SELECT FROM pg_catalog.pg_database d
                     CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
                     JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
                     WHERE d.datname = current_database() AND r.rolname = role AND a.privilege_type = needed))",
            &owner,
            Statement::new("GRANT CREATE, CONNECT ON DATABASE ").name(database).text(" TO ").name(OWNER),
        ),
        rule(
            "SELECT EXISTS (
                 SELECT FROM unnest($1::text[]) AS role
                 WHERE NOT EXISTS (
                     SELECT FROM pg_catalog.pg_database d
                     CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
                     JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
                     WHERE d.datname = current_database() AND r.rolname = role AND a.privilege_type = 'CONNECT'))",
            &connecting,
            Statement::new("GRANT CONNECT ON DATABASE ").name(database).text(" TO ").names(&connecting),
        ),
        rule(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_database d
             CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
             WHERE d.datname = current_database() AND a.grantee = 0)
             OR cardinality($1::text[]) < 0",
            &[],
            Statement::new("REVOKE CONNECT, CREATE, TEMPORARY ON DATABASE ").name(database).text(" FROM PUBLIC"),
        ),
        rule(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace n
             CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
             WHERE n.nspname = 'public' AND a.grantee = 0 AND a.privilege_type = 'CREATE')
             OR cardinality($1::text[]) < 0",
            &[],
            Statement::new("REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
        ),
        rule(
            // set_config('role', …) inside an ordinary SELECT would switch the tenant in the middle of a statement.
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc p
             CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
             WHERE p.oid = 'pg_catalog.set_config(text,text,boolean)'::regprocedure AND a.grantee = 0)
             OR cardinality($1::text[]) < 0",
            &[],
            Statement::new("REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC"),
        ),
    ]
}
