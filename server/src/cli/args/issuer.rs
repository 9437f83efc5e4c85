//! Arguments of `vitals issuer …`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use vitals_access::tenant::TenantName;

use super::{IssuerKeys, OfTenantArgs};
use crate::config;

/// `vitals issuer …`
#[derive(Debug, Subcommand)]
pub enum IssuerCommand {
    /// Accept the tokens of an issuer for a tenant
    Add(IssuerAddArgs),
    /// List the issuers of a tenant
    List(OfTenantArgs),
    /// Accept them no longer
    Remove(IssuerRemoveArgs),
}

/// `vitals issuer add`
#[derive(Debug, Args)]
#[command(after_long_help = ADD)]
pub struct IssuerAddArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
    /// The issuer, exactly as its tokens say in iss
    #[arg(long, value_name = "URL")]
    pub issuer: String,
    /// Its keys; none for an issuer that is registered with the same keys for another tenant.
    #[command(flatten)]
    pub keys: IssuerKeys,
    /// Ask the issuer where its keys are (.well-known/openid-configuration)
    #[arg(long, conflicts_with = "issuer_keys")]
    pub discover: bool,
    /// Algorithm that its tokens may be signed by, several times [default: all that are accepted]
    #[arg(long = "algorithm", value_name = "ALG")]
    pub algorithms: Vec<String>,
    /// File that says how it names its claims
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Accept only tokens whose typ is at+jwt
    #[arg(long)]
    pub strict: bool,
    /// Longest lifetime of a token that is accepted [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub max_lifetime: Option<Duration>,
}

/// `vitals issuer remove`
#[derive(Debug, Args)]
pub struct IssuerRemoveArgs {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantName,
    /// The issuer, exactly as it was added
    #[arg(long, value_name = "URL")]
    pub issuer: String,
}

const ADD: &str = "\
A token is good only under the issuer that it names, to the letter, and with a key of that issuer's own; its aud must be
the tenant's FHIR base or the public URL. All tenants of an issuer share its keys, algorithms and mapping.

A mapping is a JSON object that says where claims stand that the provider names otherwise. A claim is named by its name,
by names joined with dots, or by a list of names where one holds a dot; a name that is a URL is taken whole. What a
mapping does not name is read under its usual name, and where both are there they must agree. Scopes, where they are
mapped, are read from the claims named and no others.

  tenant    {claim, values}: values says which tenant each value means; others mean none   [tenant_id]
  patient   one logical id                                                                  [patient]
  fhirUser  a reference                                                                     [fhirUser]
  client    the program                                                                     [client_id, azp]
  tier      the tier, where the issuer may set it                                           [rate_limit_tier]
  scopes    {claims, roles, values}: claims hold scopes; roles hold names that mean something only through values,
            which says which scopes each stands for                                         [scope, scopes, scp]

Keycloak, with realm roles and a user attribute:
  {\"patient\": \"patient_id\", \"scopes\": {\"claims\": [\"scope\"], \"roles\": [\"realm_access.roles\"],
   \"values\": {\"nurse\": \"vitals:read vitals:write\"}}}
Auth0, with claims an action adds, and permissions:
  {\"patient\": \"https://mercy.example/patient\", \"scopes\": {\"claims\": [\"scope\", \"permissions\"],
   \"values\": {\"read:vitals\": \"vitals:read\"}}}
Entra (tokens of version 1, whose aud is the application's URI: set that to the public URL):
  {\"tenant\": {\"claim\": \"tid\", \"values\": {\"72f988bf-86f1-41af-91ab-2d7cd011db47\": \"mercy\"}}, \"client\": \"appid\",
   \"scopes\": {\"claims\": [\"scp\"], \"roles\": [\"roles\"], \"values\": {\"Vitals.Read\": \"vitals:read\"}}}";

#[cfg(test)]
mod tests {
    use vitals_access::claims::ClaimMapping;

    use super::ADD;

    #[test]
    fn the_mappings_in_the_help_are_mappings() {
        let mut mappings: Vec<String> = Vec::new();
        for line in ADD.lines() {
            if line.starts_with("  {") {
                mappings.push(String::new());
            }
            if line.starts_with("  {") || line.starts_with("   \"") {
                mappings.last_mut().unwrap().push_str(line);
            }
        }
        assert_eq!(mappings.len(), 3);
        for text in mappings {
            let mapping: ClaimMapping = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(mapping.scopes.is_some());
        }
    }
}
