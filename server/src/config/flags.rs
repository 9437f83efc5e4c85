//! The options that every command takes, as clap reads them: texts only. What they mean is decided in
//! [`Settings`](super::Settings), together with the environment and the file, so that a value is judged by the same
//! rule wherever it came from.

use std::path::PathBuf;

use super::Secret;

/// The options of every command, before or after its name. Each is also an environment variable (`VITALS_` and the
/// flag in capitals) and a key of the TOML file.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Options of every command (also VITALS_… in the environment, or keys of the TOML file)")]
pub struct Flags {
    /// TOML file with options, named as their flags without the dashes
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// PostgreSQL to serve from, as the login role that serves (no DDL). Without it: an embedded PostgreSQL
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<Secret>,

    /// File that holds the database URL, so that its password is in no process list
    #[arg(long, global = true, value_name = "FILE")]
    pub database_url_file: Option<String>,

    /// The same PostgreSQL as a role that may create roles and schemas
    #[arg(long, global = true, value_name = "URL")]
    pub admin_database_url: Option<Secret>,

    /// Database of the audit log, if not the one beside the database
    #[arg(long, global = true, value_name = "URL")]
    pub audit_database_url: Option<Secret>,

    /// Folder of the embedded PostgreSQL, its secrets and keys [default: .vitals]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<String>,

    /// Address of the public listener [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,

    /// Address of the operator listener [default: 127.0.0.1:8081]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub operator_listen: Option<String>,

    /// URL by which clients reach the public listener [default: its address, if that is loopback]
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,

    /// File with the key that seals keys at rest [default: made under --data-dir]
    #[arg(long, global = true, value_name = "FILE")]
    pub master_key_file: Option<String>,

    /// File with the operator's token [default: made under --data-dir]
    #[arg(long, global = true, value_name = "FILE")]
    pub operator_token_file: Option<String>,

    /// Addresses that may be fetched from although they are not public (key sets of issuers); repeatable
    #[arg(long, global = true, value_name = "CIDR", value_delimiter = ',')]
    pub egress_allow: Vec<String>,

    /// File with the server's certificate and its chain (PEM); the public listener then speaks TLS
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_cert: Option<String>,

    /// File with the private key of that certificate (PEM), readable by its owner alone
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_key: Option<String>,

    /// File with the authorities whose client certificates are accepted (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_client_ca: Option<String>,

    /// Whether every connection needs a client certificate [default: required]
    #[arg(long, global = true, value_name = "required|optional")]
    pub tls_client_auth: Option<String>,

    /// File with those authorities' revocation lists (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_client_crl: Option<String>,

    /// Proxies whose word about the client's address and certificate is taken; repeatable
    #[arg(long, global = true, value_name = "CIDR", value_delimiter = ',')]
    pub trusted_proxy: Vec<String>,

    /// Redis that servers share their limits through; without it each counts by itself
    #[arg(long, global = true, value_name = "URL")]
    pub redis_url: Option<Secret>,

    /// When an answer may leave: its audit record committed (prompt) or on disk (strict) [default: prompt]
    #[arg(long, global = true, value_name = "prompt|strict")]
    pub audit_durability: Option<String>,

    /// Folder where the ends of the audit chains are kept, signed, outside the database [default: heads under --data-dir]
    #[arg(long, global = true, value_name = "DIR")]
    pub audit_heads: Option<String>,

    /// A syslog that is told them as well (RFC 5424)
    #[arg(long, global = true, value_name = "udp://HOST:PORT|tcp://HOST:PORT|/dev/log")]
    pub audit_heads_syslog: Option<String>,
    /// What the trail keeps of searches: names of their parameters, or codes, dates and ids too [default: names]
    #[arg(long, global = true, value_name = "full|names")]
    pub audit_queries: Option<String>,

    /// Form of the log on standard error [default: json]
    #[arg(long, global = true, value_name = "json|pretty")]
    pub log: Option<String>,
}
