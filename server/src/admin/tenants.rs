//! Tenants and their migrations, as the operator reads and changes them. Changes need the administering role, and have
//! been read by every running server when their answer leaves.

use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};
use serde::Serialize;
use serde_json::json;
use vitals_access::tenant::{Tenant, TenantName};
use vitals_fhir::{search, temporal::instant};
use vitals_store::{
    Connection,
    control::{
        servers,
        tenants::{self, NewTenant, TenantRow},
    },
    migrate::{self, Only},
    urls,
};

use super::{audited::Audited, new_tenant, operator::Desk, problem::Problem};
use crate::{
    rest::{Incoming, respond},
    state::App,
};

/// Largest body: a key set of some size, many times over.
const MAX_BODY: usize = 1024 * 1024;

/// A tenant as the directory knows it.
#[derive(Serialize)]
struct Known<'t> {
    id: &'t str,
    name: &'t str,
    status: &'static str,
    /// The only one there is.
    isolation: &'static str,
    tier: &'t str,
    version: i32,
    created: String,
}

impl<'t> Known<'t> {
    fn of(tenant: &'t Tenant) -> Self {
        Self {
            id: tenant.name.as_str(),
            name: &tenant.display,
            status: tenant.status.name(),
            isolation: "schema",
            tier: &tenant.tier,
            version: tenant.version,
            created: instant(tenant.created.timestamp_millis()),
        }
    }
}

/// Every tenant, by name.
pub async fn list(desk: &Desk, app: &App) -> Result<Response, Problem> {
    if let Some(url) = &desk.admin_url {
        return json(StatusCode::OK, &tenants::list(&mut urls::connect(url).await?).await?);
    }
    let directory = app.feed.refresh().await?;
    let mut known: Vec<Known<'_>> = directory.tenants().map(|tenant| Known::of(tenant)).collect();
    known.sort_by_key(|tenant| tenant.id);
    json(StatusCode::OK, &known)
}

/// One tenant.
pub async fn show(desk: &Desk, app: &App, name: &str) -> Result<Response, Problem> {
    let name = named(name)?;
    if let Some(url) = &desk.admin_url {
        return json(StatusCode::OK, &row(&mut urls::connect(url).await?, &name).await?);
    }
    let directory = app.feed.refresh().await?;
    json(StatusCode::OK, &Known::of(directory.tenant(&name).ok_or_else(Problem::no_such_tenant)?))
}

/// Where every tenant's schema stands. Only the administering role reads the ledger.
pub async fn migrations(desk: &Desk) -> Result<Response, Problem> {
    let mut admin = desk.admin("vitals migrate status").await?;
    json(StatusCode::OK, &migrate::status(&mut admin, &Only::Everyone).await?)
}

/// A change of the operator's, with its record.
pub struct Change<'c, 'a> {
    /// The administering role.
    pub desk: &'c Desk,
    /// The application.
    pub app: &'a App,
    /// The record.
    pub audited: &'c mut Audited<'a>,
}

impl Change<'_, '_> {
    /// Makes a tenant.
    pub async fn create(&mut self, mut incoming: Incoming) -> Result<Response, Problem> {
        new_tenant::check_media_type(&incoming.headers)?;
        let body = incoming.read_body(MAX_BODY).await?;
        let new = new_tenant::parse(&body)?;
        self.audited.about(&new.name);
        let mut admin = self.desk.admin(&create_command(&new)).await?;
        self.audited.begin().await?;

        let created = tenants::create(&mut admin, &self.app.master_key, &new, self.app.clock.now()).await?;
        self.audited.in_chain_of(&created.tenant);
        self.spread(created.seq).await;
        let mut tenant = json!(row(&mut admin, &new.name).await?);
        if !created.warnings.is_empty() {
            tenant["warnings"] = json!(created.warnings);
        }
        let mut response = json(StatusCode::CREATED, &tenant)?;
        if let Ok(location) = HeaderValue::from_str(&format!("/operator/tenants/{}", new.name)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }

    /// Refuses every request to a tenant from now on.
    pub async fn suspend(&mut self, name: &str) -> Result<Response, Problem> {
        let (mut admin, tenant) = self.open("suspend", name).await?;
        self.audited.begin().await?;
        let seq = tenants::suspend(&mut admin, &tenant.name, self.app.clock.now()).await?;
        self.spread(seq).await;
        json(StatusCode::OK, &row(&mut admin, &tenant.name).await?)
    }

    /// Lets a suspended tenant serve again.
    pub async fn resume(&mut self, name: &str) -> Result<Response, Problem> {
        let (mut admin, tenant) = self.open("resume", name).await?;
        self.audited.begin().await?;
        let seq = tenants::resume(&mut admin, &tenant.name, self.app.clock.now()).await?;
        self.spread(seq).await;
        json(StatusCode::OK, &row(&mut admin, &tenant.name).await?)
    }

    /// Deletes a tenant with all its data; the query repeats its name.
    pub async fn delete(&mut self, name: &str, query: &str) -> Result<Response, Problem> {
        let name = named(name)?;
        if !is_confirmed(&name, query)? {
            return Err(Problem::not_confirmed(&name));
        }
        let (mut admin, tenant) = self.open("delete", name.as_str()).await?;
        self.audited.begin().await?;
        let deleted = tenants::delete(&mut admin, &tenant.name, name.as_str(), self.app.clock.now()).await?;
        self.audited.in_chain_of_server();
        self.spread(deleted.seq).await;
        self.app.pool.forget(&tenant);
        Ok(respond::empty(StatusCode::NO_CONTENT))
    }

    /// The administering role, and the tenant it is to change.
    async fn open(&mut self, command: &str, name: &str) -> Result<(Connection, Tenant), Problem> {
        let name = named(name)?;
        let confirm = if command == "delete" { format!(" --confirm {name}") } else { String::new() };
        let mut admin = self.desk.admin(&format!("vitals tenant {command} {name}{confirm}")).await?;
        let tenant = tenants::find(&mut admin, &name).await?.ok_or_else(Problem::no_such_tenant)?;
        self.audited.in_chain_of(&tenant);
        Ok((admin, tenant))
    }

    /// Has this server and the others read a change. One that cannot be reached refuses to serve within seconds.
    async fn spread(&self, seq: i64) {
        let here = self.app.feed.refresh().await.is_ok();
        let everywhere = match urls::connect(&self.app.urls.app).await {
            Ok(mut serving) => servers::caught_up(&mut serving, seq, self.app.clock.now()).await.unwrap_or(false),
            Err(_) => false,
        };
        if !here || !everywhere {
            tracing::warn!("a server has not read the operator's change yet");
        }
    }
}

impl Desk {
    /// A connection as the administering role, or the command to give instead.
    async fn admin(&self, command: &str) -> Result<Connection, Problem> {
        let url = self.admin_url.as_deref().ok_or_else(|| Problem::not_configured(command))?;
        Ok(urls::connect(url).await?)
    }
}

/// A name in a path. What is no name is no tenant's.
fn named(name: &str) -> Result<TenantName, Problem> {
    name.parse().map_err(|_| Problem::no_such_tenant())
}

async fn row(admin: &mut Connection, name: &TenantName) -> Result<TenantRow, Problem> {
    tenants::show(admin, name).await?.ok_or_else(Problem::no_such_tenant)
}

fn is_confirmed(name: &TenantName, query: &str) -> Result<bool, Problem> {
    let pairs = search::form_pairs(query).map_err(|issue| Problem::malformed(issue.diagnostics))?;
    Ok(matches!(pairs.as_slice(), [(key, value)] if key == "confirm" && value == name.as_str()))
}

fn create_command(new: &NewTenant) -> String {
    let issuer = if new.issuer.is_some() { " --issuer URL --jwks FILE" } else { "" };
    format!("vitals tenant create {}{issuer}", new.name)
}

fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let text = serde_json::to_string(body).map_err(|_| Problem::internal("answer"))?;
    Ok(respond::json(status, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_repeats_the_name_and_nothing_else() {
        let name = "north".parse().unwrap();
        let cases = [
            ("confirm=north", Some(true)),
            ("confirm=n%6frth", Some(true)),
            ("", Some(false)),
            ("confirm=", Some(false)),
            ("confirm=South", Some(false)),
            ("confirm=North", Some(false)),
            ("confirm=north&confirm=north", Some(false)),
            ("confirm=south&confirm=north", Some(false)),
            ("confirm=north&force=true", Some(false)),
            ("confirm=%zz", None),
        ];
        for (query, expected) in cases {
            assert_eq!(is_confirmed(&name, query).ok(), expected, "{query}");
        }
    }
}
