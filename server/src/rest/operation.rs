//! FHIR operations over HTTP (<https://hl7.org/fhir/R4/operations.html>): what is asked stands in the address, in the
//! body as the resource itself, or in the body as Parameters.

use poem::{Response, http::StatusCode};
use vitals_fhir::{
    json::{self, Document, Value},
    outcome::{self, Issue, IssueCode},
    resource::Id,
};
use vitals_fhir_profiles::Nominated;
use vitals_store::rows::Table;

use super::{fhir::Request, respond};
use crate::{
    failure::Failure,
    interaction::{Answer, Exchange},
    operation::validate::{self, Mode, Question},
};

/// `$validate`, on a type or on one of its resources.
pub async fn validate<R: Table>(
    cx: &mut Exchange<'_>,
    request: &mut Request<'_>,
    id: Option<&Id<R>>,
) -> Answer<Response> {
    let bytes = if request.incoming.has_body() { request.incoming.read_resource().await? } else { Vec::new() };
    let document = match bytes.as_slice() {
        [] => None,
        bytes => Some(json::parse(bytes).map_err(|error| Failure::malformed(error.into()))?),
    };
    let sent = Sent::read(&request.query, document.as_ref()).map_err(Failure::malformed)?;
    let bases = request.bases(cx.access);
    let question =
        sent.question::<R>(id.is_some(), bases.each_ref().map(String::as_str)).map_err(Failure::malformed)?;
    let found = match id {
        Some(id) => validate::of_instance(cx, id, &question).await?,
        None => validate::of_type::<R>(cx.access, &question)?,
    };
    Ok(respond::fhir(StatusCode::OK, request.format, outcome::to_json(&found)))
}

/// The parameters of `$validate`, as they were sent.
#[derive(Default)]
struct Sent<'s> {
    resource: Option<&'s str>,
    mode: Option<String>,
    profile: Option<String>,
}

impl<'s> Sent<'s> {
    fn read(query: &[(String, String)], document: Option<&'s Document<'_>>) -> Result<Self, Issue> {
        let mut sent = Self::default();
        for (name, value) in query.iter().filter(|(name, _)| !matches!(name.as_str(), "_format" | "_pretty")) {
            sent.set(name, value, name)?;
        }
        let Some(document) = document else { return Ok(sent) };
        let root = document.root();
        if root.get("resourceType").and_then(Value::string).is_none_or(|name| name != "Parameters") {
            sent.resource = Some(&document.text()[root.span()]);
            return Ok(sent);
        }
        for (index, parameter) in root.get("parameter").into_iter().flat_map(Value::items).enumerate() {
            let place = format!("Parameters.parameter[{index}]");
            let name = parameter.get("name").and_then(Value::string).unwrap_or_default();
            let value = ["valueCode", "valueUri", "valueCanonical", "valueString"].into_iter();
            let value = value.filter_map(|kind| parameter.get(kind)).find_map(Value::string);
            match (&*name, parameter.get("resource"), value) {
                ("resource", Some(resource), None) if sent.resource.is_none() => {
                    sent.resource = Some(&document.text()[resource.span()]);
                }
                (_, None, Some(value)) => sent.set(&name, &value, &place)?,
                _ => return Err(not_a_parameter().at(place)),
            }
        }
        Ok(sent)
    }

    fn set(&mut self, name: &str, value: &str, place: &str) -> Result<(), Issue> {
        let slot = match name {
            "mode" => &mut self.mode,
            "profile" => &mut self.profile,
            _ => return Err(not_a_parameter().at(place.chars().take(64).collect::<String>())),
        };
        if slot.replace(value.to_owned()).is_some_and(|before| before != value) {
            let issue = Issue::error(IssueCode::Invalid, "This parameter stands here twice: send it once.");
            return Err(issue.at(name));
        }
        Ok(())
    }

    fn question<R: Table>(&'s self, on_instance: bool, bases: [&'s str; 2]) -> Result<Question<'s>, Issue> {
        let mode = match (self.mode.as_deref(), on_instance) {
            (Some("create"), _) | (None, false) => Mode::Create,
            (Some("update"), _) | (None, true) => Mode::Update,
            (Some("delete"), true) => Mode::Delete,
            (Some("profile"), true) => Mode::Profile,
            (Some("delete" | "profile"), false) => {
                let text = "This mode is about a resource that stands: ask at Type/id/$validate.";
                return Err(Issue::error(IssueCode::Invalid, text).at("mode"));
            }
            (Some(_), _) => {
                let text = "The mode is one of create, update, delete and profile.";
                return Err(Issue::error(IssueCode::Value, text).at("mode"));
            }
        };
        let nominated = match self.profile.as_deref() {
            None if mode == Mode::Profile => {
                let text = "Say in profile which one the resource is held against.";
                return Err(Issue::error(IssueCode::Required, text).at("profile"));
            }
            None => Nominated::TYPE,
            Some(url) => Nominated::find(url, R::TYPE).ok_or_else(|| {
                let known = Nominated::urls(R::TYPE).join(", ");
                Issue::error(IssueCode::NotSupported, format!("Known for {} are: {known}.", R::TYPE)).at("profile")
            })?,
        };
        let resource = match (self.resource, mode) {
            (Some(resource), Mode::Create | Mode::Update | Mode::Delete) => resource,
            (None, Mode::Delete | Mode::Profile) => "",
            (None, Mode::Create | Mode::Update) => {
                let text = "Send the resource to judge: as the body, or as the parameter resource of a Parameters.";
                return Err(Issue::error(IssueCode::Required, text).at("resource"));
            }
            (Some(_), Mode::Profile) => {
                let text = "With mode=profile the resource that stands is judged: send none.";
                return Err(Issue::error(IssueCode::Invalid, text).at("resource"));
            }
        };
        Ok(Question { mode, resource: resource.as_bytes(), nominated, bases })
    }
}

fn not_a_parameter() -> Issue {
    let text = "$validate has the parameters resource (a resource), mode (a code) and profile (a URL), each once.";
    Issue::error(IssueCode::NotSupported, text)
}
