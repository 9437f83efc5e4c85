//! How much scopes would open of a tenant: counts under the same predicate as a search, and no row.

use vitals_access::{predicate::Visible, preview::Preview};
use vitals_fhir::{
    resource::{Observation, Patient, ResourceType},
    token,
};

use super::{
    predicate,
    table::{alias, column},
};
use crate::{
    StoreError,
    error::Commits,
    pool::{Lease, TenantPool},
    sql::Sql,
    tenant::LONG,
};

/// Codes that are told one by one; a hospital's vital signs and its laboratory are some hundreds.
const MOST_CODES: usize = 500;

/// What scopes would open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opens {
    /// Patients.
    pub patients: u64,
    /// Observations, by their code, the most frequent first.
    pub observations: Vec<OfCode>,
    /// Whether there are more codes than these.
    pub more_codes: bool,
}

/// Observations of one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfCode {
    /// The system of the code, empty where it has none. Of several vital signs in one Observation: none.
    pub code: Option<(String, String)>,
    /// How many there are.
    pub count: u64,
    /// How many patients they are about.
    pub patients: u64,
}

impl TenantPool {
    /// Counts what scopes would open.
    pub async fn preview(&self, preview: &Preview) -> Result<Opens, StoreError> {
        let mut lease = self.lease(preview.tenant()).await?;
        let patients = match preview.visible(ResourceType::Patient) {
            Visible::Nothing => 0,
            visible => patients(&mut lease, visible).await?,
        };
        let mut observations = match preview.visible(ResourceType::Observation) {
            Visible::Nothing => Vec::new(),
            visible => observations(&mut lease, visible).await?,
        };
        let more_codes = observations.len() > MOST_CODES;
        observations.truncate(MOST_CODES);
        Ok(Opens { patients, observations, more_codes })
    }
}

async fn patients(lease: &mut Lease, visible: &Visible) -> Result<u64, StoreError> {
    let mut sql = Sql::new("preview.patients");
    sql.push("SELECT x.tenant, count(*) AS total FROM patient x WHERE ");
    predicate::push(&mut sql, alias::<Patient>("x"), visible);
    sql.push(" GROUP BY x.tenant");
    let rows = lease.rows(sql, Commits::No, LONG).await?;
    rows.first().map_or(Ok(0), |row| number(column(row, "patient", "total")?, "patient"))
}

async fn observations(lease: &mut Lease, visible: &Visible) -> Result<Vec<OfCode>, StoreError> {
    let mut sql = Sql::new("preview.observations");
    sql.push(
        "SELECT x.tenant, x.code1, count(*) AS total, count(DISTINCT x.patient) AS patients FROM observation x WHERE ",
    );
    predicate::push(&mut sql, alias::<Observation>("x"), visible);
    sql.push(" GROUP BY x.tenant, x.code1 ORDER BY total DESC, x.code1 LIMIT ");
    sql.bind(i64::try_from(MOST_CODES + 1).unwrap_or(i64::MAX));
    let rows = lease.rows(sql, Commits::No, LONG).await?;
    rows.iter()
        .map(|row| {
            const TABLE: &str = "observation";
            let code: Option<String> = column(row, TABLE, "code1")?;
            Ok(OfCode {
                code: code.as_deref().and_then(token::of_form),
                count: number(column(row, TABLE, "total")?, TABLE)?,
                patients: number(column(row, TABLE, "patients")?, TABLE)?,
            })
        })
        .collect()
}

fn number(count: i64, table: &'static str) -> Result<u64, StoreError> {
    u64::try_from(count).map_err(|_| StoreError::Inconsistent { table, column: "total" })
}
