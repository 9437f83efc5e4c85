//! The wall between a request and a tenant's data: who calls, for which tenant, and what of it they may reach.
//!
//! A token goes through `gate` (form), [`keys`] (signature), [`claims`] (meaning) and [`verifier`] (tenant, time,
//! revocation, proof) and becomes an [`access::Access`]; an `Access` turns the token's [`scope`]s into a
//! [`predicate::Visible`] for each kind of interaction. Pure: nothing here reads a clock, a file or a socket.

pub mod access;
pub mod api_key;
pub mod assertion;
pub mod audit;
pub mod claims;
pub mod clock;
pub mod directory;
pub mod dpop;
mod gate;
pub mod grant;
mod hash;
pub mod id_token;
mod jws;
pub mod keys;
pub mod limits;
pub mod predicate;
pub mod preview;
pub mod proof;
pub mod refusal;
pub mod revocations;
pub mod scope;
pub mod settings;
pub mod tenant;
pub mod verifier;
pub mod witness;

pub use jws::ALGORITHMS;

#[cfg(test)]
mod forge;
