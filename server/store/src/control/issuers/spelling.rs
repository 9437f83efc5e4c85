//! What all spellings of one address have in common (RFC 3986, section 6.2).

use url::Url;

use super::IssuerError;

/// Longest address; no issuer of the field comes near it.
const URL_BYTES_MOST: usize = 2_048;

/// The canonical form of an address: scheme and host in lower case, no default port, no dot segments, no escapes of
/// characters that need none, no doubled or trailing slashes. Case in the path stays: it names different realms.
pub(super) fn canonical(text: &str) -> Result<String, IssuerError> {
    let refuse = |reason| Err(IssuerError::Url { url: text.chars().take(200).collect(), reason });
    if text.len() > URL_BYTES_MOST {
        return refuse("it is too long");
    }
    // The URL standard would drop white space and turn backslashes, and two texts would become one.
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return refuse("it holds white space, a backslash or characters outside ASCII");
    }
    let Ok(url) = Url::parse(text) else { return refuse("it is not a URL") };
    if !matches!(url.scheme(), "https" | "http") {
        return refuse("it is not http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it holds a user or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("it has a query or a fragment");
    }
    let Some(host) = url.host_str() else { return refuse("it names no host") };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path: String =
        unescaped(url.path()).split('/').filter(|part| !part.is_empty()).flat_map(|part| ["/", part]).collect();
    Ok(format!("{}://{}{port}{path}", url.scheme(), host.trim_end_matches('.')))
}

/// Undoes escapes of unreserved characters and writes the others in capitals.
fn unescaped(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => plain.push(char::from(byte)),
            Some(_) => plain.extend(["%", &after[..2].to_ascii_uppercase()]),
            None => plain.push('%'),
        }
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        for spelling in [
            "https://idp.example/realms/a",
            "https://idp.example/realms/a/",
            "https://IDP.example:443/realms/a",
            "HTTPS://idp.example./realms//a//",
            "https://idp.example/realms/x/../a",
            "https://idp.example/%72ealms/a",
            "https://idp.example/realms/%61",
        ] {
            assert_eq!(canonical(spelling).unwrap(), "https://idp.example/realms/a", "{spelling}");
        }
        assert_eq!(canonical("https://idp.example").unwrap(), canonical("https://idp.example/").unwrap());
        assert_eq!(canonical("https://h/a%2fb").unwrap(), canonical("https://h/a%2Fb").unwrap());
    }

    #[test]
    fn other_addresses_stay_others() {
        let one = canonical("https://idp.example/realms/a").unwrap();
        for other in [
            "http://idp.example/realms/a",
            "https://idp.example:8443/realms/a",
            "https://idp.example/realms/A",
            "https://idp.example/realms/a%2F",
            "https://idp.example/realms/ab",
        ] {
            assert_ne!(canonical(other).unwrap(), one, "{other}");
        }
    }

    #[test]
    fn what_is_no_issuer_is_refused() {
        for bad in [
            "",
            "idp.example",
            "ftp://idp.example/",
            "urn:idp",
            "https://user@idp.example/",
            "https://idp.example/?a=b",
            "https://idp.example/#a",
            " https://idp.example/",
            "https://idp.example/a\tb",
            "https:\\\\idp.example",
            "https://ïdp.example/",
        ] {
            assert!(canonical(bad).is_err(), "{bad}");
        }
        assert!(canonical(&format!("https://h/{}", "a".repeat(URL_BYTES_MOST))).is_err());
    }
}
