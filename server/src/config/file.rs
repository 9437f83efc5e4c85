//! The TOML file (`--config`): keys are the flags without their dashes, values are texts, lists of texts for options
//! that repeat; and the tables of limits (`limits.rs`). Read by hand and not through serde, because serde's errors repeat the value they dislike, and the
//! value may be a password.

use std::{collections::BTreeMap, path::Path};

use super::{ConfigError, limits};
use crate::limit::settings::LimitSettings;

/// The keys that the file may hold: every flag but `config` itself.
const KEYS: [&str; 23] = [
    "database-url",
    "database-url-file",
    "admin-database-url",
    "audit-database-url",
    "data-dir",
    "listen",
    "operator-listen",
    "public-url",
    "master-key-file",
    "operator-token-file",
    "egress-allow",
    "tls-cert",
    "tls-key",
    "tls-client-ca",
    "tls-client-auth",
    "tls-client-crl",
    "trusted-proxy",
    "redis-url",
    "audit-durability",
    "audit-heads",
    "audit-heads-syslog",
    "audit-queries",
    "log",
];

/// Keys whose value may be a list.
const LISTS: [&str; 2] = ["egress-allow", "trusted-proxy"];

/// What the file says, by key; lists joined with commas.
#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    values: BTreeMap<&'static str, String>,
    /// The tables `tiers`, `costs` and `limits`.
    pub(super) limits: LimitSettings,
}

impl ConfigFile {
    /// Reads the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            origin: "--config".into(),
            path: name.clone(),
            source,
        })?;
        Self::parse(&name, &text)
    }

    pub(super) fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            // Neither the error's own text nor the line is repeated: both may hold a password.
            ConfigError::NotToml { path: name.to_owned(), line }
        })?;
        let limits = limits::take(name, &mut table)?;
        let mut values = BTreeMap::new();
        for (key, value) in table {
            let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
                return Err(ConfigError::UnknownKey { path: name.to_owned(), key });
            };
            let text = match value {
                toml::Value::String(text) => Some(text),
                toml::Value::Array(items) if LISTS.contains(&known) => {
                    items.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>().map(|items| items.join(","))
                }
                _ => None,
            };
            let Some(text) = text else {
                let wanted =
                    if LISTS.contains(&known) { "must be a text or a list of texts" } else { "must be a text" };
                return Err(ConfigError::Value { origin: format!("{key} in {name}"), why: wanted.to_owned() });
            };
            values.insert(known, text);
        }
        Ok(Self { values, limits })
    }

    /// The value of a key, if the file has it.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}
