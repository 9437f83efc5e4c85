//! The command line as types. Only what works is listed; what is wrong here ends the process with exit code 2.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use vitals_access::tenant::TenantName;

mod access;
mod audit;
mod grant;
mod issuer;
mod limits;

pub use access::{
    ApiKeyCommand, ApiKeyCreateArgs, ClientCommand, ClientCreateArgs, KeyCommand, KeyRotateArgs, RevokeArgs, Switch,
    TenantLockdownArgs, TenantSetArgs, UserCommand, UserCreateArgs,
};
pub use audit::{
    AuditCommand, AuditDigestArgs, AuditExportArgs, AuditSealArgs, AuditTailArgs, AuditVerifyArgs, ExportFormat,
};
pub use grant::{GrantCommand, GrantCreateArgs, GrantListArgs, GrantRevokeArgs, GrantShowArgs};
pub use issuer::{IssuerAddArgs, IssuerCommand, IssuerRemoveArgs};
pub use limits::{LimitsCommand, LimitsSetArgs};

use crate::config::{self, Flags};

/// A FHIR server for vital signs: many health organisations on one server, none of which can reach another.
#[derive(Debug, Parser)]
#[command(name = "vitals", version, propagate_version = true, max_term_width = 110)]
pub struct Invocation {
    /// Options of every command.
    #[command(flatten)]
    pub flags: Flags,

    /// Print JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve two hospitals and a research platform with ninety days of generated vital signs, and print how to read them
    Demo,
    /// Serve; without --database-url from an embedded PostgreSQL kept under --data-dir
    Serve,
    /// Make schemas, roles and the audit database on a PostgreSQL of yours; safe to repeat
    Setup,
    /// Tenants: one for each health organisation
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Apps and services that may ask a tenant for tokens
    #[command(subcommand)]
    Client(ClientCommand),
    /// People who sign in at a tenant
    #[command(subcommand)]
    User(UserCommand),
    /// Keys for development, where the tenant takes them
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// What one tenant lets another read, until a time and for a purpose
    #[command(subcommand)]
    Grant(GrantCommand),
    /// The keys a tenant signs its tokens with
    #[command(subcommand)]
    Key(KeyCommand),
    /// Issuers whose tokens a tenant accepts besides its own
    #[command(subcommand)]
    Issuer(IssuerCommand),
    /// What the callers of a tenant may do in a second, a minute and a day
    #[command(subcommand)]
    Limits(LimitsCommand),
    /// Migrations of the control, tenant and audit schemas
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Print a token signed by the tenant's own key
    Token(TokenArgs),
    /// Load NDJSON and Bundles into a tenant; goes on where it was broken off
    Import(ImportArgs),
    /// The audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print the OpenAPI document
    Openapi(OpenapiArgs),
    /// Check database, roles, migrations, keys, clock and audit, and say what to do
    Doctor,
}

/// `vitals tenant …`
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant; it serves when this returns
    Create(TenantCreateArgs),
    /// List the tenants
    List,
    /// Show one tenant
    Show(TenantArgs),
    /// Stop serving a tenant; its tokens are refused within a second
    Suspend(TenantArgs),
    /// Serve a suspended tenant again
    Resume(TenantArgs),
    /// Delete a tenant with all its data and keys
    Delete(TenantDeleteArgs),
    /// Switch on or off what a tenant offers and demands, and how its pages look
    Set(Box<TenantSetArgs>),
    /// Credentials are in wrong hands: end every token, session, secret and API key of a tenant, and rotate its keys
    Lockdown(TenantLockdownArgs),
}

/// The tenant a command is about.
#[derive(Debug, Args)]
pub struct TenantArgs {
    /// Name of the tenant in addresses
    #[arg(value_name = "ID")]
    pub id: TenantName,
}

/// `vitals tenant create`
#[derive(Debug, Args)]
pub struct TenantCreateArgs {
    /// Name in addresses: 3 to 40 of a-z, 0-9 and -, beginning with a letter
    #[arg(value_name = "ID")]
    pub id: TenantName,
    /// Name for people [default: the ID]
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// An issuer whose tokens it accepts besides its own
    #[arg(long, value_name = "URL", requires = "issuer_keys")]
    pub issuer: Option<String>,
    /// The keys of that issuer.
    #[command(flatten)]
    pub keys: IssuerKeys,
    /// How the tenant is kept apart
    #[arg(long, value_enum, default_value_t = Isolation::Schema)]
    pub isolation: Isolation,
    /// Tier that its limits come from
    #[arg(long, value_name = "TIER", default_value = "default")]
    pub tier: String,
}

/// How a tenant is kept apart from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Isolation {
    /// A PostgreSQL role and schema of its own
    Schema,
}

impl Isolation {
    /// The word on the command line and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
        }
    }
}

/// The public keys of an issuer: a file, or where to fetch them.
#[derive(Debug, Args)]
#[group(id = "issuer_keys", required = false, multiple = false, requires = "issuer")]
pub struct IssuerKeys {
    /// File with the issuer's JWK Set
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// URL of the issuer's JWK Set
    #[arg(long, value_name = "URL")]
    pub jwks_url: Option<String>,
}

/// `vitals tenant delete`
#[derive(Debug, Args)]
pub struct TenantDeleteArgs {
    /// Name of the tenant in addresses
    #[arg(value_name = "ID")]
    pub id: TenantName,
    /// The same name once more, because nothing brings it back
    #[arg(long, value_name = "ID")]
    pub confirm: TenantName,
}

/// A command about all of one tenant.
#[derive(Debug, Args)]
pub struct OfTenantArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
}

/// `vitals migrate …`
#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// Show the version of every schema; exit code 1 if one failed
    Status,
    /// Bring every schema to the newest version; safe to repeat
    Up(MigrateUpArgs),
}

/// `vitals migrate up`
#[derive(Debug, Args)]
pub struct MigrateUpArgs {
    /// How many tenants at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// Only this tenant
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantName>,
}

/// `vitals token`
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
    /// Scopes, separated by spaces; "" gives none
    #[arg(long, value_name = "SCOPES")]
    pub scope: String,
    /// Logical id of the patient that patient/ scopes are confined to
    #[arg(long, value_name = "ID")]
    pub patient: Option<String>,
    /// Subject
    #[arg(long, value_name = "TEXT", default_value = "vitals-cli")]
    pub sub: String,
    /// Client id
    #[arg(long, value_name = "TEXT")]
    pub client: Option<String>,
    /// Who the user is, such as Practitioner/17
    #[arg(long, value_name = "REFERENCE")]
    pub fhir_user: Option<String>,
    /// Logical id of the encounter
    #[arg(long, value_name = "ID")]
    pub encounter: Option<String>,
    /// SHA-256 of the certificate it is bound to, in base64url (x5t#S256)
    #[arg(long, value_name = "X5T")]
    pub cert_thumbprint: Option<String>,
    /// Thumbprint of the key that it is bound to, which signs its DPoP proofs
    #[arg(long, value_name = "T")]
    pub jkt: Option<String>,
    /// With what other tenants grant this one now, and the scope org:delegated
    #[arg(long)]
    pub delegated: bool,
    /// How long it is good for
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = config::duration)]
    pub ttl: Duration,
}

/// `vitals import`
#[derive(Debug, Args)]
#[command(after_long_help = IMPORT)]
pub struct ImportArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
    /// Begin anew, where an import of the same files was broken off
    #[arg(long)]
    pub restart: bool,
    /// NDJSON or Bundles, packed with gzip or not; - is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// `vitals openapi`
#[derive(Debug, Args)]
pub struct OpenapiArgs {
    /// With application/json alone, for client generators that know no other media type
    #[arg(long)]
    pub plain: bool,
}

/// What `vitals import --help` says at its end.
const IMPORT: &str = "\
What a file is, its content tells and not its name: lines of one resource or one Bundle each (NDJSON, up to 5 MB a
line), or one document over several lines (up to 50 MB); gzip is unpacked.

Patients and Observations are loaded at their ids; one without an id gets one that is the same whenever the file is
read. What stands already with the same content stays as it is. Bundles of type transaction, batch, collection and
searchset are taken for the resources they hold; references to other entries become references to these.

What is refused is counted and told in a file, as NDJSON: file, line, entry (of a Bundle, from 0) and issues. The rest is
loaded, and the exit code is 1.

An import that was broken off, however that came, goes on where it stopped when the same command is given again: the
files are known by path, size and time of change. What comes through a pipe begins anew.";
