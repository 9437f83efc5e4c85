//! What tenants have switched on. Only the operator changes it: serving logins read it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use vitals_access::{settings::Settings, tenant::TenantName};

use super::{
    ControlError, begin,
    change::{self, Kind},
    tenants,
};

/// Sets what a tenant has switched on. The answer is the number of the change, for [`super::servers::caught_up`].
pub async fn set(
    admin: &mut PgConnection,
    name: &TenantName,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<i64, ControlError> {
    let failed = || ControlError::database("change what a tenant has switched on");
    let inconsistent = |_| ControlError::Inconsistent { table: "control.tenant", column: "settings" };
    let text = serde_json::to_string(settings).map_err(inconsistent)?;
    let mut tx = begin(admin).await.map_err(failed())?;
    let role = tenants::role(&mut tx, name).await?;
    sqlx::query("UPDATE control.tenant SET settings = $2 WHERE role = $1")
        .bind(role.as_str())
        .bind(text)
        .execute(&mut *tx)
        .await
        .map_err(failed())?;
    let seq = change::append(&mut tx, role.as_str(), Kind::Tenant, "settings", now).await.map_err(failed())?;
    tx.commit().await.map_err(failed())?;
    Ok(seq)
}
