//! `cnf` (RFC 7800): what the holder of a token has to prove with every request. Whoever cannot check a member must not
//! take the token as a bearer's, so every member has to be understood, and all of them proven.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use vitals_fhir::json::{Kind, Value};

/// What a token is bound to; at least one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Confirmation {
    /// The thumbprint of a certificate (RFC 8705, section 3.1).
    pub(crate) certificate: Option<[u8; 32]>,
    /// The thumbprint of a key that signs DPoP proofs (RFC 9449, section 6.1).
    pub(crate) key: Option<[u8; 32]>,
}

impl Confirmation {
    /// Reads the claim, if it is there.
    pub(super) fn read(claims: Value<'_>) -> Result<Option<Self>, &'static str> {
        const WRONG: &str = "the token is bound to a proof that cannot be checked here";
        let Some(cnf) = claims.get("cnf") else { return Ok(None) };
        if cnf.kind() != Kind::Object {
            return Err(WRONG);
        }
        let mut confirmation = Self { certificate: None, key: None };
        for (name, value) in cnf.members() {
            let thumbprint = value.string().and_then(|text| thumbprint(&text)).ok_or(WRONG)?;
            match name.as_ref() {
                "x5t#S256" => confirmation.certificate = Some(thumbprint),
                "jkt" => confirmation.key = Some(thumbprint),
                _ => return Err(WRONG),
            }
        }
        let bound = confirmation.certificate.is_some() || confirmation.key.is_some();
        if bound { Ok(Some(confirmation)) } else { Err(WRONG) }
    }
}

/// SHA-256 in base64url.
fn thumbprint(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitals_fhir::json;

    #[test]
    fn every_member_has_to_be_understood() {
        let (one, two) = (URL_SAFE_NO_PAD.encode([1; 32]), URL_SAFE_NO_PAD.encode([2; 32]));
        let read = |cnf: &str| {
            let text = format!(r#"{{"sub":"s"{cnf}}}"#);
            Confirmation::read(json::parse(text.as_bytes()).unwrap().root())
        };
        assert_eq!(read(""), Ok(None));
        let good = [
            (format!(r#"{{"x5t#S256":"{one}"}}"#), Some([1; 32]), None),
            (format!(r#"{{"jkt":"{two}"}}"#), None, Some([2; 32])),
            (format!(r#"{{"jkt":"{two}","x5t#S256":"{one}"}}"#), Some([1; 32]), Some([2; 32])),
        ];
        for (cnf, certificate, key) in good {
            assert_eq!(read(&format!(r#","cnf":{cnf}"#)), Ok(Some(Confirmation { certificate, key })), "{cnf}");
        }
        let short = URL_SAFE_NO_PAD.encode([1; 31]);
        let long = URL_SAFE_NO_PAD.encode([1; 33]);
        for bad in [
            "{}".to_owned(),
            "null".to_owned(),
            "[]".to_owned(),
            "1".to_owned(),
            "true".to_owned(),
            format!("\"{one}\""),
            r#"{"jkt":null}"#.to_owned(),
            r#"{"jkt":""}"#.to_owned(),
            r#"{"jkt":1}"#.to_owned(),
            format!(r#"{{"jkt":"{short}"}}"#),
            format!(r#"{{"jkt":"{long}"}}"#),
            format!(r#"{{"jkt":"{one}="}}"#),
            format!(r#"{{"jkt":["{one}"]}}"#),
            format!(r#"{{"jkt":"{one}","kid":"k"}}"#),
            format!(r#"{{"x5t#S256":"{one}","jwk":{{}}}}"#),
            format!(r#"{{"x5t":"{one}"}}"#),
            format!(r#"{{"x5t#s256":"{one}"}}"#),
        ] {
            assert!(read(&format!(r#","cnf":{bad}"#)).is_err(), "{bad}");
        }
    }
}
