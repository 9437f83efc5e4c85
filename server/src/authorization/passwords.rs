//! Passwords: Argon2id (RFC 9106), with OWASP's parameters for servers.
//!
//! A hash takes 19 MiB and some 15 ms of a core. At most two are made at a time, whoever asks, so that a crowd at the
//! sign-in page takes neither the memory nor all cores.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use tokio::sync::Semaphore;

/// Fewest characters of a password (NIST SP 800-63B asks for eight, and for fifteen where it stands alone).
pub const FEWEST_CHARACTERS: usize = 12;
/// Longest password that is hashed: longer ones are no better, and cost.
pub const MOST_BYTES: usize = 256;

/// KiB of memory, passes and lanes.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Hashes at a time.
const AT_A_TIME: usize = 2;

/// Hashes and compares passwords.
#[derive(Debug)]
pub struct Passwords {
    turns: Semaphore,
}

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    /// Fewer than twelve characters.
    #[error("a password has at least {FEWEST_CHARACTERS} characters")]
    Short,
    /// More than 256 bytes.
    #[error("a password has at most {MOST_BYTES} bytes")]
    Long,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_A_TIME) }
    }
}

/// Whether a password may be set.
pub fn check(password: &str) -> Result<(), PasswordRefused> {
    if password.len() > MOST_BYTES {
        return Err(PasswordRefused::Long);
    }
    if password.chars().count() < FEWEST_CHARACTERS { Err(PasswordRefused::Short) } else { Ok(()) }
}

/// A password of 100 random bits that can be read out and typed.
///
/// # Panics
/// When aws-lc has no random bytes, which means that it does not work at all.
pub fn generate() -> String {
    // Without what looks alike, and without vowels, so that no words come out.
    const SIGNS: [u8; 32] = *b"bcdfghjkmnpqrstvwxyz23456789BCDF";
    let mut random = [0; 20];
    aws_lc_rs::rand::fill(&mut random).expect("the random source of aws-lc does not run dry");
    let signs: Vec<char> = random.iter().map(|byte| char::from(SIGNS[usize::from(byte & 31)])).collect();
    signs.chunks(5).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

impl Passwords {
    /// The hash of a password, as a PHC string.
    ///
    /// # Panics
    /// When aws-lc has no random bytes, which means that it does not work at all.
    pub async fn hash(&self, password: &str) -> String {
        let mut salt = [0; SALT_BYTES];
        aws_lc_rs::rand::fill(&mut salt).expect("the random source of aws-lc does not run dry");
        let hash = self.work(password.to_owned(), salt.to_vec(), COST).await;
        let (memory, passes, lanes) = COST;
        let encode = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
        format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${}${}", encode(&salt), encode(&hash))
    }

    /// Whether this is the password of a hash. Without a hash it takes as long to say no.
    pub async fn are_equal(&self, password: &str, hash: Option<&str>) -> bool {
        let known = hash.and_then(read);
        let is_known = known.is_some();
        let (cost, salt, expected) = known.unwrap_or((COST, vec![0; SALT_BYTES], vec![0; HASH_BYTES]));
        let short: String = password.chars().take(MOST_BYTES).collect();
        let made = self.work(short, salt, cost).await;
        verify_slices_are_equal(&made, &expected).is_ok() && is_known && password.len() <= MOST_BYTES
    }

    async fn work(&self, password: String, salt: Vec<u8>, cost: (u32, u32, u32)) -> Vec<u8> {
        let _turn = self.turns.acquire().await;
        let hash = move || {
            let mut hash = vec![0; HASH_BYTES];
            let (memory, passes, lanes) = cost;
            let params = Params::new(memory, passes, lanes, Some(HASH_BYTES)).ok()?;
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            argon2.hash_password_into(password.as_bytes(), &salt, &mut hash).ok()?;
            Some(hash)
        };
        // An empty hash equals nothing.
        tokio::task::spawn_blocking(hash).await.ok().flatten().unwrap_or_default()
    }
}

type Read = ((u32, u32, u32), Vec<u8>, Vec<u8>);

/// Cost, salt and hash of a PHC string.
fn read(text: &str) -> Option<Read> {
    let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
    let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers = cost.split(',').zip(["m=", "t=", "p="]).map(|(part, name)| part.strip_prefix(name)?.parse().ok());
    let cost = (numbers.next()??, numbers.next()??, numbers.next()??);
    Some((cost, STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_is_equal() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery").await;
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.are_equal("correct horse battery", Some(&hash)).await);
        for (what, password, hash) in [
            ("another", "correct horse batterY", Some(hash.as_str())),
            ("nobody's", "correct horse battery", None),
            ("a broken hash", "correct horse battery", Some("$argon2id$v=19$m=1,t=1,p=1$AA$AA")),
            ("no hash", "correct horse battery", Some("plain")),
            ("empty", "", Some(hash.as_str())),
        ] {
            assert!(!passwords.are_equal(password, hash).await, "{what}");
        }
        assert_ne!(hash, passwords.hash("correct horse battery").await);
    }

    #[test]
    fn short_and_endless_passwords_are_not_taken() {
        assert_eq!(check("eleven char"), Err(PasswordRefused::Short));
        assert_eq!(check("ééééééééééé"), Err(PasswordRefused::Short));
        assert_eq!(check(&"x".repeat(257)), Err(PasswordRefused::Long));
        assert_eq!(check("twelve chars"), Ok(()));
        assert_eq!(check(&generate()), Ok(()));
        assert_ne!(generate(), generate());
    }
}
