//! FHIR R4 between JSON and XML, and the second opinion on element names: the only crate that names fhirbolt.
//!
//! fhirbolt brings the R4 tables (which elements there are, in which order, of which type) and reads JSON strictly.
//! The XML text is read and written here, over those tables, because fhirbolt's own reader and writer lose what we
//! promise to keep: they trim the narrative's white space, drop attributes they do not know, let newlines in
//! attribute values turn into spaces, respell exponents, and lose the element after an empty contained resource.
//! The tests hold our XML equal to what fhirbolt reads from it.
//!
//! Nothing here is generic over fhirbolt's types, so that their code is compiled once, in this crate.
//! Specification: <https://hl7.org/fhir/R4/xml.html>, <https://hl7.org/fhir/R4/json.html>.

mod elements;
mod number;
mod xml;

pub use elements::check_elements;
pub use xml::{json_to_xml, xml_to_json};

/// Largest XML document that is read: the limit of a single resource's body.
pub const MAX_XML_BYTES: usize = 5 * 1024 * 1024;

/// Deepest nesting of XML elements that is read, as for JSON.
pub const MAX_XML_DEPTH: usize = 64;

/// A document that could not be converted. No message holds a value of the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// XML that is not well-formed, or that uses a construct refused here (document type, processing instruction,
    /// foreign namespace).
    #[error("{what} (line {line})")]
    Refused {
        /// What is wrong, for people.
        what: &'static str,
        /// Line of the document, from 1.
        line: usize,
    },
    /// An element that is not as FHIR R4 has it.
    #[error("{what}")]
    Element {
        /// What is wrong, for people.
        what: &'static str,
        /// Where, as a FHIRPath (`Observation.component[1].valueQuantity`).
        expression: String,
    },
    /// More than [`MAX_XML_BYTES`].
    #[error("the XML document is larger than {MAX_XML_BYTES} bytes")]
    TooLong,
    /// The JSON text is not JSON, or not an object.
    #[error("not a JSON object")]
    Json,
}
