//! Everything that speaks to PostgreSQL: the tenant pool, the typed views of a tenant's rows, the control tables,
//! the migrations and the audit store. No other crate names sqlx.

pub mod audit;
pub mod authorization;
mod error;
pub mod imports;
pub mod millis;
pub mod pool;
pub mod rows;
mod sql;
pub mod tenant;

pub mod control;
pub mod doctor;
pub mod dump;
pub mod embedded;
pub mod migrate;
pub mod posture;
pub mod seal;
pub mod setup;
pub mod urls;
pub use error::StoreError;

/// A connection to one of the databases, to be handed to the functions of this crate: what it is made of is nobody
/// else's business.
pub type Connection = sqlx::PgConnection;
