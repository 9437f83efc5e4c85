//! vitals-conformance.
