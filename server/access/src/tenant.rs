//! Tenants: the name in addresses, the database role that is the wall, and whether they serve.

use std::{fmt, str::FromStr};

/// Names that would read as a part of this server, or of PostgreSQL, in an address.
const RESERVED: [&str; 7] = ["public", "default", "system", "operator", "admin", "auth", "fhir"];

/// The text is not a tenant name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    /// Wrong length or characters.
    #[error("a tenant name is 3 to 40 of a-z, 0-9 and '-', begins with a letter and does not end with '-'")]
    Form,
    /// The name is kept for something else.
    #[error("this name is reserved: public, default, system, operator, admin, auth, fhir, and what begins with pg")]
    Reserved,
}

/// The name of a tenant, as in `/t/{tenant}/fhir`. Never trimmed or folded: what differs is another tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantName(String);

impl TenantName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return Err(NotAName::Form) };
        let inside = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        if !(3..=40).contains(&bytes.len()) || !first.is_ascii_lowercase() || *last == b'-' || !bytes.iter().all(inside)
        {
            return Err(NotAName::Form);
        }
        if RESERVED.contains(&text) || text.starts_with("pg") {
            return Err(NotAName::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a tenant role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant role is 't_' and 26 of a-z and 2-7")]
pub struct NotARole;

/// The database role of a tenant, which is also the name of its schema. Generated, never the tenant's own text, so
/// that it can stand in a statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantRole(String);

impl TenantRole {
    const DIGITS: [u8; 32] = *b"abcdefghijklmnopqrstuvwxyz234567";

    /// The role as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A new role of 130 random bits.
    ///
    /// # Panics
    /// When aws-lc has no random bytes, which means that it does not work at all.
    pub fn generate() -> Self {
        let mut random = [0; 26];
        aws_lc_rs::rand::fill(&mut random).expect("the random source of aws-lc does not run dry");
        let digits = random.iter().map(|byte| char::from(Self::DIGITS[usize::from(byte & 31)]));
        Self("t_".chars().chain(digits).collect())
    }
}

impl FromStr for TenantRole {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        match text.strip_prefix("t_") {
            Some(digits) if digits.len() == 26 && digits.bytes().all(|digit| Self::DIGITS.contains(&digit)) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(NotARole),
        }
    }
}

impl fmt::Display for TenantRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a tenant serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantStatus {
    /// It serves.
    Active,
    /// Its operator stopped it; its tokens are refused.
    Suspended,
}

impl TenantStatus {
    /// The word in the registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    /// The status of this word.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Active, Self::Suspended].into_iter().find(|status| status.name() == name)
    }
}

/// A tenant as the registry holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its database role and schema.
    pub role: TenantRole,
    /// The number every row of its tables carries.
    pub number: i32,
    /// Its name in addresses and tokens.
    pub name: TenantName,
    /// The slot of the login role that may become its role.
    pub login: u16,
    /// Whether it serves.
    pub status: TenantStatus,
    /// The version of its schema.
    pub version: i32,
    /// The tier its limits come from.
    pub tier: String,
    /// Its name for people.
    pub display: String,
    /// When it was made. Tokens issued before are not for it but for an earlier tenant of the name.
    pub created: chrono::DateTime<chrono::Utc>,
    /// What it has switched on.
    pub settings: crate::settings::Settings,
}

#[cfg(test)]
mod tests;
