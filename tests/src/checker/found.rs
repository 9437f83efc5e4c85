//! What stands when a fault is over: read as a client reads, and in the trail and the tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::Value;

use super::{Asked, Outcome, Sent, judge::is_allowed};
use crate::{Answer, Tenant, sql, tenant::client};

/// Reads at a time.
const AT_ONCE: usize = 8;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Place {
    /// The FHIR base of the tenant.
    pub base: String,
    /// A token that reads everything there.
    pub token: String,
    /// The tenant's role and schema.
    pub role: String,
    /// The database of the tenants, as its administrator.
    pub tables: String,
    /// The audit database, as who reads there.
    pub trail: String,
}

/// A version that a reader finds.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its number.
    pub version: i64,
    /// Whether it says that the resource is deleted.
    pub deleted: bool,
    /// Its time.
    pub last_updated: String,
    /// The resource; null of a deleted one.
    pub content: Value,
}

/// Everything that is looked at.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// All versions, by type and id.
    pub versions: BTreeMap<(String, String), Vec<Standing>>,
    /// The texts of acknowledged versions.
    pub texts: HashMap<(String, String, i64), String>,
    /// The trail, by request.
    pub records: HashMap<String, Vec<Value>>,
    /// Rows that stand where they must not.
    pub foreign: Vec<String>,
}

impl Place {
    /// Of a tenant on a server within this process.
    pub fn of(tenant: &Tenant) -> Self {
        let urls = &tenant.server.cluster.urls;
        Self {
            base: tenant.base(),
            token: tenant.all(),
            role: tenant.role(),
            tables: urls.app_admin().expect("an administrator"),
            trail: urls.audit_read.clone(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(client().request(Method::GET, format!("{}/{path}", self.base)).bearer_auth(&self.token)).await
    }
}

impl Found {
    /// Looks.
    pub(super) async fn at(place: &Place, sent: &[Sent]) -> Self {
        let mut found = Self::default();
        for kind in ["Patient", "Observation"] {
            found.read_versions(place, kind).await;
        }
        found.read_trail(place).await;
        found.read_foreign(place, sent).await;
        found
    }

    /// Reads the texts of acknowledged versions.
    pub(super) async fn read_texts(&mut self, place: &Place, sent: &[Sent]) {
        let told = sent.iter().filter_map(|one| match &one.outcome {
            Outcome::Acknowledged { id, version, body: Some(_), .. } if one.asked != Asked::Delete => {
                Some((one.kind.to_owned(), id.clone(), *version))
            }
            _ => None,
        });
        let keys: BTreeSet<(String, String, i64)> = told.collect();
        let texts = stream::iter(keys).map(async |(kind, id, version)| {
            let answer = place.get(&format!("{kind}/{id}/_history/{version}")).await;
            ((kind, id, version), answer.body)
        });
        self.texts = texts.buffer_unordered(AT_ONCE).collect().await;
    }

    /// How many writes of a resource the trail is sure of, and of how many more it does not know how they ended.
    pub(super) fn writes(&self, kind: &str, id: &str) -> (usize, usize) {
        let wrote = |told: &Value| {
            let action = told["action"].as_str().unwrap_or_default();
            // A create that found what was there already is no write.
            let found = action == "create" && told["status"] == 200;
            told["type"] == kind && told["id"] == id && ["create", "update", "delete"].contains(&action) && !found
        };
        let (mut sure, mut open) = (0, 0);
        for record in self.records.values().flatten() {
            let entries = record["entries"].as_array().map_or(&[][..], Vec::as_slice);
            // Deleting what is deleted makes no version.
            let single = usize::from(wrote(record) && record["version"].is_i64());
            let count = single + entries.iter().filter(|told| wrote(told) && is_allowed(told)).count();
            match record["decision"].as_str() {
                Some("allowed") => sure += count,
                Some("unknown") => open += count,
                _ => {}
            }
        }
        (sure, open)
    }

    async fn read_versions(&mut self, place: &Place, kind: &str) {
        let mut page = Some(format!("{kind}/_history?_count=1000"));
        while let Some(path) = page {
            let answer = place.get(&path).await.expect(200);
            // Links hold the public URL, which may be that of a proxy.
            page = answer.link("next").map(|link| link.split_once("/fhir/").expect("a FHIR base").1.to_owned());
            for entry in answer.json()["entry"].as_array().into_iter().flatten() {
                let (response, content) = (&entry["response"], &entry["resource"]);
                let version = response["etag"].as_str().and_then(|tag| tag.trim_matches(['W', '/', '"']).parse().ok());
                let url = entry["request"]["url"].as_str().expect("a URL");
                let id = content["id"].as_str().or_else(|| url.split('/').nth(1)).expect("an id").to_owned();
                let standing = Standing {
                    version: version.expect("a version"),
                    deleted: content.is_null(),
                    last_updated: response["lastModified"].as_str().expect("a time").to_owned(),
                    content: content.clone(),
                };
                self.versions.entry((kind.to_owned(), id)).or_default().push(standing);
            }
        }
    }

    async fn read_trail(&mut self, place: &Place) {
        let select = format!("SELECT record FROM audit.record WHERE chain = '{}'", place.role);
        for record in sql::run(&place.trail, &select).await.lines() {
            let record: Value = serde_json::from_str(record).expect("a record is JSON");
            let request = record["request_id"].as_str().unwrap_or_default().to_owned();
            self.records.entry(request).or_default().push(record);
        }
    }

    /// Rows that say they are another tenant's than the schema's, and our ids in other schemas.
    async fn read_foreign(&mut self, place: &Place, sent: &[Sent]) {
        let acknowledged = sent.iter().filter_map(|one| match &one.outcome {
            Outcome::Acknowledged { id, .. } => Some(format!("'{id}'")),
            _ => None,
        });
        let ids: BTreeSet<String> = acknowledged.collect();
        let ids: Vec<String> = ids.into_iter().collect();
        let ours = if ids.is_empty() { "NULL".to_owned() } else { ids.join(",") };
        let count = |condition: &str| {
            format!(
                "(xpath('/row/n/text()', query_to_xml(format($q$SELECT count(*) AS n FROM %I.%I WHERE {condition}$q$, \
                 role, relname, number), false, true, '')))[1]::text::bigint"
            )
        };
        let tables = "SELECT t.role, t.number, c.relname FROM control.tenant t \
                      JOIN pg_namespace n ON n.nspname = t.role \
                      JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r'";
        let resources = "('patient', 'patient_history', 'observation', 'observation_history')";
        let select = format!(
            "SELECT role || '.' || relname || ': rows of another tenant' FROM ({tables} JOIN pg_attribute a \
             ON a.attrelid = c.oid AND a.attname = 'tenant') t WHERE {} > 0 \
             UNION ALL SELECT role || '.' || relname || ': ids of this tenant' FROM ({tables} \
             WHERE c.relname IN {resources} AND t.role <> '{}') t WHERE {} > 0",
            count("tenant <> %s"),
            place.role,
            count(&format!("id IN ({ours}) AND %s IS NOT NULL")),
        );
        self.foreign = sql::run(&place.tables, &select).await.lines().map(str::to_owned).collect();
    }
}
