//! Passwords of roles: made here, and hashed here, so that no statement carries one in clear.
//!
//! PostgreSQL takes a SCRAM verifier in the place of a password: <https://www.postgresql.org/docs/15/catalog-pg-authid.html>,
//! computed as in [RFC 5802](https://www.rfc-editor.org/rfc/rfc5802#section-3).

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

/// As many rounds as PostgreSQL 15 takes itself.
const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).expect("4096 is not zero");

/// A new password of 192 bits, safe to stand in a URL.
pub(crate) fn random() -> String {
    let mut bytes = [0_u8; 24];
    rand::fill(&mut bytes).expect("the system gives random bytes");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The verifier PostgreSQL stores for a password, or nothing when its characters would need normalising first
/// (SASLprep leaves printable ASCII as it is).
pub(crate) fn verifier(password: &str) -> Option<String> {
    let mut salt = [0_u8; 16];
    rand::fill(&mut salt).expect("the system gives random bytes");
    let plain = !password.is_empty() && password.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    plain.then(|| verifier_with(password, salt))
}

fn verifier_with(password: &str, salt: [u8; 16]) -> String {
    let mut salted = [0_u8; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    let [salt, stored_key, server_key] =
        [&salt[..], stored_key.as_ref(), server_key.as_ref()].map(|bytes| BASE64_STANDARD.encode(bytes));
    format!("SCRAM-SHA-256${ROUNDS}:{salt}${stored_key}:{server_key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifier_is_that_of_rfc_7677() {
        // The example exchange of RFC 7677, section 3, has user `user`, password `pencil` and this salt; the keys
        // were derived from it with Python's hashlib.
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        assert_eq!(
            verifier_with("pencil", salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn passwords_that_need_normalising_are_not_hashed() {
        assert!(verifier("plain pass'word").is_some());
        assert!(verifier("p\u{e4}ss").is_none());
        assert!(verifier("").is_none());
    }
}
