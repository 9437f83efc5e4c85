//! The command line: what may be asked ([`args`]), how it ends ([`Exit`]), and one file for each command.

use std::{error::Error, fmt, process::ExitCode};

use clap::Parser as _;

use crate::{config::Settings, openapi};

mod api_key;
pub mod args;
mod audit;
mod client;
pub mod demo;
mod desk;
mod doctor;
mod grant;
mod import;
mod issuer;
mod key;
mod limits;
mod lockdown;
mod migrate;
mod open;
mod print;
mod recorded;
mod serve;
mod setup;
mod tenant;
mod tenant_settings;
#[cfg(test)]
mod tests;
mod token;
mod user;

pub use open::{Connection, Needs, Opened};

/// How a command ends: data on standard output, words on standard error, and one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Success,
    /// It could not, or found what it looked for to be wrong.
    Failure,
    /// It was asked in a way that makes no sense; clap's own complaints end with the same code.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::Failure => Self::from(1),
            Exit::Usage => Self::from(2),
        }
    }
}

/// Why a command could not do its work: one sentence, with its causes.
#[derive(Debug)]
pub struct CommandError {
    text: String,
    exit: Exit,
}

impl CommandError {
    /// A failure in words of our own.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: Exit::Failure }
    }

    /// A command that makes no sense as it was given.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: Exit::Usage }
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<E: Error> From<E> for CommandError {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            let more = without_place(&next.to_string()).to_owned();
            // Some libraries repeat their cause in their own words.
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = next.source();
        }
        Self::new(text)
    }
}

/// A message of PostgreSQL without the line of its own source code that it came from.
fn without_place(text: &str) -> &str {
    match text.rsplit_once(" at line ") {
        Some((message, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => message,
        _ => text,
    }
}

/// Runs the command line of this process.
pub async fn run() -> Exit {
    let invocation = args::Invocation::parse();
    let settings = match Settings::load(&invocation.flags) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("vitals: {}", CommandError::from(error));
            return Exit::Usage;
        }
    };
    for warning in &settings.warnings {
        eprintln!("vitals: {warning}");
    }
    let json = invocation.json;
    let ended = match invocation.command {
        args::Command::Demo => Box::pin(demo::run(&settings)).await,
        args::Command::Serve => Box::pin(serve::run(&settings)).await,
        args::Command::Setup => setup::run(&settings, json).await,
        args::Command::Tenant(command) => tenant::run(&settings, command, json).await,
        args::Command::Client(command) => client::run(&settings, command, json).await,
        args::Command::User(command) => user::run(&settings, command, json).await,
        args::Command::ApiKey(command) => api_key::run(&settings, command, json).await,
        args::Command::Grant(command) => Box::pin(grant::run(&settings, command, json)).await,
        args::Command::Key(command) => key::run(&settings, command, json).await,
        args::Command::Issuer(command) => issuer::run(&settings, command, json).await,
        args::Command::Limits(command) => limits::run(&settings, command, json).await,
        args::Command::Migrate(command) => migrate::run(&settings, command, json).await,
        args::Command::Token(command) => token::run(&settings, command).await,
        args::Command::Import(command) => import::run(&settings, command, json).await,
        args::Command::Audit(command) => audit::run(&settings, command, json).await,
        args::Command::Openapi(wanted) => {
            let document = if wanted.plain { openapi::plain_document() } else { openapi::document() };
            print::line(&document).map(|()| Exit::Success)
        }
        args::Command::Doctor => doctor::run(&settings, json).await,
    };
    ended.unwrap_or_else(|error| {
        eprintln!("vitals: {error}");
        error.exit()
    })
}
