//! FHIR interactions as types (<https://hl7.org/fhir/R4/http.html>), each with the scope letter it needs.

/// A letter of a SMART v2 scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Letter {
    /// `c`
    Create,
    /// `r`: read, vread, instance history.
    Read,
    /// `u`: update and patch.
    Update,
    /// `d`
    Delete,
    /// `s`: search, type and system history.
    Search,
}

mod sealed {
    pub trait Sealed {}
}

/// An interaction as a type, so that a view for reading cannot insert.
pub trait Interaction: sealed::Sealed + Send + Sync + 'static {
    /// The scope letter the interaction needs.
    const LETTER: Letter;
    /// The interaction's FHIR code, as in `CapabilityStatement.rest.resource.interaction.code`.
    const CODE: &'static str;
}

macro_rules! interactions {
    ($($(#[$doc:meta])* $name:ident, $letter:ident, $code:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Interaction for $name {
            const LETTER: Letter = Letter::$letter;
            const CODE: &'static str = $code;
        }
    )*};
}

interactions! {
    /// Read the current version.
    Read, Read, "read";
    /// Read one version.
    Vread, Read, "vread";
    /// The versions of one resource.
    HistoryInstance, Read, "history-instance";
    /// The versions of every resource of a type.
    HistoryType, Search, "history-type";
    /// Search a type.
    SearchType, Search, "search-type";
    /// Create with a server-made id.
    Create, Create, "create";
    /// Update, or create at a chosen id.
    Update, Update, "update";
    /// Delete.
    Delete, Delete, "delete";
}
