//! FHIR XML, read and written over fhirbolt's tables of R4 elements.

mod read;
mod scan;
#[cfg(test)]
mod tests;
mod tree;
mod write;

pub use read::xml_to_json;
pub use write::json_to_xml;

/// Namespace of FHIR's own elements.
const FHIR: &str = "http://hl7.org/fhir";
/// Namespace of the narrative.
const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Whether XML 1.0 can carry the character at all (<https://www.w3.org/TR/xml/#charsets>).
fn is_xml_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}
