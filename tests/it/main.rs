//! The one integration binary: tests speak HTTP to a real server on a real PostgreSQL (see the harness in `src`).

mod attacks_keys;
mod attacks_tenant;
mod attacks_token;
mod bundle_batch;
mod bundle_conditional;
mod bundle_transaction;
mod commands;
mod fhir;
mod fhir_documents;
mod fhir_pages;
mod fhir_search;
mod fhir_wire;
mod isolation;
mod layers;
mod migrations;
mod operator;
mod poisoning;
mod scope_limits;
mod scopes;
mod search_attacks;
mod search_lists;
mod search_parameters;
mod silence;
mod starting;
mod trail;
mod trail_lost;
