//! What somebody may show once more: 256 random bits, of which only a hash is kept.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// A new secret, in base64url.
///
/// # Panics
/// When aws-lc has no random bytes, which means that it does not work at all.
pub fn generate() -> String {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).expect("the random source of aws-lc does not run dry");
    URL_SAFE_NO_PAD.encode(random)
}

/// What is kept of a secret: SHA-256, in base64url. It has 256 bits of its own, so a slow hash would add nothing.
pub fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, secret.as_bytes()))
}
