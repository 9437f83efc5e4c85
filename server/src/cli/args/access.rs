//! The commands about who may come in: what a tenant has switched on, clients, users, API keys, signing keys.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use vitals_access::tenant::TenantName;

use super::OfTenantArgs;
use crate::config;

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Switched on.
    On,
    /// Switched off.
    Off,
}

impl Switch {
    /// Whether it is on.
    pub const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

/// `vitals tenant set`
#[derive(Debug, Args)]
pub struct TenantSetArgs {
    /// Name of the tenant in addresses
    #[arg(value_name = "ID")]
    pub id: TenantName,
    /// Its own authorization server: sign-in, consent, tokens
    #[arg(long, value_name = "SWITCH")]
    pub authorization_server: Option<Switch>,
    /// Take API keys, for development
    #[arg(long, value_name = "SWITCH")]
    pub api_keys: Option<Switch>,
    /// The data is real: API keys are never taken
    #[arg(long, value_name = "SWITCH")]
    pub production: Option<Switch>,
    /// Let programs register themselves with an initial access token (RFC 7591)
    #[arg(long, value_name = "SWITCH")]
    pub registration: Option<Switch>,
    /// Demand a client certificate for every request
    #[arg(long, value_name = "SWITCH")]
    pub require_certificate: Option<Switch>,
    /// Demand that every token is bound to a key (DPoP) or a certificate
    #[arg(long, value_name = "SWITCH")]
    pub require_proof: Option<Switch>,
    /// File with the tenant's own CA of client certificates; "" takes it away
    #[arg(long, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,
    /// Colour of its pages, as #rrggbb; "" takes it away
    #[arg(long, value_name = "COLOUR")]
    pub colour: Option<String>,
    /// Minutes without doing anything after which people are logged off
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=720))]
    pub idle_minutes: Option<u32>,
    /// Origin whose pages may read its answers, beside those of its apps; may be repeated, "" takes all away
    #[arg(long = "origin", value_name = "ORIGIN")]
    pub origins: Vec<String>,
    /// OpenID provider that its people may sign in at; "" takes it away
    #[arg(long, value_name = "URL")]
    pub sign_in_issuer: Option<String>,
    /// Its client there
    #[arg(long, value_name = "ID", requires = "sign_in_issuer")]
    pub sign_in_client: Option<String>,
    /// File with the secret of that client
    #[arg(long, value_name = "FILE", requires = "sign_in_client")]
    pub sign_in_secret_file: Option<PathBuf>,
}

/// `vitals tenant lockdown`
#[derive(Debug, Args)]
pub struct TenantLockdownArgs {
    /// Name of the tenant in addresses
    #[arg(value_name = "ID")]
    pub id: TenantName,
    /// How many days of the audit trail to report
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(0..=90))]
    pub days: u32,
}

/// Ends something by its id.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// What is to end
    #[arg(value_name = "ID")]
    pub id: String,
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
}

/// `vitals client …`
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Register an app or a service; a secret is shown once
    Create(Box<ClientCreateArgs>),
    /// List the clients of a tenant
    List(OfTenantArgs),
    /// End a client and every token it has
    Revoke(RevokeArgs),
}

/// `vitals client create`
#[derive(Debug, Args)]
pub struct ClientCreateArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
    /// Client id
    #[arg(long, value_name = "ID")]
    pub id: String,
    /// Name for people [default: the ID]
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Scopes it may be granted, separated by spaces
    #[arg(long, value_name = "SCOPES")]
    pub scope: String,
    /// Where its users come back to, exactly as it will ask; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    pub redirect_uris: Vec<String>,
    /// Where an EHR launches it
    #[arg(long, value_name = "URI")]
    pub launch_uri: Option<String>,
    /// File with its JWK Set: it proves itself by assertions (`private_key_jwt`)
    #[arg(long, value_name = "FILE", group = "proof")]
    pub jwks: Option<PathBuf>,
    /// URL of its JWK Set, likewise
    #[arg(long, value_name = "URL", group = "proof")]
    pub jwks_url: Option<String>,
    /// Make a secret for it (`client_secret_basic`, `client_secret_post`)
    #[arg(long, group = "proof")]
    pub secret: bool,
    /// File with its own self-signed certificate (`self_signed_tls_client_auth`)
    #[arg(long, value_name = "FILE", group = "proof")]
    pub certificate: Option<PathBuf>,
    /// Subject of its certificate, of a CA that the tenant or the server trusts (`tls_client_auth`)
    #[arg(long, value_name = "DN", group = "proof")]
    pub certificate_subject: Option<String>,
    /// It is an EHR: it may announce launches
    #[arg(long)]
    pub ehr: bool,
    /// Its tokens must be bound to a key (DPoP) or a certificate
    #[arg(long)]
    pub require_proof: bool,
}

/// `vitals user …`
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add somebody who signs in; a password that is made is shown once
    Create(Box<UserCreateArgs>),
    /// List the users of a tenant
    List(OfTenantArgs),
    /// End a user, the sessions and every token
    Revoke(RevokeArgs),
}

/// `vitals user create`
#[derive(Debug, Args)]
pub struct UserCreateArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
    /// What they type to sign in
    #[arg(long, value_name = "TEXT")]
    pub username: String,
    /// Name for people [default: the username]
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Who they are, such as Practitioner/17 or Patient/ada
    #[arg(long, value_name = "REFERENCE")]
    pub fhir_user: Option<String>,
    /// A patient they may act for; may be repeated
    #[arg(long = "patient", value_name = "ID")]
    pub patients: Vec<String>,
    /// Scopes they hold, separated by spaces [default: by who they are]
    #[arg(long, value_name = "SCOPES")]
    pub scope: Option<String>,
    /// File with the password; without it one is made
    #[arg(long, value_name = "FILE", conflicts_with = "issuer")]
    pub password_file: Option<PathBuf>,
    /// They sign in at the tenant's OpenID provider: its issuer
    #[arg(long, value_name = "URL", requires = "subject")]
    pub issuer: Option<String>,
    /// Their subject there
    #[arg(long, value_name = "TEXT", requires = "issuer")]
    pub subject: Option<String>,
}

/// `vitals api-key …`
#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Make a key; it is shown once
    Create(ApiKeyCreateArgs),
    /// List the keys of a tenant
    List(OfTenantArgs),
    /// End a key
    Revoke(RevokeArgs),
}

/// `vitals api-key create`
#[derive(Debug, Args)]
pub struct ApiKeyCreateArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
    /// Scopes, separated by spaces
    #[arg(long, value_name = "SCOPES")]
    pub scope: String,
    /// Name for people
    #[arg(long, value_name = "TEXT", default_value = "api-key")]
    pub name: String,
    /// Logical id of the patient that patient/ scopes are confined to
    #[arg(long, value_name = "ID")]
    pub patient: Option<String>,
    /// How long it is good for
    #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = config::duration)]
    pub ttl: Duration,
}

/// `vitals key …`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Sign with new keys from now on; tokens of the old ones stay good as long as they live
    Rotate(KeyRotateArgs),
    /// List the keys of a tenant
    List(OfTenantArgs),
}

/// `vitals key rotate`
#[derive(Debug, Args)]
pub struct KeyRotateArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
    /// Refuse the tokens of the old keys at once
    #[arg(long)]
    pub now: bool,
}
