//! The guard in front of the codec: an XML document as a tree of FHIR elements, or a refusal.
//!
//! Held here: one root in the FHIR namespace, matching tags, at most [`MAX_XML_DEPTH`] levels, no attributes but
//! FHIR's three, no text outside the narrative, and a narrative (`div`) that is XHTML and nothing else. The
//! narrative is kept as it was written.

use super::{
    FHIR, XHTML,
    scan::{Attribute, Event, Scanner},
};
use crate::{CodecError, MAX_XML_BYTES, MAX_XML_DEPTH};

/// Elements of a document outside its narrative: a body of the greatest length has fewer, at 17 bytes for the
/// shortest with a code, while `<a/>` repeated would take thirty times the memory of its text.
const MAX_ELEMENTS: usize = 300_000;

/// An element of a FHIR document.
#[derive(Debug, Default)]
pub struct Node<'x> {
    pub name: &'x str,
    pub id: Option<String>,
    pub url: Option<String>,
    pub value: Option<String>,
    /// The narrative as written, tags included, when this is a `div`.
    pub div: Option<&'x str>,
    pub children: Vec<Self>,
}

/// Reads a whole document.
pub fn parse(xml: &str) -> Result<Node<'_>, CodecError> {
    if xml.len() > MAX_XML_BYTES {
        return Err(CodecError::TooLong);
    }
    let mut scanner = Scanner::document(xml)?;
    let mut open: Vec<Node<'_>> = Vec::new();
    let mut root = None;
    let mut elements = 0;
    loop {
        let closed = match scanner.next()? {
            Event::Start { name, attributes, empty } => {
                if root.is_some() {
                    return Err(scanner.refuse("a document has one root element"));
                }
                if open.len() >= MAX_XML_DEPTH {
                    return Err(scanner.refuse("elements are nested more than 64 levels deep"));
                }
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return Err(scanner.refuse("more than 300,000 elements"));
                }
                if name == "div" && !open.is_empty() {
                    let from = scanner.tag();
                    let declared = narrative(&mut scanner, &attributes, empty, open.len())?;
                    if !declared {
                        return Err(scanner.refuse("the narrative's div must declare the XHTML namespace"));
                    }
                    Some(Node { name, div: Some(scanner.since(from)), ..Node::default() })
                } else {
                    let node = element(&scanner, name, attributes, open.is_empty())?;
                    if empty {
                        Some(node)
                    } else {
                        open.push(node);
                        None
                    }
                }
            }
            Event::End { name } => match open.pop() {
                Some(node) if node.name == name => Some(node),
                _ => return Err(scanner.refuse("an end tag does not match its start tag")),
            },
            Event::Text(text) => {
                if !text.bytes().all(|byte| byte.is_ascii_whitespace()) {
                    return Err(scanner.refuse("text outside the narrative"));
                }
                None
            }
            Event::Eof => {
                return root.filter(|_| open.is_empty()).ok_or_else(|| scanner.refuse("the document ends too early"));
            }
        };
        match (closed, open.last_mut()) {
            (Some(node), Some(parent)) => parent.children.push(node),
            (Some(node), None) => root = Some(node),
            (None, _) => {}
        }
    }
}

/// Checks a narrative that stands by itself, as JSON holds it; says whether it declares its namespace.
pub fn check_div(text: &str) -> Result<bool, CodecError> {
    let mut scanner = Scanner::fragment(text);
    let begins = text.starts_with("<div");
    match scanner.next()? {
        Event::Start { name: "div", attributes, empty } if begins => {
            let declared = narrative(&mut scanner, &attributes, empty, 0)?;
            if scanner.is_at_end() { Ok(declared) } else { Err(scanner.refuse("text after the narrative's div")) }
        }
        _ => Err(scanner.refuse("a narrative is one div element")),
    }
}

/// Reads on to the end of a `div` whose start tag was just read; says whether it declares the XHTML namespace.
fn narrative(
    scanner: &mut Scanner<'_>,
    attributes: &[Attribute<'_>],
    empty: bool,
    depth: usize,
) -> Result<bool, CodecError> {
    let declared = xhtml(scanner, attributes)?;
    let mut open = if empty { Vec::new() } else { vec!["div"] };
    while !open.is_empty() {
        match scanner.next()? {
            Event::Start { name, attributes, empty } => {
                xhtml(scanner, &attributes)?;
                if depth + open.len() >= MAX_XML_DEPTH {
                    return Err(scanner.refuse("elements are nested more than 64 levels deep"));
                }
                if !empty {
                    open.push(name);
                }
            }
            Event::End { name } => {
                if open.pop() != Some(name) {
                    return Err(scanner.refuse("an end tag does not match its start tag"));
                }
            }
            Event::Text(_) => {}
            Event::Eof => return Err(scanner.refuse("the document ends too early")),
        }
    }
    Ok(declared)
}

fn xhtml(scanner: &Scanner<'_>, attributes: &[Attribute<'_>]) -> Result<bool, CodecError> {
    match attributes.iter().find(|(name, _)| *name == "xmlns") {
        Some((_, namespace)) if namespace == XHTML => Ok(true),
        Some(_) => Err(scanner.refuse("only the XHTML namespace may stand in a narrative")),
        None => Ok(false),
    }
}

fn element<'x>(
    scanner: &Scanner<'_>,
    name: &'x str,
    attributes: Vec<Attribute<'x>>,
    is_root: bool,
) -> Result<Node<'x>, CodecError> {
    let mut node = Node { name, ..Node::default() };
    let mut in_namespace = !is_root;
    for (name, value) in attributes {
        match name {
            "xmlns" if value == FHIR => in_namespace = true,
            "xmlns" => return Err(scanner.refuse("an element is in a namespace that is not FHIR's")),
            "id" => node.id = Some(value),
            "url" => node.url = Some(value),
            "value" => node.value = Some(value),
            _ => return Err(scanner.refuse("FHIR elements have no attributes but id, url and value")),
        }
    }
    if in_namespace {
        Ok(node)
    } else {
        Err(scanner.refuse("the root element must be in the namespace http://hl7.org/fhir"))
    }
}
