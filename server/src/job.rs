//! Work on a tenant's behalf without a token. The authority is a stored row ([`vitals_store::control::jobs`]); from
//! there on a job goes through the same `Access`, predicate and trail as any request.

pub mod import;
pub mod load;
