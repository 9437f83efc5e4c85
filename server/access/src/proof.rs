//! What a caller proves besides knowing a credential.

mod certificate;

pub use certificate::{Anchor, ClientCertificate, NotACertificate, SubjectName};
