//! What is counted of a tenant's requests, and how much of it there may be (contract, section 7). Counting is done
//! elsewhere; here are the words that the registry, the configuration and the answers share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A kind of request with limits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// read, vread, history of one resource, `$validate`.
    Read,
    /// Searches and histories of a type.
    Search,
    /// create, update, delete.
    Write,
    /// Bundles as such, and exports.
    Bulk,
    /// What clients ask of the authorization server.
    Auth,
    /// The tenant's administration.
    Admin,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 6] = [Self::Read, Self::Search, Self::Write, Self::Bulk, Self::Auth, Self::Admin];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Search => "search",
            Self::Write => "write",
            Self::Bulk => "bulk",
            Self::Auth => "auth",
            Self::Admin => "admin",
        }
    }

    /// The category of this word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }
}

/// How much of a category there may be. What is not said has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// In any second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// In any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sustained: Option<u64>,
    /// In any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily: Option<u64>,
}

impl Quotas {
    /// No quotas at all.
    pub const NONE: Self = Self { burst: None, sustained: None, daily: None };

    /// Whether there is nothing to count.
    pub const fn is_none(&self) -> bool {
        self.burst.is_none() && self.sustained.is_none() && self.daily.is_none()
    }

    /// The smaller of each.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        let least = |one: Option<u64>, two: Option<u64>| match (one, two) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Self {
            burst: least(self.burst, other.burst),
            sustained: least(self.sustained, other.sustained),
            daily: least(self.daily, other.daily),
        }
    }
}

/// Quotas by category: of a tier, or of one tenant in place of its tier's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// For everything the tenant's callers do together.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tenant: BTreeMap<Category, Quotas>,
    /// For what each of its clients does.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub per_client: BTreeMap<Category, Quotas>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.tenant.is_empty() && self.per_client.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_quota_counts() {
        let table = Quotas { burst: Some(10), sustained: None, daily: Some(1_000) };
        let claimed = Quotas { burst: Some(100), sustained: Some(50), daily: Some(10) };
        let both = Quotas { burst: Some(10), sustained: Some(50), daily: Some(10) };
        assert_eq!((table.within(claimed), claimed.within(table)), (both, both));
        assert_eq!(table.within(Quotas::NONE), table);
        assert!(Quotas::NONE.is_none() && !table.is_none());
        for one in [
            Quotas { burst: Some(1), ..Quotas::NONE },
            Quotas { sustained: Some(1), ..Quotas::NONE },
            Quotas { daily: Some(1), ..Quotas::NONE },
        ] {
            assert!(!one.is_none(), "{one:?}");
        }
    }

    #[test]
    fn limits_are_empty_where_neither_the_tenant_nor_a_client_has_one() {
        let some = BTreeMap::from([(Category::Read, Quotas::NONE)]);
        assert!(Limits::default().is_empty());
        assert!(!Limits { tenant: some.clone(), ..Limits::default() }.is_empty());
        assert!(!Limits { per_client: some, ..Limits::default() }.is_empty());
    }

    #[test]
    fn categories_have_the_words_of_the_contract() {
        for category in Category::ALL {
            assert_eq!(Category::named(category.name()), Some(category));
            assert_eq!(serde_json::to_string(&category).unwrap(), format!("\"{}\"", category.name()));
        }
        assert_eq!(Category::named("reads"), None);
    }
}
