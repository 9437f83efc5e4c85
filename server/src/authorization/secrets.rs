//! Secrets of the authorization server: made here, shown once, kept as a hash.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Bytes of a secret, a code or a refresh token: nobody guesses 256 bits.
const BYTES: usize = 32;

/// A new secret of 256 random bits, in base64url.
///
/// # Panics
/// When aws-lc has no random bytes, which means that it does not work at all.
pub fn random() -> String {
    let mut bytes = [0; BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the random source of aws-lc does not run dry");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is kept of a secret: its SHA-256, in base64url. A secret of 256 random bits needs no slower hash.
pub fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, secret.as_bytes()))
}

/// Whether a secret is the one of a hash, in a time that does not depend on where they differ.
pub fn is(secret: &str, kept: &str) -> bool {
    same(&hash(secret), kept)
}

/// Whether two texts are the same, in a time that depends on their lengths alone.
pub fn same(one: &str, other: &str) -> bool {
    verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_hash_alone() {
        let (one, other) = (random(), random());
        assert_eq!(one.len(), 43);
        assert!(is(&one, &hash(&one)));
        assert!(!is(&one, &hash(&other)));
        assert!(!is("", &hash(&one)));
        // RFC 7636, appendix B.
        assert_eq!(hash("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
