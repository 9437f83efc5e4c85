//! From a parameter's name, modifier and values to a [`Filter`].

use super::{
    Column, DateColumn, DateTest, Element, Filter, Matching, Name, NamePart, Place, QuantityTest, Reader, Referrer,
    value,
};
use crate::{outcome::Issue, resource::ResourceType};

/// What a parameter searches in.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Id,
    Token(Column),
    Reference(Referrer),
    Date(DateColumn),
    Name(NamePart),
    Quantity(Place),
    CodeQuantity(Place),
    /// It governs the result and searches in nothing.
    Result,
}

impl Target {
    pub(super) fn of(resource: ResourceType, name: &str) -> Option<Self> {
        use ResourceType::{Observation, Patient};
        Some(match (resource, name) {
            (_, "_id") => Self::Id,
            (_, "_lastUpdated") => Self::Date(DateColumn::LastUpdated),
            (_, "_count" | "_sort" | "_total" | "_summary" | "_elements") => Self::Result,
            (_, "identifier") => Self::Token(Column::Identifier),
            (Patient, "name") => Self::Name(NamePart::Any),
            (Patient, "family") => Self::Name(NamePart::Family),
            (Patient, "given") => Self::Name(NamePart::Given),
            (Patient, "birthdate") => Self::Date(DateColumn::Birth),
            (Patient, "gender") => Self::Token(Column::Gender),
            (Patient, "active") => Self::Token(Column::Active),
            (Observation, "patient") => Self::Reference(Referrer::Patient),
            (Observation, "subject") => Self::Reference(Referrer::Subject),
            (Observation, "encounter") => Self::Reference(Referrer::Encounter),
            (Observation, "performer") => Self::Reference(Referrer::Performer),
            (Observation, "device") => Self::Reference(Referrer::Device),
            (Observation, "code") => Self::Token(Column::Code),
            (Observation, "category") => Self::Token(Column::Category),
            (Observation, "status") => Self::Token(Column::Status),
            (Observation, "date") => Self::Date(DateColumn::Effective),
            (Observation, "value-concept") => Self::Token(Column::ValueConcept),
            (Observation, "combo-code") => Self::Token(Column::ComboCode),
            (Observation, "component-code") => Self::Token(Column::ComponentCode),
            (Observation, "value-quantity") => Self::Quantity(Place::Value),
            (Observation, "component-value-quantity") => Self::Quantity(Place::Component),
            (Observation, "code-value-quantity") => Self::CodeQuantity(Place::Value),
            (Observation, "component-code-value-quantity") => Self::CodeQuantity(Place::Component),
            (Observation, "combo-code-value-quantity") => Self::CodeQuantity(Place::Combo),
            _ => return None,
        })
    }

    /// The filter of one parameter. `Result` has none, and neither has an id that may be missing.
    pub(super) fn filter(self, name: Name<'_>, value: &str, reader: &mut Reader<'_>) -> Result<Option<Filter>, Issue> {
        let plain = Name { modifier: None, ..name };
        Ok(Some(match (self, name.modifier) {
            (Self::Result, _) => return Ok(None),
            (Self::Id, None) => Filter::Id(name.values(value, reader, value::id)?),
            (_, Some("missing")) => match (self.element(), value) {
                (None, _) => return Err(name.modifier_refused()),
                (Some(element), "true") => Filter::Missing(element),
                (Some(element), "false") => Filter::Present(element),
                _ => return Err(name.invalid("the value is neither true nor false")),
            },
            (Self::Token(column), None | Some("not")) => {
                let read = if column == Column::Active { value::boolean } else { value::token };
                let values = plain.values(value, reader, read)?;
                match name.modifier {
                    None => Filter::Token { column, values },
                    Some(_) => Filter::NotToken { column, values },
                }
            }
            (Self::Token(column), Some("text")) if column.has_text() => {
                Filter::Text(column, plain.values(value, reader, value::folded)?)
            }
            (Self::Name(part), modifier) => {
                let matching = match modifier {
                    None => Matching::Beginning,
                    Some("exact") => Matching::Exact,
                    Some("contains") => Matching::Contains,
                    Some(_) => return Err(name.modifier_refused()),
                };
                let read = if matching == Matching::Exact { value::exact } else { value::folded };
                Filter::Name { part, matching, values: plain.values(value, reader, read)? }
            }
            (Self::Reference(referrer), Some("identifier")) => {
                Filter::ReferenceIdentifier(referrer, plain.values(value, reader, value::token)?)
            }
            (Self::Reference(referrer), modifier) => {
                let kinds = match modifier {
                    None => referrer.kinds(),
                    Some(kind) => {
                        let known = referrer.kinds().iter().position(|known| *known == kind);
                        let place = known.ok_or_else(|| name.modifier_refused())?;
                        &referrer.kinds()[place..=place]
                    }
                };
                let bases = reader.bases;
                if let Referrer::Patient | Referrer::Subject = referrer {
                    let read = |text: &str| value::subject(text, kinds, bases);
                    Filter::Subject(plain.values(value, reader, read)?)
                } else {
                    let read = |text: &str| value::reference(text, kinds, bases);
                    Filter::Reference(referrer, plain.values(value, reader, read)?.concat())
                }
            }
            (Self::Date(column), None) => Filter::Date(column, name.values(value, reader, DateTest::read)?),
            (Self::Quantity(place), None) => Filter::Quantity(place, name.values(value, reader, QuantityTest::read)?),
            (Self::CodeQuantity(place), None) => {
                Filter::CodeQuantity(place, name.values(value, reader, value::code_and_quantity)?)
            }
            (_, Some(_)) => return Err(name.modifier_refused()),
        }))
    }

    /// What may be missing; an id and the time of a version never are, and are not asked about.
    fn element(self) -> Option<Element> {
        match self {
            Self::Id | Self::Result | Self::Date(DateColumn::LastUpdated) => None,
            Self::Token(column) => Some(Element::Token(column)),
            Self::Reference(Referrer::Patient) => Some(Element::Patient),
            Self::Reference(Referrer::Subject) => Some(Element::Subject),
            Self::Reference(referrer) => Some(Element::Reference(referrer)),
            Self::Date(column) => Some(Element::Date(column)),
            Self::Name(part) => Some(Element::Name(part)),
            Self::Quantity(place) | Self::CodeQuantity(place) => Some(Element::Quantity(place)),
        }
    }
}

impl Column {
    /// Whether something for people stands beside its codes.
    const fn has_text(self) -> bool {
        !matches!(self, Self::Status | Self::Gender | Self::Active)
    }
}
