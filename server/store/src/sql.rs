//! Statement text: the one place of tenant statements where text that is not static reaches sqlx.
//!
//! A statement is made of static pieces and binds; nothing else can be pushed. Role names come from
//! [`TenantRole`], whose form (`t_[a-z2-7]{26}`) needs no quoting and cannot hold a quote.

#[expect(clippy::disallowed_types, reason = "the one file whose text is not static")]
use sqlx::AssertSqlSafe;
use sqlx::{
    Encode, Postgres, Type,
    postgres::{PgArguments, types::PgHasArrayType},
    query::Query,
};
use vitals_access::tenant::TenantRole;

/// A statement under construction.
pub struct Sql {
    name: &'static str,
    text: String,
    arguments: PgArguments,
    binds: usize,
    failed: bool,
}

impl Sql {
    /// An empty statement; the name is its span and metric.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, text: String::with_capacity(256), arguments: PgArguments::default(), binds: 0, failed: false }
    }

    /// A statement that tells how the one appended to it would run, and runs nothing.
    pub(crate) fn explaining(name: &'static str) -> Self {
        let mut sql = Self::new(name);
        sql.push("EXPLAIN (COSTS FALSE) ");
        sql
    }

    /// The statement's name.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Appends text.
    pub(crate) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder and binds the value to it.
    pub(crate) fn bind<'v, T: Encode<'v, Postgres> + Type<Postgres>>(&mut self, value: T) -> &mut Self {
        use std::fmt::Write as _;
        // A value that cannot be encoded fails the statement when it runs.
        self.failed |= sqlx::Arguments::add(&mut self.arguments, value).is_err();
        self.binds += 1;
        self.failed |= write!(self.text, "${}", self.binds).is_err();
        self
    }

    /// Appends `= value`, or `= ANY(values)` for several.
    pub(crate) fn bind_any<T>(&mut self, values: &[T]) -> &mut Self
    where
        T: Clone + PgHasArrayType + Type<Postgres> + for<'q> Encode<'q, Postgres>,
    {
        match values {
            [one] => self.push(" = ").bind(one.clone()),
            many => self.push(" = ANY(").bind(many.to_vec()).push(")"),
        }
    }

    /// The query sqlx runs, or none if a value could not be encoded.
    #[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "made of static pieces only, see above")]
    pub(crate) fn into_query(self) -> Option<Query<'static, Postgres, PgArguments>> {
        (!self.failed).then(|| sqlx::query_with(AssertSqlSafe(self.text), self.arguments))
    }
}

/// Runs a statement that returns nothing and takes no binds. All of them are here.
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "static text and role names of a fixed form")]
pub(crate) async fn run(connection: &mut sqlx::PgConnection, statement: Plain<'_>) -> Result<(), sqlx::Error> {
    use sqlx::Executor as _;
    let text = match statement {
        Plain::Bind(role) => format!("SET ROLE {}", role.as_str()),
        Plain::Begin(role) => format!("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL ROLE {}", role.as_str()),
        Plain::BeginLong(role) => format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL ROLE {}; SET LOCAL statement_timeout = '60s'",
            role.as_str()
        ),
        Plain::BeginSnapshot(role) => {
            format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL ROLE {}", role.as_str())
        }
        Plain::Commit => "COMMIT".to_owned(),
        Plain::Rollback => "ROLLBACK".to_owned(),
    };
    connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map(drop)
}

/// A statement without binds.
#[derive(Clone, Copy)]
pub(crate) enum Plain<'a> {
    /// Moves the session to a tenant's role, and with it to the tenant's schema.
    Bind(&'a TenantRole),
    /// Opens a writing transaction as a tenant.
    Begin(&'a TenantRole),
    /// Opens a writing transaction whose statements may take a minute (bundles, imports).
    BeginLong(&'a TenantRole),
    /// Opens a transaction of reads that see one moment.
    BeginSnapshot(&'a TenantRole),
    /// Ends a transaction.
    Commit,
    /// Gives a transaction up.
    Rollback,
}
