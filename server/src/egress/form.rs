//! Forms sent to a provider's token endpoint, within the same rules as every fetch.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use vitals_fhir::search::form_text;

use super::{Asking, Egress, EgressError};

/// A form, and who sends it.
pub struct Form<'a> {
    /// Names and values.
    pub pairs: Vec<(String, String)>,
    /// Client and secret, for HTTP authentication (RFC 6749, section 2.3.1).
    pub client: Option<(&'a str, &'a str)>,
}

impl Egress {
    /// Sends a form; the answer is JSON.
    pub async fn post_form(&self, address: &str, form: &Form<'_>) -> Result<String, EgressError> {
        let encoded = |text: &str| form_text(&[(String::new(), text.to_owned())]).split_off(1);
        let authorization = form
            .client
            .map(|(id, secret)| format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)))));
        self.ask(address, Asking::Post { body: form_text(&form.pairs), authorization }).await.map(|answer| answer.text)
    }
}
