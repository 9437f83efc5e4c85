//! Whose a resource is, said in the resource itself (`meta.tag`, <https://hl7.org/fhir/R4/resource.html#tag>): for
//! answers that hold resources of several tenants. What is stored is not touched, and no other byte of what is answered.

use crate::{
    json::{self, Kind, Value},
    outcome::push_string,
};

/// The system of the tag that names a tenant.
pub const TENANT: &str = "urn:vitals:tenant";

/// The resource with a tag that names its tenant; none if the text is no resource that has a meta. A tag of this system
/// that was written into the resource is left out: whose it is, only the server says.
pub fn labelled(text: &str, tenant: &str) -> Option<String> {
    let document = json::parse(text.as_bytes()).ok()?;
    let meta = document.root().get("meta").filter(|meta| meta.kind() == Kind::Object)?;
    let mut label = String::with_capacity(64);
    label.push_str(r#"{"system":"urn:vitals:tenant","code":"#);
    push_string(&mut label, tenant);
    label.push('}');

    let mut out = String::with_capacity(text.len() + label.len() + 16);
    let rest = if let Some(tags) = meta.get("tag").filter(|tag| tag.kind() == Kind::Array) {
        out.push_str(text.get(..tags.span().start)?);
        out.push('[');
        for tag in tags.items().filter(|tag| !names_a_tenant(*tag)) {
            out.push_str(tag.raw());
            out.push(',');
        }
        tags.span().end
    } else {
        let end = meta.span().end.checked_sub(1)?;
        out.push_str(text.get(..end)?);
        out.push_str(if meta.is_empty() { r#""tag":["# } else { r#","tag":["# });
        end
    };
    out.push_str(&label);
    out.push(']');
    out.push_str(text.get(rest..)?);
    Some(out)
}

fn names_a_tenant(tag: Value<'_>) -> bool {
    tag.get("system").and_then(Value::string).is_some_and(|system| system == TENANT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: &str = r#"{"system":"urn:vitals:tenant","code":"north"}"#;

    #[test]
    fn a_label_is_added_and_no_other_byte_changes() {
        let cases = [
            (
                r#"{ "meta" : {"versionId":"1" }, "value":120.00}"#,
                r#"{ "meta" : {"versionId":"1" ,"tag":[LABEL]}, "value":120.00}"#,
            ),
            (r#"{"meta":{}}"#, r#"{"meta":{"tag":[LABEL]}}"#),
            (r#"{"meta":{"tag":[ {"code" : "a"} ],"x":1}}"#, r#"{"meta":{"tag":[{"code" : "a"},LABEL],"x":1}}"#),
            (r#"{"meta":{"tag":[]},"a":"ä\u00e4"}"#, r#"{"meta":{"tag":[LABEL]},"a":"ä\u00e4"}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(labelled(text, "north").unwrap(), expected.replace("LABEL", LABEL), "{text}");
        }
    }

    #[test]
    fn a_label_that_was_written_into_a_resource_is_not_taken_for_ours() {
        for system in ["urn:vitals:tenant", "urn:vitals\\u003atenant"] {
            let forged = format!(r#"{{"meta":{{"tag":[{{"system":"{system}","code":"south"}},{{"code":"a"}}]}}}}"#);
            let told = labelled(&forged, "north").unwrap();
            assert_eq!(told, format!(r#"{{"meta":{{"tag":[{{"code":"a"}},{LABEL}]}}}}"#));
        }
    }

    #[test]
    fn what_cannot_carry_a_label_gets_none() {
        for text in ["{}", "[]", "{", r#"{"meta":1}"#, r#"{"meta":[]}"#] {
            assert_eq!(labelled(text, "north"), None, "{text}");
        }
    }
}
