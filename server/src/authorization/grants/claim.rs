//! `delegated_access` in tokens that a tenant signs itself: the grants to it that stand when the token is made. A token
//! says what it may use of them, and never more than they say: each is judged anew by the table at every request.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use vitals_access::{directory::Directory, grant::Grant, tenant::Tenant};

/// The scope that asks for it.
pub const DELEGATED: &str = "org:delegated";
/// Entries of the claim, as many as a token may have.
const MOST: usize = 64;
/// Bytes of the claim: a token may have 8,192, a third of what it holds goes into its base64, and the rest of it takes
/// some hundreds.
const MOST_BYTES: usize = 5_000;

/// The claim, and how many grants found no place in it.
#[derive(Clone, Debug, PartialEq)]
pub struct DelegatedAccess {
    /// The entries: those that end last come first.
    pub entries: Vec<Value>,
    /// How many grants stand beside them that would make the token too long.
    pub left_out: usize,
}

/// The grants to a tenant that stand now. Where they are too many for a token, it has those that last longest.
pub fn delegated_access(directory: &Directory, tenant: &Tenant, now: DateTime<Utc>) -> DelegatedAccess {
    let mut grants: Vec<_> = directory.grants_to(&tenant.role).filter(|grant| stands(grant, now)).collect();
    grants.sort_by(|one, two| two.expires.cmp(&one.expires).then_with(|| one.id.cmp(&two.id)));
    let mut claim = DelegatedAccess { entries: Vec::new(), left_out: 0 };
    let mut bytes = 0;
    for grant in grants {
        let Some(grantor) = directory.tenant_of_role(&grant.grantor) else { continue };
        let entry = json!({
            "tenant_id": grantor.name.as_str(),
            "scopes": grant.scopes,
            "expires": grant.expires.timestamp(),
        });
        let length = entry.to_string().len() + 1;
        if claim.entries.len() == MOST || bytes + length > MOST_BYTES {
            claim.left_out += 1;
        } else {
            bytes += length;
            claim.entries.push(entry);
        }
    }
    claim
}

fn stands(grant: &Grant, now: DateTime<Utc>) -> bool {
    grant.not_before <= now && now < grant.expires
}
