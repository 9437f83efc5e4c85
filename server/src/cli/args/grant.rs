//! The commands about what one tenant lets another read.

use clap::{Args, Subcommand};
use vitals_access::tenant::TenantName;

/// `vitals grant …`
#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// Let a tenant read data of another; it may do so when this returns
    Create(GrantCreateArgs),
    /// List grants, those that ended among them
    List(GrantListArgs),
    /// Show one grant
    Show(GrantShowArgs),
    /// End a grant; within a second every server refuses what it opened
    Revoke(GrantRevokeArgs),
}

/// `vitals grant create`
#[derive(Debug, Args)]
pub struct GrantCreateArgs {
    /// The tenant whose data are opened
    #[arg(long, value_name = "ID")]
    pub from: TenantName,
    /// The tenant that may read them
    #[arg(long, value_name = "ID")]
    pub to: TenantName,
    /// What, as scopes that read, separated by spaces: system/TYPE.rs, vitals.NAME:read, vitals:read, users:read
    #[arg(long, value_name = "SCOPES")]
    pub scope: String,
    /// What for, as a code of HL7's PurposeOfUse: HRESCH (research), TREAT, HPAYMT, HOPERAT, PUBHLTH, …
    #[arg(long, value_name = "CODE")]
    pub purpose: String,
    /// Until when: a time (2027-01-31T00:00:00Z), a day (its beginning, UTC), or how long from now (90d)
    #[arg(long, value_name = "TIME")]
    pub expires: String,
    /// From when on, likewise [default: now]
    #[arg(long, value_name = "TIME")]
    pub not_before: Option<String>,
    /// Words for people
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// `vitals grant list`
#[derive(Debug, Args)]
pub struct GrantListArgs {
    /// Only those that this tenant made or received
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantName>,
}

/// `vitals grant show`
#[derive(Debug, Args)]
pub struct GrantShowArgs {
    /// The grant
    #[arg(value_name = "ID")]
    pub id: String,
    /// Count what it opens: patients, and Observations by code
    #[arg(long)]
    pub preview: bool,
}

/// `vitals grant revoke`
#[derive(Debug, Args)]
pub struct GrantRevokeArgs {
    /// The grant
    #[arg(value_name = "ID")]
    pub id: String,
}
