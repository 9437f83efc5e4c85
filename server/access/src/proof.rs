//! What a caller proves besides knowing a credential.

mod certificate;
mod circumstances;

pub use certificate::{Anchor, ClientCertificate, NotACertificate, SubjectName};
pub use circumstances::{Circumstances, Credential, RequestOrigin};
