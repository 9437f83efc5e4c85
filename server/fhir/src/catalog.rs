//! The one table of FHIR interactions this server offers. The router, the access check, the CapabilityStatement,
//! the OpenAPI document and the isolation and scope matrices of the tests are all made from it.

pub mod audit_event;
mod parameters;

use crate::{bundle::BundleKind, interaction::Letter, resource::ResourceType};

/// How an interaction is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET (and HEAD).
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

impl Method {
    /// The method's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// The interactions, by their FHIR codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// `read`
    Read,
    /// `vread`
    Vread,
    /// `history-instance`
    HistoryInstance,
    /// `search-type` by GET.
    SearchType,
    /// `search-type` by POST `_search`.
    SearchTypePost,
    /// `search-type` in the compartment of one Patient.
    SearchCompartment,
    /// `history-type`
    HistoryType,
    /// `create`
    Create,
    /// `update`
    Update,
    /// `delete`
    Delete,
    /// `update` of what meets some criteria.
    ConditionalUpdate,
    /// `delete` of what meets some criteria.
    ConditionalDelete,
    /// `$validate` of what could become a resource of the type.
    Validate,
    /// `$validate` of what could become of one resource.
    ValidateInstance,
}

impl Code {
    /// The code as in `CapabilityStatement.rest.resource.interaction.code`, or an operation's name.
    pub const fn fhir(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Vread => "vread",
            Self::HistoryInstance => "history-instance",
            Self::SearchType | Self::SearchTypePost | Self::SearchCompartment => "search-type",
            Self::HistoryType => "history-type",
            Self::Create => "create",
            Self::Update | Self::ConditionalUpdate => "update",
            Self::Delete | Self::ConditionalDelete => "delete",
            Self::Validate | Self::ValidateInstance => "validate",
        }
    }

    /// The canonical URL of the definition of what is an operation and no interaction.
    pub const fn definition(self) -> Option<&'static str> {
        match self {
            Self::Validate | Self::ValidateInstance => {
                Some("http://hl7.org/fhir/OperationDefinition/Resource-validate")
            }
            _ => None,
        }
    }
}

/// One row: an interaction on a type.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Which interaction.
    pub code: Code,
    /// On which type.
    pub resource: ResourceType,
    /// The method.
    pub method: Method,
    /// Path below the FHIR base, with `:id` and `:vid`.
    pub path: &'static str,
    /// The scope letter it needs.
    pub letter: Letter,
    /// The letter it needs beside that one.
    pub also: Option<Letter>,
    /// What it does, for the OpenAPI document.
    pub summary: &'static str,
}

/// What kind of search parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// `token`
    Token,
    /// `reference`
    Reference,
    /// `date`
    Date,
    /// `string`
    String,
    /// `quantity`
    Quantity,
    /// `composite`
    Composite,
    /// Governs the result (`_count`, `_sort`); not listed among `searchParam`.
    Result,
}

impl ParameterKind {
    /// The FHIR code (`special` for result parameters, which the CapabilityStatement leaves out).
    pub const fn fhir(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Reference => "reference",
            Self::Date => "date",
            Self::String => "string",
            Self::Quantity => "quantity",
            Self::Composite => "composite",
            Self::Result => "special",
        }
    }
}

/// A search parameter of a type.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in a query.
    pub name: &'static str,
    /// Its kind.
    pub kind: ParameterKind,
    /// Canonical URL of its definition; empty for result parameters.
    pub definition: &'static str,
    /// What it finds, for people.
    pub documentation: &'static str,
}

macro_rules! operations {
    ($resource:ident, $type:literal $(, $more:expr)*) => {
        [
            Operation {
                code: Code::Read,
                resource: ResourceType::$resource,
                method: Method::Get,
                path: concat!($type, "/:id"),
                letter: Letter::Read,
                also: None,
                summary: concat!("Read the current version of one ", $type),
            },
            Operation {
                code: Code::Vread,
                resource: ResourceType::$resource,
                method: Method::Get,
                path: concat!($type, "/:id/_history/:vid"),
                letter: Letter::Read,
                also: None,
                summary: concat!("Read one version of one ", $type),
            },
            Operation {
                code: Code::HistoryInstance,
                resource: ResourceType::$resource,
                method: Method::Get,
                path: concat!($type, "/:id/_history"),
                letter: Letter::Read,
                also: None,
                summary: concat!("List the versions of one ", $type),
            },
            Operation {
                code: Code::SearchType,
                resource: ResourceType::$resource,
                method: Method::Get,
                path: $type,
                letter: Letter::Search,
                also: None,
                summary: concat!("Search ", $type),
            },
            Operation {
                code: Code::SearchTypePost,
                resource: ResourceType::$resource,
                method: Method::Post,
                path: concat!($type, "/_search"),
                letter: Letter::Search,
                also: None,
                summary: concat!("Search ", $type, " with the parameters in a form"),
            },
            Operation {
                code: Code::HistoryType,
                resource: ResourceType::$resource,
                method: Method::Get,
                path: concat!($type, "/_history"),
                letter: Letter::Search,
                also: None,
                summary: concat!("List the versions of every ", $type),
            },
            $($more,)*
            Operation {
                code: Code::Create,
                resource: ResourceType::$resource,
                method: Method::Post,
                path: $type,
                letter: Letter::Create,
                also: None,
                summary: concat!("Create a ", $type, " with a server-made id"),
            },
            Operation {
                code: Code::Validate,
                resource: ResourceType::$resource,
                method: Method::Post,
                path: concat!($type, "/$validate"),
                letter: Letter::Create,
                also: None,
                summary: concat!("Say what would stand against a new ", $type, ", without creating it"),
            },
            Operation {
                code: Code::ValidateInstance,
                resource: ResourceType::$resource,
                method: Method::Post,
                path: concat!($type, "/:id/$validate"),
                letter: Letter::Read,
                also: None,
                summary: concat!("Say what would stand against an update or deletion of one ", $type),
            },
            Operation {
                code: Code::Update,
                resource: ResourceType::$resource,
                method: Method::Put,
                path: concat!($type, "/:id"),
                letter: Letter::Update,
                also: None,
                summary: concat!("Update one ", $type, ", or create it at a chosen id"),
            },
            Operation {
                code: Code::ConditionalUpdate,
                resource: ResourceType::$resource,
                method: Method::Put,
                path: $type,
                letter: Letter::Update,
                also: Some(Letter::Search),
                summary: concat!("Update the one ", $type, " that meets the criteria, or create it"),
            },
            Operation {
                code: Code::ConditionalDelete,
                resource: ResourceType::$resource,
                method: Method::Delete,
                path: $type,
                letter: Letter::Delete,
                also: Some(Letter::Search),
                summary: concat!("Delete the one ", $type, " that meets the criteria"),
            },
            Operation {
                code: Code::Delete,
                resource: ResourceType::$resource,
                method: Method::Delete,
                path: concat!($type, "/:id"),
                letter: Letter::Delete,
                also: None,
                summary: concat!("Delete one ", $type),
            },
        ]
    };
}

const PATIENT: [Operation; 13] = operations!(Patient, "Patient");
const OBSERVATION: [Operation; 14] = operations!(
    Observation,
    "Observation",
    Operation {
        code: Code::SearchCompartment,
        resource: ResourceType::Observation,
        method: Method::Get,
        path: "Patient/:id/Observation",
        letter: Letter::Search,
        also: None,
        summary: "Search the Observations of one Patient's compartment",
    }
);

/// The operations on a type.
pub const fn operations(resource: ResourceType) -> &'static [Operation] {
    match resource {
        ResourceType::Patient => &PATIENT,
        ResourceType::Observation => &OBSERVATION,
    }
}

/// An interaction with a whole base, which its Bundle's type names.
#[derive(Clone, Copy, Debug)]
pub struct SystemOperation {
    /// The code, as in `CapabilityStatement.rest.interaction.code`.
    pub code: BundleKind,
    /// What it does, for the CapabilityStatement and the OpenAPI document.
    pub summary: &'static str,
}

/// The interactions with a whole base: each is a POST of a Bundle, and each entry needs what it would need alone.
pub const SYSTEM: [SystemOperation; 2] = [
    SystemOperation { code: BundleKind::Batch, summary: "Do many interactions at once, each for itself" },
    SystemOperation { code: BundleKind::Transaction, summary: "Do many interactions at once, all or none" },
];

/// Every operation.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    ResourceType::ALL.into_iter().flat_map(|resource| operations(resource))
}

/// The search parameters of a type.
pub const fn parameters(resource: ResourceType) -> &'static [Parameter] {
    match resource {
        ResourceType::Patient => &parameters::PATIENT,
        ResourceType::Observation => &parameters::OBSERVATION,
    }
}
