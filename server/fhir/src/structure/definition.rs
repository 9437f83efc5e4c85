//! The same tables to read from: what R4 says of each element, for documents that are made from it.

use super::table::{Content, TABLE};

/// What an element holds, by its name in R4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A primitive, such as `dateTime`.
    Primitive(&'static str),
    /// An object: a data type such as `Quantity`, a part such as `Observation.component`, or a resource type.
    Type(&'static str),
    /// A resource of any type.
    Resource,
}

/// One element of a type as it stands in JSON. A choice (`value[x]`) is one for each of its types.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Its name in JSON (`valueQuantity`).
    pub name: &'static str,
    /// Its name in the specification (`value[x]`).
    pub slot: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Whether it is a list.
    pub array: bool,
    /// Whether one must be there; of a choice, one of them all.
    pub required: bool,
    /// Whether a sibling with `_` before its name may stand beside it, and in its place.
    pub sibling: bool,
}

/// The elements of the type of this name, inherited ones first; nothing where R4 has no such type.
pub fn elements(kind: &str) -> Option<impl Iterator<Item = Definition>> {
    let kind = TABLE.named(kind)?;
    Some(kind.elements.iter().map(|element| Definition {
        name: &element.name,
        slot: &kind.slots[usize::from(element.slot)],
        holds: match element.content {
            Content::Primitive(primitive) | Content::Attribute(primitive) => Holds::Primitive(primitive.name()),
            Content::Complex(id) => Holds::Type(TABLE.get(id).name),
            Content::Resource => Holds::Resource,
        },
        array: element.array,
        required: kind.required & (1 << element.slot) != 0,
        sibling: matches!(element.content, Content::Primitive(_)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_as_r4_has_them() {
        let named = |kind: &str, name: &str| elements(kind).unwrap().find(|element| element.name == name).unwrap();

        let status = named("Observation", "status");
        assert_eq!((status.holds, status.array, status.required), (Holds::Primitive("code"), false, true));
        let component = named("Observation", "component");
        assert_eq!((component.holds, component.array), (Holds::Type("Observation.component"), true));
        let value = named("Observation.component", "valueQuantity");
        assert_eq!((value.slot, value.holds, value.required), ("value[x]", Holds::Type("Quantity"), false));
        assert_eq!(named("Patient", "contained").holds, Holds::Resource);
        let url = named("Extension", "url");
        assert_eq!((url.holds, url.sibling, status.sibling), (Holds::Primitive("uri"), false, true));
        assert!(elements("Cat").is_none());
    }
}
