//! Configuration: flags > `VITALS_*` environment > TOML file (`--config`) > defaults, parsed once into [`Settings`].
//!
//! The only place that reads the environment. A value that is not what its option takes is refused with one sentence
//! that names the option where it was given; secrets are never part of a message (see [`Secret`]).

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

mod file;
mod flags;
mod limits;
mod secret;
mod sources;
#[cfg(test)]
mod tests;
mod tls;
mod value;

pub use flags::Flags;
pub use secret::Secret;
pub use tls::{ClientAuth, ClientAuthorities, TlsFiles};
pub use value::{AuditDurability, BadValue, LogFormat, PublicUrl, SyslogAddress, duration};

use vitals_access::audit::Queries;

use crate::{
    egress::Cidr,
    limit::{self, settings::LimitSettings},
};
use file::ConfigFile;
use sources::{Given, Sources};

/// Everything the process was told, parsed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The database to serve from.
    pub database: Database,
    /// A role on the same server that may create roles and schemas.
    pub admin_database_url: Option<Secret>,
    /// The audit database, if not the one beside the database.
    pub audit_database_url: Option<Secret>,
    /// Folder of the embedded PostgreSQL, its secrets and keys.
    pub data_dir: PathBuf,
    /// Address of the public listener.
    pub listen: SocketAddr,
    /// Address of the operator listener.
    pub operator_listen: SocketAddr,
    /// The URL clients use, where it was given; see [`Settings::public_url`].
    pub public_url: Option<PublicUrl>,
    /// Where the key that seals keys at rest comes from.
    pub master_key: MasterKeySource,
    /// File with the operator's token; none means the one under the data directory.
    pub operator_token_file: Option<PathBuf>,
    /// Addresses that may be fetched from although they are not public.
    pub egress_allow: Vec<Cidr>,
    /// Certificate and key of the listeners, if they speak TLS.
    pub tls: Option<TlsFiles>,
    /// Proxies whose word about the client is taken.
    pub trusted_proxies: Vec<Cidr>,
    /// Redis that limits are shared through.
    pub redis_url: Option<Secret>,
    /// Tiers, costs and limits, from the file alone.
    pub limits: LimitSettings,
    /// When an answer may leave, seen from its audit record.
    pub audit_durability: AuditDurability,
    /// Folder where the ends of the audit chains are kept outside the database.
    pub audit_heads: PathBuf,
    /// A syslog that is told them as well.
    pub audit_heads_syslog: Option<SyslogAddress>,
    /// What the trail keeps of the criteria of searches.
    pub audit_queries: Queries,
    /// How log lines look.
    pub log: LogFormat,
    /// Whether traces go to a collector (`OTEL_EXPORTER_OTLP_ENDPOINT` is set, `OTEL_SDK_DISABLED` is not).
    pub tracing: Tracing,
    /// What the operator should know, one sentence each, for standard error.
    pub warnings: Vec<String>,
}

/// Which PostgreSQL serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// One of our own under the data directory.
    Embedded,
    /// An outside one, reached by this URL as the login role that serves.
    Outside(Secret),
}

/// Where the master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeySource {
    /// A file under the data directory, made when it is not there.
    DataDirectory,
    /// A file that the operator named; it has to be there.
    File(PathBuf),
    /// The text of `VITALS_MASTER_KEY`.
    Environment(Secret),
}

/// Where spans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracing {
    /// Nowhere but into the log's fields.
    Local,
    /// To the OTLP collector that the standard `OTEL_*` variables describe.
    Collector,
}

/// Why the configuration is refused. The process ends with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value is not what its option takes.
    #[error("{origin}: {why}")]
    Value {
        /// The option as it was given: `--listen`, `VITALS_LISTEN`, `listen in vitals.toml`.
        origin: String,
        /// What would have been right.
        why: String,
    },
    /// A file that an option names cannot be read.
    #[error("{origin}: cannot read {path}: {source}")]
    Unreadable {
        /// The option.
        origin: String,
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{path} is not a TOML file; look at line {line}")]
    NotToml {
        /// The file.
        path: String,
        /// Where reading it ended.
        line: usize,
    },
    /// The configuration file has a key that is no option.
    #[error("{path}: no option is called {key}")]
    UnknownKey {
        /// The file.
        path: String,
        /// The key.
        key: String,
    },
    /// Two options say the same thing differently.
    #[error("{first} and {second} exclude each other; give one of them")]
    Exclusive {
        /// One option as it was given.
        first: String,
        /// The other.
        second: String,
    },
    /// An option has to be given here.
    #[error("{option} is needed {why}")]
    Missing {
        /// The option.
        option: &'static str,
        /// When it is needed.
        why: &'static str,
    },
}

impl Settings {
    /// Reads the configuration of this process.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::resolve(flags, &|name| std::env::var_os(name))
    }

    fn resolve(flags: &Flags, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let mut sources = Sources { environment, file: None };
        let path = match &flags.config {
            Some(path) => Some(path.clone()),
            None => sources.variable("VITALS_CONFIG")?.map(|given| PathBuf::from(given.text)),
        };
        if let Some(path) = path {
            sources.file = Some((path.display().to_string(), ConfigFile::read(&path)?));
        }
        let mut warnings = Vec::new();
        let database = match database_url(&sources, flags, &mut warnings)? {
            Some(url) => Database::Outside(url),
            None => Database::Embedded,
        };
        let admin_database_url =
            url_option(&sources, "admin-database-url", flags.admin_database_url.as_ref(), &mut warnings)?;
        let audit_database_url =
            url_option(&sources, "audit-database-url", flags.audit_database_url.as_ref(), &mut warnings)?;
        let redis_url = redis_url(&sources, flags, &mut warnings)?;
        let text = |name, flag: &Option<String>| sources.pick(name, flag.as_deref());
        let blocks = |name, flag: &[String]| {
            let flag = (!flag.is_empty()).then(|| flag.join(","));
            sources.pick(name, flag.as_deref())?.map_or_else(|| Ok(Vec::new()), cidrs)
        };
        let data_dir: PathBuf =
            text("data-dir", &flags.data_dir)?.map_or_else(|| ".vitals".into(), |given| given.text.into());
        let settings = Self {
            database,
            admin_database_url,
            audit_database_url,
            listen: address(text("listen", &flags.listen)?, SocketAddr::from(([127, 0, 0, 1], 8080)))?,
            operator_listen: address(
                text("operator-listen", &flags.operator_listen)?,
                SocketAddr::from(([127, 0, 0, 1], 8081)),
            )?,
            public_url: text("public-url", &flags.public_url)?.map(|given| given.parse()).transpose()?,
            master_key: master_key(&sources, flags)?,
            operator_token_file: text("operator-token-file", &flags.operator_token_file)?
                .map(|given| given.text.into()),
            egress_allow: blocks("egress-allow", &flags.egress_allow)?,
            tls: tls::files(&sources, flags)?,
            trusted_proxies: blocks("trusted-proxy", &flags.trusted_proxy)?,
            redis_url,
            limits: sources.file.as_ref().map(|(_, file)| file.limits.clone()).unwrap_or_default(),
            audit_durability: text("audit-durability", &flags.audit_durability)?
                .map_or(Ok(AuditDurability::default()), |given| given.parse())?,
            audit_heads: text("audit-heads", &flags.audit_heads)?
                .map_or_else(|| data_dir.join("heads"), |given| given.text.into()),
            audit_heads_syslog: text("audit-heads-syslog", &flags.audit_heads_syslog)?
                .map(|given| given.parse())
                .transpose()?,
            data_dir,
            audit_queries: text("audit-queries", &flags.audit_queries)?
                .map_or(Ok(Queries::default()), |given| given.parse_with(str::parse))?,
            log: text("log", &flags.log)?.map_or(Ok(LogFormat::default()), |given| given.parse())?,
            tracing: tracing(&sources)?,
            warnings,
        };
        Ok(settings)
    }

    /// The URL that every answer's URLs begin with, once the public listener is bound.
    ///
    /// The address itself serves only where nobody but this machine reaches it: behind any other address there is a
    /// name or a proxy that we cannot guess, and the `Host` header is the client's word.
    pub fn public_url(&self, bound: SocketAddr) -> Result<PublicUrl, ConfigError> {
        match &self.public_url {
            Some(url) => Ok(url.clone()),
            None if bound.ip().is_loopback() => Ok(self.own_url(bound)),
            None => {
                Err(ConfigError::Missing { option: "--public-url", why: "when --listen is not a loopback address" })
            }
        }
    }

    /// The URL of the public listener by its own address.
    pub fn own_url(&self, bound: SocketAddr) -> PublicUrl {
        if self.tls.is_some() { PublicUrl::of_tls_listener(bound) } else { PublicUrl::of_listener(bound) }
    }

    /// Whether these settings are complete enough to serve from; asked before anything is started.
    pub fn check_serving(&self) -> Result<(), ConfigError> {
        self.public_url(self.listen)?;
        if matches!(self.database, Database::Outside(_)) && self.master_key == MasterKeySource::DataDirectory {
            return Err(ConfigError::Missing {
                option: "--master-key-file (or VITALS_MASTER_KEY)",
                why: "with a database of yours, because another machine may have to open what this one sealed",
            });
        }
        Ok(())
    }
}

fn database_url(
    sources: &Sources<'_>,
    flags: &Flags,
    warnings: &mut Vec<String>,
) -> Result<Option<Secret>, ConfigError> {
    let url = sources.pick("database-url", flags.database_url.as_ref().map(Secret::expose))?;
    let file = sources.pick("database-url-file", flags.database_url_file.as_deref())?;
    match (url, file) {
        (Some(url), Some(file)) if url.origin.rank() == file.origin.rank() => {
            Err(ConfigError::Exclusive { first: url.origin.to_string(), second: file.origin.to_string() })
        }
        (Some(url), Some(file)) if url.origin.rank() > file.origin.rank() => url_in_file(&file).map(Some),
        (Some(url), _) => checked_url(&url, warnings).map(Some),
        (None, Some(file)) => url_in_file(&file).map(Some),
        (None, None) => Ok(None),
    }
}

fn url_option(
    sources: &Sources<'_>,
    name: &'static str,
    flag: Option<&Secret>,
    warnings: &mut Vec<String>,
) -> Result<Option<Secret>, ConfigError> {
    sources.pick(name, flag.map(Secret::expose))?.map(|given| checked_url(&given, warnings)).transpose()
}

fn redis_url(sources: &Sources<'_>, flags: &Flags, warnings: &mut Vec<String>) -> Result<Option<Secret>, ConfigError> {
    let Some(given) = sources.pick("redis-url", flags.redis_url.as_ref().map(Secret::expose))? else {
        return Ok(None);
    };
    limit::check_url(&given.text).map_err(|error| given.wrong(error.to_string()))?;
    warn_of_password(&given, "give it in the environment or in the file of --config", warnings);
    Ok(Some(Secret::new(given.text)))
}

fn checked_url(given: &Given, warnings: &mut Vec<String>) -> Result<Secret, ConfigError> {
    if !value::is_database_url(&given.text) {
        return Err(given.wrong("must be a URL that begins with postgres://"));
    }
    warn_of_password(given, "give it in the environment or with --database-url-file", warnings);
    Ok(Secret::new(given.text.clone()))
}

fn warn_of_password(given: &Given, advice: &str, warnings: &mut Vec<String>) {
    if matches!(given.origin, sources::Origin::Flag(_)) && value::has_password(&given.text) {
        warnings.push(format!(
            "{} holds a password, which every user of this machine can read in the list of processes; {advice}",
            given.origin
        ));
    }
}

fn url_in_file(given: &Given) -> Result<Secret, ConfigError> {
    let text = std::fs::read_to_string(&given.text).map_err(|source| ConfigError::Unreadable {
        origin: given.origin.to_string(),
        path: given.text.clone(),
        source,
    })?;
    let url = text.trim();
    if !value::is_database_url(url) {
        return Err(given.wrong("the file must hold one URL that begins with postgres://"));
    }
    Ok(Secret::new(url))
}

fn address(given: Option<Given>, default: SocketAddr) -> Result<SocketAddr, ConfigError> {
    given.map_or(Ok(default), |given| given.parse_with(value::listener_address))
}

#[allow(clippy::needless_pass_by_value, reason = "it stands where a closure of the value is wanted")]
fn cidrs(given: Given) -> Result<Vec<Cidr>, ConfigError> {
    let parts = given.text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse::<Cidr>().map_err(|error| given.wrong(error.to_string()))).collect()
}

fn master_key(sources: &Sources<'_>, flags: &Flags) -> Result<MasterKeySource, ConfigError> {
    let file = sources.pick("master-key-file", flags.master_key_file.as_deref())?;
    // No flag and no key of the file holds the key itself: both would leave it where others read.
    let text = sources.variable("VITALS_MASTER_KEY")?;
    match (file, text) {
        (Some(file), Some(text)) if file.origin.rank() == text.origin.rank() => {
            Err(ConfigError::Exclusive { first: file.origin.to_string(), second: text.origin.to_string() })
        }
        (Some(file), Some(text)) if file.origin.rank() > text.origin.rank() => {
            Ok(MasterKeySource::Environment(Secret::new(text.text)))
        }
        (Some(file), _) => Ok(MasterKeySource::File(file.text.into())),
        (None, Some(text)) => Ok(MasterKeySource::Environment(Secret::new(text.text))),
        (None, None) => Ok(MasterKeySource::DataDirectory),
    }
}

fn tracing(sources: &Sources<'_>) -> Result<Tracing, ConfigError> {
    let disabled = sources.variable("OTEL_SDK_DISABLED")?.is_some_and(|given| given.text.eq_ignore_ascii_case("true"));
    let collector = sources.variable("OTEL_EXPORTER_OTLP_ENDPOINT")?.is_some();
    Ok(if collector && !disabled { Tracing::Collector } else { Tracing::Local })
}
