//! Private keys of outside issuers, and tokens signed with them: good ones, and every forgery worth a try.

use std::sync::LazyLock;

use aws_lc_rs::{
    digest, hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A private key.
pub enum Forge {
    /// ES256
    P256(EcdsaKeyPair),
    /// ES384
    P384(EcdsaKeyPair),
    /// RS256, RS384 or PS256, by 2,048 bits.
    Rsa(RsaKeyPair),
    /// EdDSA
    Ed(Ed25519KeyPair),
}

impl Forge {
    /// A new P-256 key.
    pub fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key"))
    }

    /// A new P-384 key.
    pub fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a P-384 key"))
    }

    /// A new RSA key of 2,048 bits.
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key"))
    }

    /// A new Ed25519 key.
    pub fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().expect("an Ed25519 key"))
    }

    /// The public key as a JWK with this id.
    pub fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Self::P256(pair) => point("P-256", pair.public_key().as_ref()),
            Self::P384(pair) => point("P-384", pair.public_key().as_ref()),
            Self::Rsa(_) => json!({ "kty": "RSA", "n": b64(&self.modulus()), "e": "AQAB" }),
            Self::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref()) }),
        };
        jwk["kid"] = json!(kid);
        jwk
    }

    /// The modulus of an RSA key, cut out of its DER form.
    pub fn modulus(&self) -> Vec<u8> {
        self.der()[9..265].to_vec()
    }

    /// The public key of an RSA key in its DER form.
    pub fn der(&self) -> Vec<u8> {
        let Self::Rsa(pair) = self else { panic!("only an RSA key has this") };
        pair.public_key().as_ref().to_vec()
    }

    /// The public key of an elliptic key as a point.
    pub fn point(&self) -> Vec<u8> {
        let (Self::P256(pair) | Self::P384(pair)) = self else { panic!("only an elliptic key has this") };
        pair.public_key().as_ref().to_vec()
    }

    /// Signs with the key's own kind of signature; `algorithm` chooses among RSA's.
    pub fn sign(&self, algorithm: &str, message: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::P256(pair) | Self::P384(pair) => {
                pair.sign(&random, message.as_bytes()).expect("a signature").as_ref().to_vec()
            }
            Self::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message.as_bytes(), &mut signature).expect("a signature");
                signature
            }
        }
    }

    /// Signs with P-256 in ASN.1 form, as certificates have it.
    pub fn sign_asn1(&self, message: &str) -> Vec<u8> {
        let Self::P256(pair) = self else { panic!("only a P-256 key has this") };
        let document = pair.to_pkcs8v1().expect("the key's own form");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref()).expect("the same key");
        pair.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature").as_ref().to_vec()
    }

    /// A token of this header and these claims, both as they are written.
    pub fn token(&self, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        let algorithm = serde_json::from_str::<Value>(header).ok();
        let algorithm = algorithm.as_ref().and_then(|header| header["alg"].as_str()).unwrap_or("RS256");
        let signature = self.sign(algorithm, &message);
        format!("{message}.{}", b64(&signature))
    }
}

/// An issuer's header, with a kid.
pub fn header(algorithm: &str, kid: &str) -> String {
    json!({ "alg": algorithm, "kid": kid, "typ": "at+jwt" }).to_string()
}

/// What is signed.
pub fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()))
}

/// Base64url without padding.
pub fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes behind base64url.
pub fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// Signed by HMAC, as a library that takes any key for a secret would check it.
pub fn hmac(kid: &str, claims: &str, secret: &[u8]) -> String {
    let message = message(&header("HS256", kid), claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{message}.{}", b64(hmac::sign(&key, message.as_bytes()).as_ref()))
}

/// The order of P-256, big-endian.
pub const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The other form of a P-256 signature: `n - s` for `s`.
pub fn other_s(signature: &[u8]) -> Vec<u8> {
    let mut flipped = signature.to_vec();
    let mut borrow = 0;
    for place in (0..32).rev() {
        let difference = i16::from(P256_ORDER[place]) - i16::from(signature[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        flipped[32 + place] = u8::try_from(difference.rem_euclid(256)).expect("a byte");
    }
    flipped
}

/// The hash of a message as RS256 pads it, in so many bytes (RFC 8017, section 9.2): with e = 1 that is a signature.
pub fn padded_hash(message: &str, size: usize) -> Vec<u8> {
    const SHA256_INFO: [u8; 19] = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let hash = digest::digest(&digest::SHA256, message.as_bytes());
    let fill = vec![0xff; size - 3 - SHA256_INFO.len() - hash.as_ref().len()];
    [&[0, 1], fill.as_slice(), &[0], &SHA256_INFO, hash.as_ref()].concat()
}

/// An RSA key too small for the library to make or use: it signs by arithmetic of our own.
pub struct SmallRsa {
    modulus: Vec<u32>,
    exponent: Vec<u32>,
}

/// Of 512 bits.
pub static RSA_512: LazyLock<SmallRsa> = LazyLock::new(|| SmallRsa::of(RSA_512_N, RSA_512_D));
/// Of 1,024 bits.
pub static RSA_1024: LazyLock<SmallRsa> = LazyLock::new(|| SmallRsa::of(RSA_1024_N, RSA_1024_D));

impl SmallRsa {
    fn of(modulus: &str, exponent: &str) -> Self {
        Self { modulus: limbs(&unhex(modulus)), exponent: limbs(&unhex(exponent)) }
    }

    /// The public key as a JWK with this id.
    pub fn jwk(&self, kid: &str) -> Value {
        json!({ "kty": "RSA", "kid": kid, "n": b64(&bytes(&self.modulus)), "e": "AQAB" })
    }

    /// A good RS256 token, but for the key's size.
    pub fn token(&self, kid: &str, claims: &str) -> String {
        let message = message(&header("RS256", kid), claims);
        let padded = limbs(&padded_hash(&message, self.modulus.len() * 4));
        format!("{message}.{}", b64(&bytes(&self.power(&padded, &self.exponent))))
    }

    /// `base ^ exponent mod n`.
    fn power(&self, base: &[u32], exponent: &[u32]) -> Vec<u32> {
        let mut power = vec![0; self.modulus.len()];
        power[0] = 1;
        for place in (0..exponent.len() * 32).rev() {
            power = self.product(&power, &power);
            if exponent[place / 32] >> (place % 32) & 1 == 1 {
                power = self.product(&power, base);
            }
        }
        power
    }

    /// `one * two mod n`, by the schoolbook: the product in full, then long division bit by bit.
    fn product(&self, one: &[u32], two: &[u32]) -> Vec<u32> {
        let mut product = vec![0_u32; one.len() + two.len()];
        for (i, a) in one.iter().enumerate() {
            let mut carry = 0_u64;
            for (j, b) in two.iter().enumerate() {
                let sum = u64::from(product[i + j]) + u64::from(*a) * u64::from(*b) + carry;
                product[i + j] = low(sum);
                carry = sum >> 32;
            }
            product[i + two.len()] = low(carry);
        }
        let mut rest = vec![0_u32; self.modulus.len() + 1];
        for place in (0..product.len() * 32).rev() {
            let mut bit = product[place / 32] >> (place % 32) & 1;
            for limb in &mut rest {
                (*limb, bit) = (*limb << 1 | bit, *limb >> 31);
            }
            self.reduce(&mut rest);
        }
        rest.truncate(self.modulus.len());
        rest
    }

    /// Takes the modulus away once, if it fits.
    fn reduce(&self, rest: &mut [u32]) {
        let modulus = |place: usize| self.modulus.get(place).copied().unwrap_or(0);
        let fits = (0..rest.len()).rev().map(|place| rest[place].cmp(&modulus(place))).find(|order| order.is_ne());
        if fits.is_some_and(std::cmp::Ordering::is_lt) {
            return;
        }
        let mut borrow = 0_i64;
        for (place, limb) in rest.iter_mut().enumerate() {
            let difference = i64::from(*limb) - i64::from(modulus(place)) - borrow;
            borrow = i64::from(difference < 0);
            *limb = low(u64::from_ne_bytes(difference.to_ne_bytes()));
        }
    }
}

fn low(wide: u64) -> u32 {
    u32::try_from(wide & 0xffff_ffff).expect("32 bits")
}

/// Big-endian bytes as little-endian limbs.
fn limbs(bytes: &[u8]) -> Vec<u32> {
    bytes.rchunks(4).map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u32::from(*byte))).collect()
}

fn bytes(limbs: &[u32]) -> Vec<u8> {
    limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|sign| sign.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).expect("a byte")).collect()
}

fn point(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": b64(x), "y": b64(y) })
}

const RSA_512_N: &str = "bd2988faf81a3e5dc6cd5b670b988614645aac82308e28cc20e1304eeb371c492ab2933088e0eb2c9e53338e356a3b7e73a3813f7c51\
    5ef3e86dc13e782b0bf3";
const RSA_512_D: &str = "96dffa11b2b1bbecb0143b43054cb224b1a660d1b648ace1a397f91ff91c0bc230d61beff3188c2fbefe7f866bd4b17fc94bf013848d\
    33905af9ff9e6f726281";
const RSA_1024_N: &str = "b88764c28abe7eea904103517ab95aa8cfe437fa085a079a6fa8a83ec1fbcef0458fbf88b3fbc10744cbc20e9dd632dae055f9f41e23\
    c4bee502f4147316b645fb6f4ab7548764c47af018345d7be642e1bf19d5d22cd934c341c660e0805f1f65e20acb7ddebf7ae4fe2077\
    6515da07566811c347e68ac2c0aa27042e7d7145";
const RSA_1024_D: &str = "46b64b9c69429aac145f758011c159c67af3ffa766efe91dfb4fec393068e86216a60145c782dff3831f79dbd40c332cc0eef17be4d8\
    dc1a32f430c86d59f4bab1ed572c2cf6c6dcc754e821bd754b76ec402206545d6f0514f831d639cdf56cc1527494dc3e749fe9126019\
    7ce939fd24f17563b0fe9a063717448d9392d601";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_key_signs_what_its_public_part_opens() {
        for key in [&RSA_512, &RSA_1024] {
            let token = key.token("k", "{}");
            let (message, signature) = token.rsplit_once('.').expect("three parts");
            let opened = bytes(&key.power(&limbs(&unb64(signature)), &[65_537]));
            assert_eq!(opened, padded_hash(message, opened.len()));
        }
    }
}
