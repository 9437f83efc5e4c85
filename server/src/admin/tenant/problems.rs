//! Failures of the rules of the authorization servers, as problem details.

use std::error::Error;

use vitals_store::StoreError;

use super::Problem;
use crate::{
    audit::Unseen,
    authorization::{
        DeskError, accounts::AccountError, api_keys::ApiKeyError, clients::ClientError, grants::GrantsError,
    },
    failure::Failure,
};

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Failure::from(error).into()
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Store(error) => error.into(),
            DeskError::Control(error) => error.into(),
            DeskError::Connect(error) => error.into(),
            DeskError::Stale(error) => error.into(),
        }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Taken(_) => Self::taken(sentence(&error)),
            ClientError::Desk(error) => error.into(),
            ClientError::RedirectUri { .. } | ClientError::Metadata(_) => Self::unprocessable(sentence(&error)),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Taken => Self::taken(sentence(&error)),
            AccountError::Unknown => Self::no_such("user"),
            AccountError::Store(error) => error.into(),
            AccountError::Desk(error) => error.into(),
            _ => Self::unprocessable(sentence(&error)),
        }
    }
}

impl From<ApiKeyError> for Problem {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::Name => Self::unprocessable(sentence(&error)),
            ApiKeyError::Connect(error) => error.into(),
            ApiKeyError::Control(error) => error.into(),
            ApiKeyError::Stale(error) => error.into(),
        }
    }
}

impl From<Unseen> for Problem {
    fn from(unseen: Unseen) -> Self {
        Failure::unavailable(match unseen {
            Unseen::Away => "audit store away",
            Unseen::Busy => "audit search too busy",
        })
        .into()
    }
}

impl From<GrantsError> for Problem {
    fn from(error: GrantsError) -> Self {
        match error {
            GrantsError::Connect(error) => error.into(),
            GrantsError::Control(error) => error.into(),
            GrantsError::Store(error) => error.into(),
            GrantsError::Stale(error) => error.into(),
            _ => Self::unprocessable(sentence(&error)),
        }
    }
}

/// The message of an error as a sentence.
fn sentence(error: &dyn Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
