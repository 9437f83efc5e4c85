//! Some elements of a resource (`_elements`, <https://hl7.org/fhir/R4/search.html#elements>): what was asked for and
//! what must be there, each as it was written, marked so that nobody takes it for the whole.

use crate::{
    json::{self, Kind, Value},
    outcome::push_string,
    resource::ResourceType,
};

/// The tag of a resource that is not whole.
const SUBSETTED: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

/// Elements that may have one of several types, and then are named with it.
const CHOICES: [&str; 4] = ["value", "effective", "deceased", "multipleBirth"];

/// The resource with these elements alone; none if the text is no resource.
pub fn subset(text: &str, of: ResourceType, elements: &[String]) -> Option<String> {
    let document = json::parse(text.as_bytes()).ok()?;
    let root = document.root();
    if root.kind() != Kind::Object {
        return None;
    }
    let mut out = String::with_capacity(512);
    let mut tagged = false;
    for (name, value) in root.members() {
        let plain = name.strip_prefix('_').unwrap_or(&name);
        let wanted = always(of, plain) || elements.iter().any(|element| names(element, plain));
        if !wanted {
            continue;
        }
        out.push(if out.is_empty() { '{' } else { ',' });
        push_string(&mut out, &name);
        out.push(':');
        if name == "meta" {
            push_meta(&mut out, text, value);
            tagged = true;
        } else {
            out.push_str(text.get(value.span())?);
        }
    }
    // A resource that is stored has a meta; what has none cannot be marked in it.
    if !tagged {
        return None;
    }
    out.push('}');
    Some(out)
}

/// What is never left out: whose it is, what changes the meaning of the rest, and what FHIR requires.
fn always(of: ResourceType, name: &str) -> bool {
    matches!(name, "resourceType" | "id" | "meta" | "implicitRules" | "modifierExtension")
        || (of == ResourceType::Observation && matches!(name, "status" | "code"))
}

fn names(element: &str, member: &str) -> bool {
    element == member
        || (CHOICES.contains(&element)
            && member
                .strip_prefix(element)
                .is_some_and(|kind| kind.starts_with(|first: char| first.is_ascii_uppercase())))
}

/// The meta with one more tag.
fn push_meta(out: &mut String, text: &str, meta: Value<'_>) {
    let raw = |value: Value<'_>| text.get(value.span()).unwrap_or_default();
    out.push('{');
    for (name, value) in meta.members().filter(|(name, _)| name != "tag") {
        push_string(out, &name);
        out.push(':');
        out.push_str(raw(value));
        out.push(',');
    }
    out.push_str("\"tag\":[");
    for tag in meta.get("tag").into_iter().flat_map(Value::items) {
        out.push_str(raw(tag));
        out.push(',');
    }
    out.push_str(SUBSETTED);
    out.push_str("]}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, elements: &[&str]) -> Option<String> {
        let elements: Vec<String> = elements.iter().map(|element| (*element).to_owned()).collect();
        subset(text, ResourceType::Observation, &elements)
    }

    #[test]
    fn what_is_kept_is_kept_to_the_letter() {
        let text = r#"{ "resourceType":"Observation","id":"o","meta":{"versionId":"1", "tag":[ {"code":"a"} ]},
            "text":{"status":"empty"},"status" : "final","_status":{"id":"x"},"code":{"text":"p"},"subject":{},
            "valueQuantity":{"value":120.00},"valueless":1,"effectiveDateTime":"2026"}"#;
        let head = format!(
            r#"{{"resourceType":"Observation","id":"o","meta":{{"versionId":"1","tag":[{{"code":"a"}},{SUBSETTED}]}},"status":"final","_status":{{"id":"x"}},"code":{{"text":"p"}}"#
        );
        let cases: [(&[&str], &str); 6] = [
            (&["id"], ""),
            (&["value"], r#","valueQuantity":{"value":120.00}"#),
            (&["valueQuantity"], r#","valueQuantity":{"value":120.00}"#),
            (&["effective", "subject"], r#","subject":{},"effectiveDateTime":"2026""#),
            (&["nothing"], ""),
            (&["sub", "tex"], ""),
        ];
        for (elements, rest) in cases {
            assert_eq!(of(text, elements), Some(format!("{head}{rest}}}")), "{elements:?}");
        }
        assert_eq!(of(r#"{"id":"o"}"#, &["id"]), None);
        assert_eq!(of("[]", &["id"]), None);
        assert_eq!(of("{", &["id"]), None);
    }
}
