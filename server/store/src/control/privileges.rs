//! What the login roles that serve may do in the control schema.

use sqlx::PgConnection;

use super::{ControlError, begin};
use crate::migrate::ddl;

/// Registers the serving logins (the first is slot 0) and grants each its rights on the control schema. Safe to
/// repeat; runs after [`crate::migrate::control`].
pub async fn apply(admin: &mut PgConnection, logins: &[String]) -> Result<(), ControlError> {
    let failed = || ControlError::database("register the login roles that serve");
    let mut tx = begin(admin).await.map_err(failed())?;
    sqlx::query("SELECT pg_advisory_xact_lock(7311, 3)").execute(&mut *tx).await.map_err(failed())?;
    for (slot, login) in (0_i16..).zip(logins) {
        sqlx::query(
            "INSERT INTO control.login_role AS l (slot, name) VALUES ($1, $2)
             ON CONFLICT (slot) DO UPDATE SET name = EXCLUDED.name WHERE l.name <> EXCLUDED.name",
        )
        .bind(slot)
        .bind(login)
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
        ddl::grant_control(&mut tx, login).await.map_err(failed())?;
    }
    tx.commit().await.map_err(failed())
}

/// Grants the registered logins their rights anew, for tables that a migration has just made.
pub async fn renew(admin: &mut PgConnection) -> Result<(), ControlError> {
    let failed = || ControlError::database("read the login roles that serve");
    let mut tx = begin(admin).await.map_err(failed())?;
    let logins: Vec<String> = sqlx::query_scalar("SELECT name FROM control.login_role ORDER BY slot")
        .fetch_all(&mut *tx)
        .await
        .map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    apply(admin, &logins).await
}
