//! Values of one resource type among those of others, as the entries of a Bundle bring them.

use vitals_fhir::{
    resource::{Observation, Patient},
    search::{Criteria, Query},
};
use vitals_store::rows::{Bulk, History, Load, Page};

use crate::interaction::search_type::distinct;

/// A resource type whose resources may stand in a Bundle.
pub trait Bundled: Bulk + Clone {
    /// As content of an entry.
    fn content(load: Load<Self>) -> Content;
    /// The content, if it is of this type.
    fn load(content: &Content) -> Option<&Load<Self>>;
    /// The criteria, if they are of this type.
    fn criteria(condition: &Condition) -> Option<&Criteria<Self>>;
    /// As the condition of an entry.
    fn condition(criteria: Criteria<Self>) -> Condition;
    /// As the search of an entry.
    fn search(query: Query<Self>) -> Search;
    /// The search, if it is of this type.
    fn query(search: &Search) -> Option<&Query<Self>>;
    /// As the answer to a search or a history.
    fn listed(listing: Listing<Self>) -> Listed;
}

/// The first page of a list.
#[derive(Debug)]
pub enum Listing<R: Bulk> {
    /// What a search found.
    Search {
        /// The search.
        query: Query<R>,
        /// What was found.
        page: Page<R>,
        /// How many are found on all pages, where that is told.
        total: Option<u64>,
    },
    /// Versions, newest first.
    History(History<R>),
}

impl<R: Bulk> Listing<R> {
    /// The patients whose data is in it.
    pub(super) fn patients(&self) -> Vec<String> {
        match self {
            Self::Search { page, .. } => distinct(page.found.iter().map(|found| found.resource.patient.as_deref())),
            Self::History(history) => distinct(history.entries.iter().map(|entry| entry.patient.as_deref())),
        }
    }

    /// How many resources or versions are in it.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Search { page, .. } => page.found.len(),
            Self::History(history) => history.entries.len(),
        }
    }

    /// Bytes of resources in it.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Search { page, .. } => page.found.iter().map(|found| found.resource.body.len()).sum(),
            Self::History(history) => {
                history.entries.iter().filter_map(|entry| entry.body.as_ref()).map(String::len).sum()
            }
        }
    }
}

macro_rules! typed {
    ($($(#[$doc:meta])* $name:ident of $content:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {
            /// Of Patient.
            Patient($content<Patient>),
            /// Of Observation.
            Observation($content<Observation>),
        }
    )*};
}

typed! {
    /// A resource that an entry writes.
    Content of Load;
    /// What an entry hangs on.
    Condition of Criteria;
    /// What an entry searches for.
    Search of Query;
    /// What an entry's search or history found.
    Listed of Listing;
}

impl Condition {
    /// The key of the criteria.
    pub const fn key(&self) -> u64 {
        match self {
            Self::Patient(criteria) => criteria.key(),
            Self::Observation(criteria) => criteria.key(),
        }
    }
}

impl Bundled for Patient {
    fn content(load: Load<Self>) -> Content {
        Content::Patient(load)
    }

    fn load(content: &Content) -> Option<&Load<Self>> {
        if let Content::Patient(load) = content { Some(load) } else { None }
    }

    fn criteria(condition: &Condition) -> Option<&Criteria<Self>> {
        if let Condition::Patient(criteria) = condition { Some(criteria) } else { None }
    }

    fn condition(criteria: Criteria<Self>) -> Condition {
        Condition::Patient(criteria)
    }

    fn search(query: Query<Self>) -> Search {
        Search::Patient(query)
    }

    fn query(search: &Search) -> Option<&Query<Self>> {
        if let Search::Patient(query) = search { Some(query) } else { None }
    }

    fn listed(listing: Listing<Self>) -> Listed {
        Listed::Patient(listing)
    }
}

impl Bundled for Observation {
    fn content(load: Load<Self>) -> Content {
        Content::Observation(load)
    }

    fn load(content: &Content) -> Option<&Load<Self>> {
        if let Content::Observation(load) = content { Some(load) } else { None }
    }

    fn criteria(condition: &Condition) -> Option<&Criteria<Self>> {
        if let Condition::Observation(criteria) = condition { Some(criteria) } else { None }
    }

    fn condition(criteria: Criteria<Self>) -> Condition {
        Condition::Observation(criteria)
    }

    fn search(query: Query<Self>) -> Search {
        Search::Observation(query)
    }

    fn query(search: &Search) -> Option<&Query<Self>> {
        if let Search::Observation(query) = search { Some(query) } else { None }
    }

    fn listed(listing: Listing<Self>) -> Listed {
        Listed::Observation(listing)
    }
}
