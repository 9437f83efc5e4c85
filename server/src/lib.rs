//! The Vitals server: a FHIR R4 server for vital signs that keeps many health organisations apart.
//!
//! Where things are: `app` puts the parts together and lists the layers around a request; `public` decides which part
//! answers an address; `rest` is FHIR over HTTP, `oauth` the tenants' authorization servers over `authorization`, `interaction`
//! and `operation` are FHIR without HTTP or SQL, `vitals_store` is SQL, `vitals_access` judges tokens and scopes, `cli` is
//! the command line, `admin` the operator's listener.

pub mod admin;
pub mod app;
pub mod audit;
pub mod authorization;
pub mod cli;
pub mod clock;
pub mod config;
pub mod egress;
pub mod failure;
pub mod interaction;
pub mod job;
pub mod limit;
pub mod listen;
pub mod oauth;
pub mod openapi;
pub mod operation;
pub mod public;
pub mod rest;
pub mod state;
pub mod telemetry;
pub mod tls;
