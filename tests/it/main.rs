//! The one integration binary: tests speak HTTP to a real server on a real PostgreSQL (see the harness in `src`).

mod attacks_keys;
mod attacks_tenant;
mod attacks_token;
mod bundle_batch;
mod bundle_conditional;
mod bundle_transaction;
mod isolation;
mod layers;
mod scope_limits;
mod scopes;
