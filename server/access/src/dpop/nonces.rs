//! Nonces for proofs (RFC 9449, sections 8 and 9): a span of time under a code that only servers of one master key can
//! make, so that none has to be remembered and every replica knows those of the others.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};

/// How long a nonce is offered, in seconds; it is good for as long again, so that nobody is sent back twice.
const SPAN: i64 = 150;
/// Bytes of the code that are sent: 128 bits.
const CODE: usize = 16;

/// Makes nonces and knows them again.
#[derive(Clone)]
pub struct DpopNonces(hmac::Key);

impl DpopNonces {
    /// With a key that all replicas derive from their master key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The nonce to use now.
    pub fn offered(&self, now: DateTime<Utc>) -> String {
        self.of_span(now.timestamp().div_euclid(SPAN))
    }

    /// Whether it is the nonce of now, of the span before, or of the next one, which a replica may have begun.
    pub fn accepts(&self, nonce: &str, now: DateTime<Utc>) -> bool {
        let span = now.timestamp().div_euclid(SPAN);
        let is = |span| verify_slices_are_equal(self.of_span(span).as_bytes(), nonce.as_bytes()).is_ok();
        [span, span - 1, span + 1].into_iter().any(is)
    }

    fn of_span(&self, span: i64) -> String {
        let tag = hmac::sign(&self.0, &span.to_be_bytes());
        URL_SAFE_NO_PAD.encode(&tag.as_ref()[..CODE])
    }
}

impl std::fmt::Debug for DpopNonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DpopNonces(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_span_and_the_next() {
        let (nonces, other) = (DpopNonces::new(&[1; 32]), DpopNonces::new(&[2; 32]));
        let at = |second| DateTime::from_timestamp(SPAN * 1_000 + second, 0).unwrap();
        let nonce = nonces.offered(at(0));
        assert_eq!(nonce.len(), 22);
        assert_eq!(nonce, nonces.offered(at(SPAN - 1)));
        assert_ne!(nonce, nonces.offered(at(SPAN)));
        assert_ne!(nonce, other.offered(at(0)));
        for (second, good) in
            [(0, true), (2 * SPAN - 1, true), (2 * SPAN, false), (-1, true), (-SPAN, true), (-SPAN - 1, false)]
        {
            assert_eq!(nonces.accepts(&nonce, at(second)), good, "{second}");
        }
        assert!(!other.accepts(&nonce, at(0)));
        for bad in ["", "x", &nonce[1..], &format!("{nonce}A"), &nonce.to_lowercase()] {
            assert!(!nonces.accepts(bad, at(0)), "{bad}");
        }
        assert_eq!(format!("{nonces:?}"), "DpopNonces(hidden)");
    }
}
