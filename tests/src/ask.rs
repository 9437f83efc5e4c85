//! A row of the catalog as a request about a resource. The matches have no wildcard: an interaction or a type that is
//! new does not compile before it says here how it is asked for, and then it is in every matrix.

use reqwest::Method;
use serde_json::Value;
use vitals_fhir::{
    catalog::{self, Code, Operation},
    resource::ResourceType,
};

use crate::{Answer, samples, tenant::client};

const FHIR: &str = "application/fhir+json";
const FORM: &str = "application/x-www-form-urlencoded";

/// A request below a FHIR base.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The method.
    pub method: Method,
    /// The path below the base, with a query where there is one.
    pub path: String,
    /// Media type and body, where there is one.
    pub body: Option<(&'static str, String)>,
}

impl Ask {
    /// A row of the catalog about the resource of this id; `content` is what a write sends.
    pub fn of(operation: &Operation, id: &str, content: &Value) -> Self {
        let path = operation.path.replace(":id", id).replace(":vid", "1");
        let (path, body) = match operation.code {
            Code::Read | Code::Vread | Code::HistoryInstance | Code::HistoryType | Code::Delete => (path, None),
            // In the compartment of the patient that the content is about.
            Code::SearchCompartment => {
                let about = content["subject"]["reference"].as_str().filter(|about| about.starts_with("Patient/"));
                let about = about.unwrap_or("Patient/p1");
                (format!("{about}/Observation?_id={id}"), None)
            }
            Code::SearchType | Code::ConditionalDelete => (format!("{path}?_id={id}"), None),
            Code::SearchTypePost => (path, Some((FORM, format!("_id={id}")))),
            Code::Create | Code::Update | Code::Validate | Code::ValidateInstance => {
                let mut content = content.clone();
                content["id"] = id.into();
                (path, Some((FHIR, content.to_string())))
            }
            Code::ConditionalUpdate => {
                let mut content = content.clone();
                content["id"] = id.into();
                (format!("{path}?_id={id}"), Some((FHIR, content.to_string())))
            }
        };
        Self { method: method(operation.method), path, body }
    }

    /// The same with HEAD, for a row that is asked for with GET.
    pub fn head(&self) -> Option<Self> {
        (self.method == Method::GET).then(|| Self { method: Method::HEAD, ..self.clone() })
    }

    /// Sends it, with or without a token.
    pub async fn send(&self, base: &str, token: Option<&str>) -> Answer {
        let mut request = client().request(self.method.clone(), format!("{base}/{}", self.path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some((media, body)) = &self.body {
            request = request.header("content-type", *media).body(body.clone());
        }
        Answer::of(request).await.sound()
    }
}

/// The method of a row.
pub fn method(method: catalog::Method) -> Method {
    match method {
        catalog::Method::Get => Method::GET,
        catalog::Method::Post => Method::POST,
        catalog::Method::Put => Method::PUT,
        catalog::Method::Delete => Method::DELETE,
    }
}

/// Content of a type with this mark in its texts, about the patient `p1` where it is about somebody.
pub fn content(resource: ResourceType, id: &str, mark: &str) -> Value {
    match resource {
        ResourceType::Patient => samples::patient(id, mark),
        ResourceType::Observation => {
            let mut observation = samples::heart_rate(id, "p1");
            observation["note"] = serde_json::json!([{ "text": mark }]);
            observation["identifier"] = serde_json::json!([{ "system": "urn:test:marks", "value": mark }]);
            observation
        }
    }
}
