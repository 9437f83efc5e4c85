//! Whether the address in a proof is the one that was asked: without query and fragment, and however RFC 3986,
//! section 6.2, lets it be spelled.

use url::Url;

/// Whether both are one address.
pub(super) fn same(one: &str, other: &str) -> bool {
    normal(one).is_some_and(|one| normal(other) == Some(one))
}

/// The normal form, or nothing for what is no address.
fn normal(text: &str) -> Option<String> {
    // The URL standard would drop white space and turn backslashes, which RFC 3986 does not know.
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return None;
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}{}", url.scheme(), url.host_str()?, unescaped(url.path())))
}

/// Undoes escapes of unreserved characters and writes the others in capitals.
fn unescaped(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        rest = match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                plain.push(char::from(byte));
                &after[2..]
            }
            Some(_) => {
                plain.push('%');
                plain.push_str(&after[..2].to_ascii_uppercase());
                &after[2..]
            }
            None => {
                plain.push('%');
                after
            }
        };
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "https://v.example/t/mercy/fhir/Patient/$x";

    #[test]
    fn spellings_of_one_address_are_one() {
        for spelling in [
            ASKED,
            "https://v.example:443/t/mercy/fhir/Patient/$x",
            "HTTPS://V.EXAMPLE/t/mercy/fhir/Patient/$x",
            "https://v.example/t/mercy/fhir/./Patient/$x",
            "https://v.example/t/mercy/fhir/y/../Patient/$x",
            "https://v.example/t/%6dercy/fhir/Patient/$x",
            "https://v.example/t/mercy/fhir/Patient/$x?name=a",
            "https://v.example/t/mercy/fhir/Patient/$x#a",
        ] {
            assert!(same(spelling, ASKED), "{spelling}");
        }
        assert!(same("https://v.example", "https://v.example/"));
        assert!(same("https://v.example/a%2fb", "https://v.example/a%2Fb"));
        assert!(same("https://v.example/a%", "https://v.example/a%"));
        assert!(same("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a?b"));
    }

    #[test]
    fn other_addresses_are_others() {
        for other in [
            "",
            "/t/mercy/fhir/Patient/$x",
            "http://v.example/t/mercy/fhir/Patient/$x",
            "https://v.example:8443/t/mercy/fhir/Patient/$x",
            "https://w.example/t/mercy/fhir/Patient/$x",
            "https://v.example.evil.example/t/mercy/fhir/Patient/$x",
            "https://v.example/t/grace/fhir/Patient/$x",
            "https://v.example/t/mercy/fhir/Patient/$x/",
            "https://v.example/t/mercy/fhir/Patient/%24x",
            "https://v.example/t/mercy/fhir/patient/$x",
            "https://v.example/t/mercy/fhir//Patient/$x",
            "https://v.example/t/mercy/fhir/Patient%2F$x",
            "https://u@v.example/t/mercy/fhir/Patient/$x",
            "https://u:p@v.example/t/mercy/fhir/Patient/$x",
            "https://v.example/t/mercy/fhir/Patient/$x ",
            "https:\\\\v.example\\t\\mercy\\fhir\\Patient\\$x",
            "https://v.example/t/mercy/fhir/Pat\tient/$x",
            "ftp://v.example/t/mercy/fhir/Patient/$x",
        ] {
            assert!(!same(other, ASKED), "{other}");
        }
        assert!(!same("nonsense", "nonsense"));
        assert!(!same("https://v.example/a%2", "https://v.example/a%+2"));
    }
}
