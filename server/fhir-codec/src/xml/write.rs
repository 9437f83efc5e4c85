//! JSON to XML: members in the order of fhirbolt's tables, values to the character.

use fhirbolt::FhirReleases;
use fhirbolt_shared::path::ElementPath;
use serde_json::{Map, Value};

use super::{FHIR, XHTML, is_xml_character, tree};
use crate::{CodecError, number};

/// Converts a resource in JSON (Bundles and OperationOutcomes too) to XML; numbers keep every digit, the narrative
/// every character.
pub fn json_to_xml(json: &str) -> Result<String, CodecError> {
    let Ok(Value::Object(members)) = serde_json::from_str(&number::quoted(json)) else {
        return Err(CodecError::Json);
    };
    let mut out = String::with_capacity(json.len() + json.len() / 2);
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let name = type_of(&members, "")?;
    resource(&mut out, &members, &ElementPath::new(FhirReleases::R4), true, name)?;
    Ok(out)
}

fn refuse<T>(what: &'static str, at: &str) -> Result<T, CodecError> {
    Err(CodecError::Element { what, expression: at.to_owned() })
}

fn type_of<'v>(members: &'v Map<String, Value>, at: &str) -> Result<&'v str, CodecError> {
    match members.get("resourceType") {
        Some(Value::String(name)) => Ok(name),
        _ => refuse("a resource without resourceType", at),
    }
}

fn resource(
    out: &mut String,
    object: &Map<String, Value>,
    path: &ElementPath,
    is_root: bool,
    at: &str,
) -> Result<(), CodecError> {
    let name = type_of(object, at)?;
    let mut below = path.clone();
    below.push(name);
    // Every resource has implicitRules, and no data type does.
    if !below.children().is_some_and(|known| known.contains("implicitRules")) {
        return refuse("not a resource of FHIR R4", at);
    }
    out.push('<');
    out.push_str(name);
    if is_root {
        attribute(out, "xmlns", FHIR, at)?;
    }
    out.push('>');
    children(out, object, &below, &["resourceType"], at)?;
    close(out, name);
    Ok(())
}

/// Writes the members of an object as elements, but for those that are no elements of their own.
fn children(
    out: &mut String,
    object: &Map<String, Value>,
    path: &ElementPath,
    without: &[&str],
    at: &str,
) -> Result<(), CodecError> {
    let mut names: Vec<(usize, &str)> = Vec::with_capacity(object.len());
    for key in object.keys() {
        let name = key.strip_prefix('_').unwrap_or(key);
        if without.contains(&name) {
            continue;
        }
        if !path.children().is_some_and(|known| known.contains(name)) {
            return refuse("an element that FHIR R4 does not have here", at);
        }
        names.push((path.position_of_child(name), name));
    }
    names.sort_unstable();
    names.dedup();
    for (_, name) in names {
        let mut below = path.clone();
        below.push(name);
        let here = format!("{at}.{name}");
        let extra_name = format!("_{name}");
        let (value, extra) = (object.get(name), object.get(&extra_name));
        if let (Some(Value::Array(_)), _) | (_, Some(Value::Array(_))) = (value, extra) {
            let (values, extras) = (items(value, &here)?, items(extra, &here)?);
            for place in 0..values.len().max(extras.len()) {
                element(out, name, values.get(place), extras.get(place), &below, &format!("{here}[{place}]"))?;
            }
        } else {
            element(out, name, value, extra, &below, &here)?;
        }
    }
    Ok(())
}

fn items<'v>(value: Option<&'v Value>, at: &str) -> Result<&'v [Value], CodecError> {
    match value {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => refuse("a list beside a single value", at),
    }
}

fn element(
    out: &mut String,
    name: &str,
    value: Option<&Value>,
    extra: Option<&Value>,
    path: &ElementPath,
    at: &str,
) -> Result<(), CodecError> {
    match value {
        Some(Value::Object(object)) => complex(out, name, object, path, at),
        Some(Value::String(text)) if name == "div" => div(out, text, at),
        Some(Value::String(text)) => primitive(out, name, Some(text), extra, path, at),
        Some(Value::Bool(flag)) => primitive(out, name, Some(if *flag { "true" } else { "false" }), extra, path, at),
        Some(Value::Null) | None => primitive(out, name, None, extra, path, at),
        Some(Value::Array(_) | Value::Number(_)) => refuse("a list inside a list", at),
    }
}

fn complex(
    out: &mut String,
    name: &str,
    object: &Map<String, Value>,
    path: &ElementPath,
    at: &str,
) -> Result<(), CodecError> {
    if path.current_element_is_resource() {
        open(out, name);
        out.push('>');
        resource(out, object, path, false, at)?;
        close(out, name);
        return Ok(());
    }
    open(out, name);
    let attributes: &[&str] = if path.current_element_is_extension() { &["id", "url"] } else { &["id"] };
    for name in attributes {
        match object.get(*name) {
            Some(Value::String(text)) => attribute(out, name, text, at)?,
            Some(_) => return refuse("an attribute that is no string", at),
            None => {}
        }
    }
    out.push('>');
    children(out, object, path, attributes, at)?;
    close(out, name);
    Ok(())
}

fn primitive(
    out: &mut String,
    name: &str,
    value: Option<&str>,
    extra: Option<&Value>,
    path: &ElementPath,
    at: &str,
) -> Result<(), CodecError> {
    let nothing = Map::new();
    let extra = match extra {
        Some(Value::Object(extra)) => extra,
        Some(Value::Null) | None => &nothing,
        Some(_) => return refuse("an id and extensions were expected", at),
    };
    open(out, name);
    if let Some(id) = extra.get("id").and_then(Value::as_str) {
        attribute(out, "id", id, at)?;
    }
    if let Some(value) = value {
        attribute(out, "value", value, at)?;
    }
    if let Some(Value::Array(extensions)) = extra.get("extension") {
        out.push('>');
        let mut below = path.clone();
        below.push("extension");
        for (place, extension) in extensions.iter().enumerate() {
            element(out, "extension", Some(extension), None, &below, &format!("{at}.extension[{place}]"))?;
        }
        close(out, name);
    } else {
        out.push_str("/>");
    }
    Ok(())
}

/// A narrative goes in as it is, once it is sure to be one XHTML element that cannot break out of its place.
fn div(out: &mut String, text: &str, at: &str) -> Result<(), CodecError> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    match tree::check_div(text) {
        Ok(true) => out.push_str(text),
        Ok(false) => {
            out.push_str("<div");
            attribute(out, "xmlns", XHTML, at)?;
            out.push_str(&text["<div".len()..]);
        }
        Err(_) => return refuse("the narrative is not well-formed XHTML, so XML cannot carry it", at),
    }
    Ok(())
}

fn open(out: &mut String, name: &str) {
    out.push('<');
    out.push_str(name);
}

fn close(out: &mut String, name: &str) {
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

fn attribute(out: &mut String, name: &str, value: &str, at: &str) -> Result<(), CodecError> {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    for character in value.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // Written as they are, a reader must turn them into spaces.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            other if is_xml_character(other) => out.push(other),
            _ => return refuse("a character that XML cannot carry", at),
        }
    }
    out.push('"');
    Ok(())
}
