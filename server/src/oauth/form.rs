//! The parameters of a request: a form body, or the query of an address. None may come twice (RFC 6749, section 3.1).

use poem::http::header;
use vitals_fhir::search::form_pairs;

use super::OauthError;
use crate::rest::Incoming;

/// Largest body: a client assertion has at most 8 kB, an authorization request not much more.
const MAX_BODY: usize = 64 * 1024;

/// Parameters, each of which came once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the text of a query or a form.
    pub(crate) fn of(text: &str) -> Result<Self, OauthError> {
        let pairs = form_pairs(text).map_err(|issue| OauthError::invalid_request(sentence(&issue.diagnostics)))?;
        Self::of_pairs(pairs)
    }

    /// Takes pairs that were read already.
    pub(crate) fn of_pairs(pairs: Vec<(String, String)>) -> Result<Self, OauthError> {
        for (place, (name, _)) in pairs.iter().enumerate() {
            if pairs[..place].iter().any(|(earlier, _)| earlier == name) {
                return Err(OauthError::invalid_request("A parameter may come only once."));
            }
        }
        Ok(Self(pairs))
    }

    /// Reads the body of a request.
    pub(crate) async fn read(incoming: &mut Incoming) -> Result<Self, OauthError> {
        let media = incoming.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let media = media.split(';').next().unwrap_or("").trim();
        if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OauthError::invalid_request("The body must be application/x-www-form-urlencoded."));
        }
        let bytes = incoming.read_body(MAX_BODY).await?;
        let text = String::from_utf8(bytes).map_err(|_| OauthError::invalid_request("The body is not UTF-8."))?;
        Self::of(&text)
    }

    /// Reads a body that may be a JSON object as well: its texts as they are, anything else as JSON writes it.
    pub(crate) async fn read_any(incoming: &mut Incoming) -> Result<Self, OauthError> {
        let media = incoming.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if !media.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json") {
            return Self::read(incoming).await;
        }
        let bytes = incoming.read_body(MAX_BODY).await?;
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&bytes).map_err(|_| OauthError::invalid_request("The body is no JSON object."))?;
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        };
        Self::of_pairs(object.into_iter().map(|(name, value)| (name, text(value))).collect())
    }

    /// A parameter; one without a value is as if it were not there (RFC 6749, section 3.1).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A parameter that has to be there.
    pub(crate) fn require(&self, name: &str) -> Result<&str, OauthError> {
        self.get(name).ok_or_else(|| OauthError::invalid_request(format!("The parameter {name} is missing.")))
    }

    /// The same with one more, in place of one that says nothing.
    pub(crate) fn with(mut self, name: &str, value: String) -> Self {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value));
        self
    }

    /// All of them.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// A diagnostic of the search grammar as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_comes_once_and_an_empty_one_not_at_all() {
        let form = Form::of("a=1&b=&c=x%20y").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("c"), form.get("d")), (Some("1"), None, Some("x y"), None));
        for twice in ["a=1&a=1", "a=&a=1", "a=1&b=2&%61=1"] {
            assert_eq!(Form::of(twice).unwrap_err().reason(), "invalid_request", "{twice}");
        }
        assert_eq!(Form::of("a=%zz").unwrap_err().status(), 400);
    }
}
