//! API keys: a credential for development that is one text. `vk_`, 36 random characters, and a checksum that lets a
//! scanner of secrets, and us, know one without asking anybody. Only its SHA-256 is stored.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    access::Holder,
    hash::sha256,
    scope::{Reach, ScopeSet, User, Who},
    tenant::TenantRole,
};

/// Who vouches for the holder of a key, where tokens have their issuer.
pub const ISSUER: &str = "urn:vitals:api-key";

const PREFIX: &str = "vk_";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 36 digits of 62 are 214 bits.
const RANDOM: usize = 36;
/// 62^6 is more than 2^32.
const CHECKSUM: usize = 6;

/// A new key: its text, which is shown once, and what is stored of it.
pub struct NewApiKey {
    /// The key.
    pub text: String,
    /// Its SHA-256.
    pub hash: [u8; 32],
}

impl NewApiKey {
    /// Makes one.
    ///
    /// # Panics
    /// When aws-lc has no random bytes, which means that it does not work at all.
    pub fn generate() -> Self {
        let mut text = PREFIX.to_owned();
        while text.len() < PREFIX.len() + RANDOM {
            let mut byte = [0];
            aws_lc_rs::rand::fill(&mut byte).expect("the random source of aws-lc does not run dry");
            // 248 is four times 62: what lies above would make some digits likelier.
            if byte[0] < 248 {
                text.push(char::from(DIGITS[usize::from(byte[0] % 62)]));
            }
        }
        text.push_str(&checksum(&text));
        Self { hash: sha256(&[text.as_bytes()]), text }
    }
}

/// Nothing of the key.
impl fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewApiKey(hidden)")
    }
}

/// The hash of a text that has the form of a key, checksum included.
pub(crate) fn hash_of(text: &str) -> Option<[u8; 32]> {
    let (body, sum) = text.split_at_checked(PREFIX.len() + RANDOM)?;
    let digits = body.strip_prefix(PREFIX)?;
    let good = digits.bytes().all(|digit| DIGITS.contains(&digit)) && sum == checksum(body);
    good.then(|| sha256(&[text.as_bytes()]))
}

/// CRC-32 (ISO 3309) in six digits, the highest first.
fn checksum(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let mut rest = usize::try_from(!crc).unwrap_or(usize::MAX);
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % 62];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// A key as the registry holds it.
#[derive(Clone, Debug)]
pub struct StoredApiKey {
    /// Whose it is.
    pub tenant: TenantRole,
    /// Its id, which is no secret.
    pub id: String,
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// What people call it.
    pub name: String,
    /// What it may reach: scopes, separated by spaces.
    pub scopes: String,
    /// The patient it is confined to.
    pub patient: Option<String>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it ends.
    pub expires: DateTime<Utc>,
}

/// A key that may be shown to this server, with what it reaches.
#[derive(Debug)]
pub(crate) struct ApiKey {
    pub(crate) tenant: TenantRole,
    pub(crate) id: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) expires: DateTime<Utc>,
    pub(crate) holder: Arc<Holder>,
}

impl ApiKey {
    pub(crate) fn of(stored: StoredApiKey) -> Self {
        let scopes = stored.scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        let scopes = ScopeSet::of(scopes);
        // Nobody signed in: `user/` scopes in its row reach nothing.
        let reach = Reach::of(&scopes, Who { patient: stored.patient.as_deref(), user: &User::Nobody });
        let holder = Holder {
            client: Some(stored.name),
            patient: stored.patient,
            issued: Some(stored.created),
            ..Holder::new(ISSUER.to_owned(), stored.id.clone(), scopes, reach, stored.expires)
        };
        Self {
            tenant: stored.tenant,
            id: stored.id,
            created: stored.created,
            expires: stored.expires,
            holder: Arc::new(holder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_form_and_its_checksum() {
        let NewApiKey { text, hash } = NewApiKey::generate();
        assert_eq!(text.len(), 45);
        assert_eq!(hash_of(&text), Some(hash));
        assert_eq!(hash, sha256(&[text.as_bytes()]));
        assert_ne!(text, NewApiKey::generate().text);
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'a' { b'b' } else { b'a' };
            assert_eq!(hash_of(&String::from_utf8(other).unwrap()), None, "character {place} of {text}");
        }
        for bad in ["", "vk_", &text[1..], &text[..44], &format!("{text}0"), &format!(" {text}"), &"é".repeat(30)] {
            assert_eq!(hash_of(bad), None, "{bad}");
        }
        // Right sums over what is no key.
        for body in [format!("vx_{}", "a".repeat(36)), format!("vk_{}-", "a".repeat(35))] {
            assert_eq!(hash_of(&format!("{body}{}", checksum(&body))), None, "{body}");
        }
        assert_eq!(format!("{:?}", NewApiKey::generate()), "NewApiKey(hidden)");
    }

    #[test]
    fn every_digit_stands_in_keys() {
        let keys: String =
            (0..60).map(|_| NewApiKey::generate().text[PREFIX.len()..PREFIX.len() + RANDOM].to_owned()).collect();
        let missing: Vec<char> =
            DIGITS.iter().map(|digit| char::from(*digit)).filter(|digit| !keys.contains(*digit)).collect();
        // One of 62 is missing among 2,160 once in some ten million million runs.
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        // The check value of CRC-32/ISO-HDLC is 0xCBF43926.
        let value = checksum("123456789").bytes().fold(0_u64, |sum, digit| {
            sum * 62 + u64::try_from(DIGITS.iter().position(|known| *known == digit).unwrap()).unwrap()
        });
        assert_eq!(value, 0xCBF4_3926);
    }

    #[test]
    fn every_digit_is_used() {
        let keys: String = (0..200).map(|_| NewApiKey::generate().text).collect();
        assert!(DIGITS.iter().all(|digit| keys.contains(char::from(*digit))));
    }
}
