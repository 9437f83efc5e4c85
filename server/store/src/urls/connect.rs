//! Opening one connection, with a sentence a person can act on when that fails.

use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::{UrlError, connect_options};

/// How long a connection may take to open. A database in the same data centre needs milliseconds; a command that
/// says nothing for longer than this looks hung.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// A connection that did not open.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is no good.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Nobody answers there.
    #[error("no PostgreSQL answers at {address}")]
    Away {
        /// Host and port, or the socket's directory.
        address: String,
        /// What the network said.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// The role is not there, or its password is another one.
    #[error("PostgreSQL at {address} refused user {user}: wrong password, or no such role")]
    Refused {
        /// Host and port.
        address: String,
        /// The role.
        user: String,
        /// What the server said.
        #[source]
        source: sqlx::Error,
    },
    /// The database is not there.
    #[error("PostgreSQL at {address} has no database {database}: run `vitals setup` first")]
    NoDatabase {
        /// Host and port.
        address: String,
        /// The database.
        database: String,
    },
    /// Anything else.
    #[error("PostgreSQL at {address} let no connection open")]
    Other {
        /// Host and port.
        address: String,
        /// What happened.
        #[source]
        source: sqlx::Error,
    },
}

/// Opens a connection to a database URL.
pub async fn connect(url: &str) -> Result<PgConnection, ConnectError> {
    let options = connect_options(url)?;
    match tokio::time::timeout(OPEN_WITHIN, options.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(sort(&options, error)),
        Err(_) => Err(ConnectError::Away { address: address(&options), source: None }),
    }
}

fn sort(options: &PgConnectOptions, error: sqlx::Error) -> ConnectError {
    let address = address(options);
    let code = match &error {
        sqlx::Error::Io(_) => return ConnectError::Away { address, source: Some(error) },
        sqlx::Error::Database(database) => database.code().unwrap_or_default().into_owned(),
        _ => String::new(),
    };
    match code.as_str() {
        "28P01" | "28000" => ConnectError::Refused { address, user: options.get_username().to_owned(), source: error },
        "3D000" => {
            ConnectError::NoDatabase { address, database: options.get_database().unwrap_or_default().to_owned() }
        }
        "57P03" => ConnectError::Away { address, source: Some(error) },
        _ => ConnectError::Other { address, source: error },
    }
}

fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(directory) => directory.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}
