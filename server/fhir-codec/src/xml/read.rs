//! XML to JSON: the tree's elements, typed by fhirbolt's tables, in the order they stand.
//!
//! Stricter than FHIR asks of a reader: elements out of order, an attribute where an element belongs and numbers
//! that JSON cannot spell are refused, so that what comes out means what went in.

use fhirbolt::FhirReleases;
use fhirbolt_shared::path::ElementPath;

use super::tree::{self, Node};
use crate::{
    CodecError,
    number::{is_decimal, is_integer},
};

/// Converts a resource in XML to JSON; numbers keep every digit, the narrative every character.
pub fn xml_to_json(xml: &str) -> Result<String, CodecError> {
    let root = tree::parse(xml)?;
    let mut out = String::with_capacity(xml.len());
    resource(&mut out, &root, &ElementPath::new(FhirReleases::R4), root.name)?;
    Ok(out)
}

fn refuse<T>(what: &'static str, at: &str) -> Result<T, CodecError> {
    Err(CodecError::Element { what, expression: at.to_owned() })
}

fn resource(out: &mut String, node: &Node<'_>, path: &ElementPath, at: &str) -> Result<(), CodecError> {
    let mut below = path.clone();
    below.push(node.name);
    if !node.name.starts_with(|first: char| first.is_ascii_uppercase()) || !below.current_element_is_a_known_resource()
    {
        return refuse("not a resource of FHIR R4", at);
    }
    if node.id.is_some() || node.url.is_some() || node.value.is_some() {
        return refuse("a resource has no attributes", at);
    }
    out.push_str("{\"resourceType\":");
    push_string(out, node.name);
    members(out, node, &below, at, false)?;
    out.push('}');
    Ok(())
}

/// Writes an element's children as members of the object that is open; `first` when nothing stands in it yet.
fn members(out: &mut String, node: &Node<'_>, path: &ElementPath, at: &str, first: bool) -> Result<(), CodecError> {
    let mut first = first;
    let mut rest = node.children.as_slice();
    let mut reached = 0;
    while let Some(head) = rest.first() {
        let name = head.name;
        let length = rest.iter().take_while(|child| child.name == name).count();
        let (run, after) = rest.split_at(length);
        rest = after;

        let here = format!("{at}.{}", shown(name));
        let as_attribute = !is_resource(path) && name == "id" || path.current_element_is_extension() && name == "url";
        if as_attribute || !path.children().is_some_and(|known| known.contains(name)) {
            return refuse("an element that FHIR R4 does not have here", &here);
        }
        let position = path.position_of_child(name);
        if position < reached {
            return refuse("an element out of order", &here);
        }
        reached = position + 1;

        let mut below = path.clone();
        below.push(name);
        let repeats = below.current_element_is_sequence();
        if length > 1 && !repeats {
            return refuse("an element that may stand only once", &here);
        }
        if below.current_element_is_primitive() || head.div.is_some() {
            primitives(out, run, repeats, &below, &here, &mut first)?;
        } else {
            separate(out, &mut first);
            push_string(out, name);
            out.push_str(if repeats { ":[" } else { ":" });
            for (place, child) in run.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                let here = if repeats { format!("{here}[{place}]") } else { here.clone() };
                complex(out, child, &below, &here)?;
            }
            out.push_str(if repeats { "]" } else { "" });
        }
    }
    Ok(())
}

fn complex(out: &mut String, node: &Node<'_>, path: &ElementPath, at: &str) -> Result<(), CodecError> {
    if path.current_element_is_resource() {
        return match node.children.as_slice() {
            [only] if node.id.is_none() && node.url.is_none() && node.value.is_none() => resource(out, only, path, at),
            _ => refuse("an element that holds exactly one resource", at),
        };
    }
    let is_extension = path.current_element_is_extension();
    if node.value.is_some() || (node.url.is_some() && !is_extension) {
        return refuse("this element has no such attribute", at);
    }
    if node.id.is_none() && node.url.is_none() && node.children.is_empty() {
        return refuse("an element is empty", at);
    }
    out.push('{');
    let mut first = true;
    for (name, value) in [("id", &node.id), ("url", &node.url)] {
        if let Some(value) = value {
            separate(out, &mut first);
            push_string(out, name);
            out.push(':');
            push_string(out, value);
        }
    }
    members(out, node, path, at, first)?;
    out.push('}');
    Ok(())
}

/// A primitive's values under its name, its ids and extensions under the name with an underscore.
fn primitives(
    out: &mut String,
    run: &[Node<'_>],
    repeats: bool,
    path: &ElementPath,
    at: &str,
    first: &mut bool,
) -> Result<(), CodecError> {
    let mut values = Vec::with_capacity(run.len());
    let mut extras = Vec::with_capacity(run.len());
    for (place, node) in run.iter().enumerate() {
        let at = if repeats { format!("{at}[{place}]") } else { at.to_owned() };
        let value = value_of(node, path, &at)?;
        let extra = extra_of(node, path, &at)?;
        if value.is_none() && extra.is_none() {
            return refuse("an element is empty", &at);
        }
        values.push(value);
        extras.push(extra);
    }
    for (prefix, items) in [("", values), ("_", extras)] {
        if items.iter().all(Option::is_none) {
            continue;
        }
        separate(out, first);
        push_string(out, &format!("{prefix}{}", run[0].name));
        out.push_str(if repeats { ":[" } else { ":" });
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            out.push_str(item.as_deref().unwrap_or("null"));
        }
        out.push_str(if repeats { "]" } else { "" });
    }
    Ok(())
}

fn value_of(node: &Node<'_>, path: &ElementPath, at: &str) -> Result<Option<String>, CodecError> {
    let mut json = String::new();
    if let Some(div) = node.div {
        // XML ends its lines with a line feed, however they were written.
        push_string(&mut json, &div.replace("\r\n", "\n").replace('\r', "\n"));
        return Ok(Some(json));
    }
    if node.url.is_some() {
        return refuse("this element has no such attribute", at);
    }
    let Some(value) = &node.value else { return Ok(None) };
    let is_whole = path.current_element_is_integer()
        || path.current_element_is_unsigned_integer()
        || path.current_element_is_positive_integer();
    let fits = if path.current_element_is_boolean() {
        value == "true" || value == "false"
    } else if is_whole {
        is_integer(value)
    } else if path.current_element_is_decimal() {
        is_decimal(value)
    } else {
        push_string(&mut json, value);
        return Ok(Some(json));
    };
    if fits { Ok(Some(value.clone())) } else { refuse("a value that is not of its element's type", at) }
}

fn extra_of(node: &Node<'_>, path: &ElementPath, at: &str) -> Result<Option<String>, CodecError> {
    if node.id.is_none() && node.children.is_empty() {
        return Ok(None);
    }
    if node.children.iter().any(|child| child.name != "extension") {
        return refuse("a primitive element holds nothing but extensions", at);
    }
    let mut json = String::from("{");
    let mut first = true;
    if let Some(id) = &node.id {
        first = false;
        json.push_str("\"id\":");
        push_string(&mut json, id);
    }
    if !node.children.is_empty() {
        separate(&mut json, &mut first);
        json.push_str("\"extension\":[");
        let mut below = path.clone();
        below.push("extension");
        for (place, child) in node.children.iter().enumerate() {
            if place > 0 {
                json.push(',');
            }
            complex(&mut json, child, &below, &format!("{at}.extension[{place}]"))?;
        }
        json.push(']');
    }
    json.push('}');
    Ok(Some(json))
}

/// Questions the tables answer with a little help.
trait Known {
    fn current_element_is_a_known_resource(&self) -> bool;
}

impl Known for ElementPath {
    fn current_element_is_a_known_resource(&self) -> bool {
        // Every resource has implicitRules, and no data type does.
        self.children().is_some_and(|known| known.contains("implicitRules"))
    }
}

/// Whether the path stands on a resource rather than on an element inside one.
fn is_resource(path: &ElementPath) -> bool {
    path.current_element_is_a_known_resource() && path.current_element().is_none()
}

/// An element's name, short enough for a message.
fn shown(name: &str) -> &str {
    name.get(..64).unwrap_or(name)
}

fn separate(out: &mut String, first: &mut bool) {
    if !*first {
        out.push(',');
    }
    *first = false;
}

fn push_string(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
