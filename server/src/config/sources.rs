//! Where an option's value comes from: flag, then environment, then file (CONTRACT: flags > environment > file >
//! defaults). The origin travels with the value, so that a complaint names what the reader has to change.

use std::{ffi::OsString, fmt, str::FromStr};

use super::{ConfigError, file::ConfigFile};

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// On the command line.
    Flag(&'static str),
    /// In the environment.
    Environment(String),
    /// In the TOML file.
    File { key: &'static str, path: String },
}

impl Origin {
    /// 0 binds strongest.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Flag(_) => 0,
            Self::Environment(_) => 1,
            Self::File { .. } => 2,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Environment(variable) => f.write_str(variable),
            Self::File { key, path } => write!(f, "{key} in {path}"),
        }
    }
}

/// A value as it was given. No `Debug`: it may be a password.
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Given {
    /// Parses the value; the error names its origin.
    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Result<T, ConfigError> {
        self.parse_with(T::from_str)
    }

    /// Parses the value with a function of its own.
    pub(super) fn parse_with<T, E: fmt::Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        parse(&self.text).map_err(|error| self.wrong(error.to_string()))
    }

    /// A complaint about this value.
    pub(super) fn wrong(&self, why: impl Into<String>) -> ConfigError {
        ConfigError::Value { origin: self.origin.to_string(), why: why.into() }
    }
}

/// The environment and the file; flags are handed in one by one.
pub(super) struct Sources<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) file: Option<(String, ConfigFile)>,
}

impl Sources<'_> {
    /// The strongest value of an option, or none where its default holds. An empty variable counts as not set.
    pub(super) fn pick(&self, name: &'static str, flag: Option<&str>) -> Result<Option<Given>, ConfigError> {
        if let Some(text) = flag {
            return Ok(Some(Given { text: text.to_owned(), origin: Origin::Flag(name) }));
        }
        if let Some(given) = self.variable(&variable_of(name))? {
            return Ok(Some(given));
        }
        Ok(self.file.as_ref().and_then(|(path, file)| {
            let origin = Origin::File { key: name, path: path.clone() };
            file.get(name).map(|text| Given { text: text.to_owned(), origin })
        }))
    }

    /// The value of an environment variable, if it is set and not empty.
    pub(super) fn variable(&self, variable: &str) -> Result<Option<Given>, ConfigError> {
        let Some(value) = (self.environment)(variable).filter(|value| !value.is_empty()) else { return Ok(None) };
        let origin = Origin::Environment(variable.to_owned());
        match value.into_string() {
            Ok(text) => Ok(Some(Given { text, origin })),
            Err(_) => Err(ConfigError::Value { origin: origin.to_string(), why: "must be UTF-8".to_owned() }),
        }
    }
}

/// The environment variable of an option: `VITALS_` and the flag in capitals with `_`.
fn variable_of(name: &str) -> String {
    format!("VITALS_{}", name.to_ascii_uppercase().replace('-', "_"))
}
