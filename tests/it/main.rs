//! The one integration binary: tests speak HTTP to a real server on a real PostgreSQL (see the harness in `src`).

mod attacks_keys;
mod attacks_tenant;
mod attacks_token;
mod commands;
mod isolation;
mod layers;
mod poisoning;
mod scope_limits;
mod scopes;
mod search_attacks;
mod search_lists;
mod search_parameters;
