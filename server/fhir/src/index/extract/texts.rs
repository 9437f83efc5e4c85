//! What is written for people beside codes and identifiers, for `:text`
//! (<https://hl7.org/fhir/R4/search.html#modifiers>).

use super::fold;
use crate::json::Value;

/// Texts that are gathered: each with its letter, once.
#[derive(Default)]
pub(super) struct Texts(Vec<String>);

impl Texts {
    /// The text of a CodeableConcept and the displays of its codings.
    pub(super) fn of_concept(&mut self, letter: char, concept: Value<'_>) {
        self.of(letter, concept.get("text"));
        if let Some(list) = concept.get("coding") {
            for coding in list.items() {
                self.of(letter, coding.get("display"));
            }
        }
    }

    fn of(&mut self, letter: char, text: Option<Value<'_>>) {
        if let Some(text) = text.and_then(Value::string) {
            let folded = fold::for_index(&text);
            if !folded.is_empty() {
                self.0.push(format!("{letter}{folded}"));
            }
        }
    }

    /// All of them, each behind a line end: no folded text holds one.
    pub(super) fn joined(mut self) -> String {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.iter().flat_map(|text| ["\n", text]).collect()
    }
}
