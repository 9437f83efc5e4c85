//! Statements about roles and schemas, whose names cannot be bound as values.
//!
//! The one file of this crate's setup, posture and doctor that lets text become SQL: a [`Statement`] is put together
//! from fixed text and from names and literals that are quoted here.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "statements made of fixed text and of names and literals quoted here"
)]

use sqlx::{AssertSqlSafe, PgConnection, Row};

/// A statement in the making.
#[derive(Clone, Debug)]
pub(crate) struct Statement(String);

impl Statement {
    /// Begins with fixed text.
    pub(crate) fn new(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// Adds fixed text.
    pub(crate) fn text(mut self, text: &'static str) -> Self {
        self.0.push_str(text);
        self
    }

    /// Adds a name, quoted.
    pub(crate) fn name(mut self, name: &str) -> Self {
        self.0.push_str(&quoted(name));
        self
    }

    /// Adds names, quoted, with commas between.
    pub(crate) fn names<N: AsRef<str>>(mut self, names: &[N]) -> Self {
        let names: Vec<String> = names.iter().map(|name| quoted(name.as_ref())).collect();
        self.0.push_str(&names.join(", "));
        self
    }

    /// Adds a text literal. Control characters and backslashes have no business in what we write here.
    pub(crate) fn literal(mut self, text: &str) -> Self {
        let plain: String = text.chars().filter(|sign| *sign != '\\' && !sign.is_control()).collect();
        self.0.push('\'');
        self.0.push_str(&plain.replace('\'', "''"));
        self.0.push('\'');
        self
    }

    /// The text, to show to a person.
    pub(crate) fn shown(&self) -> String {
        self.0.clone()
    }

    /// Runs it by itself: as a simple query, outside the statement cache.
    pub(crate) async fn run(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(self.0)).execute(connection).await.map(drop)
    }
}

/// The server process behind a connection, asked as a simple query: a pooler in transaction mode knows no others.
pub(crate) async fn backend(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_catalog.pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}

/// A name as SQL writes it. PostgreSQL refuses a NUL in any statement, so that needs no care.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_cannot_end_early() {
        let statement = Statement::new("ALTER ROLE ").name("a\"; DROP ROLE b; --").text(" PASSWORD ").literal("x'y\\");
        assert_eq!(statement.shown(), "ALTER ROLE \"a\"\"; DROP ROLE b; --\" PASSWORD 'x''y'");
        assert_eq!(Statement::new("TO ").names(&["a", "b"]).shown(), "TO \"a\", \"b\"");
    }
}
