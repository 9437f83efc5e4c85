//! The commands about limits.

use clap::{Args, Subcommand};
use vitals_access::{limits::Category, tenant::TenantName};

use super::OfTenantArgs;

/// `vitals limits …`
#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Show what the callers of a tenant may do
    Show(OfTenantArgs),
    /// Set it for one category, in place of what the tenant's tier says
    Set(LimitsSetArgs),
}

/// `vitals limits set`
#[derive(Debug, Args)]
pub struct LimitsSetArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
    /// read, search, write, bulk, auth or admin
    #[arg(long, value_name = "CATEGORY", value_parser = category)]
    pub category: Category,
    /// For each client, not for all of them together
    #[arg(long)]
    pub per_client: bool,
    /// Units in any second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub burst: Option<u64>,
    /// Units in any minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub sustained: Option<u64>,
    /// Units in any 24 hours
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub daily: Option<u64>,
    /// Let the tier's quotas hold again
    #[arg(long, conflicts_with_all = ["burst", "sustained", "daily"])]
    pub clear: bool,
}

fn category(text: &str) -> Result<Category, String> {
    Category::named(text).ok_or_else(|| "one of read, search, write, bulk, auth, admin".to_owned())
}
