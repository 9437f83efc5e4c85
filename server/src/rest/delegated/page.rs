//! Page links of a search over several tenants: one sealed token that holds where each of them goes on.
//!
//! Tenants share places (see `interaction::fan_out`), so a link over 64 of them is little longer than one over two. Who
//! follows it is judged again for each of them: a tenant whose grant has ended is not asked, whatever the link says.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use vitals_access::access::Access;
use vitals_fhir::{
    outcome::{Issue, IssueCode},
    search::{Direction, Sort, SortKey},
};
use vitals_store::seal::MasterKey;

use crate::rest::page::{GOOD_FOR_MS, MAX_LENGTH, caller};
use crate::{
    failure::Failure,
    interaction::fan_out::{Cut, Place},
};

/// The purpose the sealing key is derived for: a link of a tenant's own base does not open here, nor one of here there.
const PURPOSE: &str = "delegated-page";
/// A tenant that begins.
const BEGINNING: u8 = 0;
/// A tenant that has ended.
const END: u8 = u8::MAX;

/// What a link goes on with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Places {
    /// The type that is searched.
    pub(super) list: String,
    /// The query, as it was asked.
    pub(super) query: Vec<(String, String)>,
    /// The order: by what, `-` before it where it descends.
    sort: String,
    /// Places that tenants go on behind.
    cuts: Vec<Cut>,
    /// The tenants of the search by their numbers, each with the number of its place, from 1 on.
    tenants: Vec<(i32, u8)>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    places: Places,
    expires: i64,
    caller: String,
}

impl Places {
    pub(super) fn new(list: &str, query: Vec<(String, String)>, sort: Sort, next: &[(i32, Place)]) -> Self {
        let mut cuts: Vec<Cut> = Vec::new();
        let mut place_of = |place: &Place| match place {
            Place::Beginning => BEGINNING,
            Place::End => END,
            Place::Behind(cut) => {
                let known = cuts.iter().position(|known| known == cut).unwrap_or_else(|| {
                    cuts.push(cut.clone());
                    cuts.len() - 1
                });
                // A search asks 65 tenants at most: those of a token's entries, and its own.
                u8::try_from(known + 1).unwrap_or(END)
            }
        };
        let tenants = next.iter().map(|(tenant, place)| (*tenant, place_of(place))).collect();
        Self { list: list.to_owned(), query, sort: spelled(sort), cuts, tenants }
    }

    /// Where a tenant goes on; none for one that was not there when the search began.
    pub(super) fn of(&self, tenant: i32) -> Option<Place> {
        let (_, place) = self.tenants.iter().find(|(number, _)| *number == tenant)?;
        match *place {
            BEGINNING => Some(Place::Beginning),
            END => Some(Place::End),
            place => self.cuts.get(usize::from(place) - 1).cloned().map(Place::Behind),
        }
    }

    /// The tenants that have not ended, by their numbers.
    pub(super) fn going_on(&self) -> impl Iterator<Item = i32> {
        self.tenants.iter().filter(|(_, place)| *place != END).map(|(tenant, _)| *tenant)
    }

    /// The order that the search has had so far.
    pub(super) fn sort(&self) -> Result<Sort, Failure> {
        let (name, direction) = match self.sort.strip_prefix('-') {
            Some(name) => (name, Direction::Descending),
            None => (self.sort.as_str(), Direction::Ascending),
        };
        let key = KEYS.into_iter().find(|(_, known)| *known == name).map(|(key, _)| key);
        Ok(Sort { key: key.ok_or_else(Failure::page_link)?, direction })
    }
}

const KEYS: [(SortKey, &str); 4] = [
    (SortKey::Date, "date"),
    (SortKey::LastUpdated, "_lastUpdated"),
    (SortKey::Family, "family"),
    (SortKey::Birthdate, "birthdate"),
];

fn spelled(sort: Sort) -> String {
    let name = KEYS.into_iter().find(|(key, _)| *key == sort.key).map_or("", |(_, name)| name);
    let sign = if sort.direction == Direction::Descending { "-" } else { "" };
    format!("{sign}{name}")
}

/// A link's token for this caller.
pub(super) fn seal(key: &MasterKey, own: &Access, places: Places, now: i64) -> Result<String, Failure> {
    let sealed = Sealed { places, expires: now + GOOD_FOR_MS, caller: caller(own) };
    let not_made = || Failure::unavailable("page link not made");
    let plain = serde_json::to_vec(&sealed).map_err(|_| not_made())?;
    let text = key.seal(PURPOSE, own.tenant().role.as_str().as_bytes(), &plain).map_err(|_| not_made())?;
    let token = URL_SAFE_NO_PAD.encode(text);
    if token.len() > MAX_LENGTH {
        let diagnostics =
            "This search is too long to be paged: ask with fewer values, or of one tenant at its own base.";
        return Err(Failure::malformed(Issue::error(IssueCode::TooCostly, diagnostics)));
    }
    Ok(token)
}

/// What a link goes on with, if it is whole, this caller's, and for this list.
pub(super) fn open(key: &MasterKey, own: &Access, list: &str, token: &str, now: i64) -> Result<Places, Failure> {
    let opened = || -> Option<Places> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let text = URL_SAFE_NO_PAD.decode(token).ok()?;
        let plain = key.open(PURPOSE, own.tenant().role.as_str().as_bytes(), &text).ok()?;
        let sealed: Sealed = serde_json::from_slice(&plain).ok()?;
        let good = sealed.expires > now && sealed.caller == caller(own) && sealed.places.list == list;
        good.then_some(sealed.places)
    };
    opened().ok_or_else(Failure::page_link)
}

#[cfg(test)]
mod tests {
    use vitals_store::rows::Mark;

    use super::*;

    fn cut(id: &str, tenant: i32) -> Place {
        Place::Behind(Cut { mark: Mark::Number(1_767_225_600_000), id: id.to_owned(), tenant })
    }

    #[test]
    fn each_tenant_keeps_its_place() {
        let sort = Sort { key: SortKey::Date, direction: Direction::Descending };
        let next = [(1, Place::Beginning), (2, cut("a", 1)), (3, Place::End), (4, cut("a", 1)), (5, cut("b", 4))];
        let places = Places::new("Observation", Vec::new(), sort, &next);
        let text = serde_json::to_string(&places).unwrap();
        let read: Places = serde_json::from_str(&text).unwrap();
        for (tenant, place) in next {
            assert_eq!(read.of(tenant), Some(place), "{tenant}");
        }
        assert_eq!(read.of(6), None);
        assert_eq!(read.going_on().collect::<Vec<_>>(), [1, 2, 4, 5]);
        assert_eq!(read.sort().unwrap(), sort);
        assert_eq!(read.cuts.len(), 2);
    }

    #[test]
    fn places_of_the_most_tenants_are_short() {
        let sort = Sort { key: SortKey::LastUpdated, direction: Direction::Ascending };
        let id = "0".repeat(36);
        let next: Vec<_> = (0..65).map(|tenant| (900_000 + tenant, cut(&id, 900_007))).collect();
        let places = Places::new("Observation", Vec::new(), sort, &next);
        assert!(serde_json::to_string(&places).unwrap().len() < 1_200);
    }

    #[test]
    fn every_order_is_read_as_it_is_spelled() {
        for (key, _) in KEYS {
            for direction in [Direction::Ascending, Direction::Descending] {
                let sort = Sort { key, direction };
                assert_eq!(Places::new("Patient", Vec::new(), sort, &[]).sort().unwrap(), sort);
            }
        }
    }
}
