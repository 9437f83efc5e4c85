//! One member of a JWK Set into a key, or the reason why it cannot be used (RFC 7517, RFC 7518 section 6, RFC 8037).

use std::borrow::Cow;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use vitals_fhir::json::{Kind, Value};

use crate::{hash::sha256, keys::VerifyingKey};

/// Longest key id looked at; longer ones are no ids.
pub(crate) const MAX_KID: usize = 256;
/// Smallest RSA modulus (contract; NIST SP 800-131A).
const MIN_RSA_BITS: usize = 2_048;
/// Largest RSA modulus aws-lc verifies with; beyond it a key only costs time.
const MAX_RSA_BITS: usize = 8_192;
/// Smallest RSA exponent: 1 makes every message its own signature, 3 has a history of forgeries.
const MIN_RSA_EXPONENT: u32 = 65_537;

/// Members that only a private or a symmetric key has.
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

type Read<T> = Result<T, &'static str>;

/// Reads one key of a set.
pub(super) fn read(jwk: Value<'_>) -> Read<VerifyingKey> {
    if jwk.kind() != Kind::Object {
        return Err("not an object");
    }
    let kid = text(jwk, "kid")?.filter(|kid| (1..=MAX_KID).contains(&kid.len())).ok_or("no usable kid")?.into_owned();
    let (key, _) = read_public(jwk)?;
    Ok(VerifyingKey { kid, ..key })
}

/// Reads a key that came with its own proof and needs no id, and its thumbprint (RFC 7638).
pub(crate) fn read_alone(jwk: Value<'_>) -> Read<(VerifyingKey, [u8; 32])> {
    if jwk.kind() != Kind::Object {
        return Err("not an object");
    }
    read_public(jwk)
}

fn read_public(jwk: Value<'_>) -> Read<(VerifyingKey, [u8; 32])> {
    if text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err("its use is not sig");
    }
    if !may_verify(jwk)? {
        return Err("its key_ops do not hold verify");
    }
    let kty = text(jwk, "kty")?.ok_or("no kty")?;
    if kty != "oct" && PRIVATE_MEMBERS.iter().any(|member| jwk.get(member).is_some()) {
        return Err("it shows its private part, so anyone may sign with it");
    }
    let Public { family, key, bytes, canonical } = match kty.as_ref() {
        "RSA" => rsa(jwk)?,
        "EC" => elliptic(jwk)?,
        "OKP" => edwards(jwk)?,
        "oct" => return Err("symmetric keys are not accepted"),
        _ => return Err("unknown kty"),
    };
    let algorithms = match text(jwk, "alg")? {
        Some(name) => narrowed(family, &name).ok_or("its alg is not accepted, or not one of its type")?,
        None => family,
    };
    let key = VerifyingKey { kid: String::new(), algorithms, key, fingerprint: sha256(&[&bytes]) };
    Ok((key, sha256(&[canonical.as_bytes()])))
}

/// A public key: the algorithms of its type, its bytes, and the form its thumbprint is taken of.
struct Public {
    family: &'static [Algorithm],
    key: DecodingKey,
    bytes: Vec<u8>,
    canonical: String,
}

fn narrowed(family: &'static [Algorithm], name: &str) -> Option<&'static [Algorithm]> {
    let algorithm = crate::jws::accepted_algorithm(name)?;
    let place = family.iter().position(|known| *known == algorithm)?;
    family.get(place..=place)
}

fn may_verify(jwk: Value<'_>) -> Read<bool> {
    match jwk.get("key_ops") {
        None => Ok(true),
        Some(operations) if operations.kind() == Kind::Array => {
            Ok(operations.items().any(|operation| operation.string().is_some_and(|name| name == "verify")))
        }
        Some(_) => Err("its key_ops are no array"),
    }
}

fn rsa(jwk: Value<'_>) -> Read<Public> {
    let modulus = number(jwk, "n")?;
    let exponent = number(jwk, "e")?;
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    if bits < MIN_RSA_BITS {
        return Err("RSA under 2,048 bits");
    }
    if bits > MAX_RSA_BITS {
        return Err("RSA over 8,192 bits");
    }
    let small = exponent.len() <= 4;
    let value = exponent.iter().take(4).fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    if !small || value < MIN_RSA_EXPONENT || value.is_multiple_of(2) {
        return Err("its RSA exponent is not an odd number from 65,537 on");
    }
    if modulus.last().is_none_or(|last| last.is_multiple_of(2)) {
        return Err("its RSA modulus is even");
    }
    let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    let bytes = [b"RSA".as_slice(), &exponent, b"/", &modulus].concat();
    let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, b64(&exponent), b64(&modulus));
    Ok(Public { family: &[Algorithm::RS256, Algorithm::RS384, Algorithm::PS256], key, bytes, canonical })
}

fn elliptic(jwk: Value<'_>) -> Read<Public> {
    let curve = text(jwk, "crv")?.ok_or("no crv")?;
    let (family, size, checker): (&'static [Algorithm], usize, &'static dyn VerificationAlgorithm) =
        match curve.as_ref() {
            "P-256" => (&[Algorithm::ES256], 32, &ECDSA_P256_SHA256_FIXED),
            "P-384" => (&[Algorithm::ES384], 48, &ECDSA_P384_SHA384_FIXED),
            _ => return Err("its curve is not accepted"),
        };
    let (x, y) = (decoded(jwk, "x")?, decoded(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err("its point has not the length of its curve");
    }
    let point = [[4_u8].as_slice(), &x, &y].concat();
    UnparsedPublicKey::new(checker, &point).parse().map_err(|_| "its point is not on its curve")?;
    let canonical = format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, b64(&x), b64(&y));
    Ok(Public { family, key: DecodingKey::from_ec_der(&point), bytes: point, canonical })
}

fn edwards(jwk: Value<'_>) -> Read<Public> {
    if text(jwk, "crv")?.is_none_or(|curve| curve != "Ed25519") {
        return Err("its curve is not accepted");
    }
    let x = decoded(jwk, "x")?;
    UnparsedPublicKey::new(&ED25519, &x).parse().map_err(|_| "its point is not on its curve")?;
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(&x));
    Ok(Public { family: &[Algorithm::EdDSA], key: DecodingKey::from_ed_der(&x), bytes: x, canonical })
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn text<'d>(jwk: Value<'d>, name: &str) -> Read<Option<Cow<'d, str>>> {
    match jwk.get(name) {
        None => Ok(None),
        Some(value) => value.string().map(Some).ok_or("a member is not a string"),
    }
}

fn decoded(jwk: Value<'_>, name: &str) -> Read<Vec<u8>> {
    let encoded = text(jwk, name)?.ok_or("a part of the key is missing")?;
    URL_SAFE_NO_PAD.decode(encoded.as_bytes()).map_err(|_| "a part of the key is not base64url")
}

/// A big-endian number without leading zeros, which would hide its size.
fn number(jwk: Value<'_>, name: &str) -> Read<Vec<u8>> {
    let mut bytes = decoded(jwk, name)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    Ok(bytes)
}
