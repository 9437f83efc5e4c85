//! The structure check: everything that R4 itself says about the shape of a resource, for every type of R4.
//!
//! Unknown elements, JSON types, arrays, choices, required elements, primitive formats and the `_` siblings of
//! primitives (<https://hl7.org/fhir/R4/json.html>). Bindings, invariants and profiles come later and elsewhere.
//! The tables are integers; the path of an element is put together only when there is something to say about it.

mod definition;
mod issues;
mod primitive;
mod table;

use crate::{
    json::{Document, Kind, Value},
    outcome::{Issue, IssueCode},
    resource::ResourceType,
};

pub use definition::{Definition, Holds, elements};

use issues::{Issues, Place, shortened};
use primitive::Primitive;
use table::{Content, Element, TABLE, Table, Type, TypeId};

/// Checks a whole document as a resource of the type `expected`. No issue: it is sound.
pub fn check(document: &Document<'_>, expected: ResourceType) -> Vec<Issue> {
    check_as(document, expected.name(), Within::Everything)
}

/// Checks a Bundle without the resources of its entries, which are judged one by one.
pub fn check_envelope(document: &Document<'_>) -> Vec<Issue> {
    check_as(document, "Bundle", Within::Envelope)
}

fn check_as(document: &Document<'_>, expected: &str, within: Within) -> Vec<Issue> {
    let mut checker = Checker { table: &TABLE, issues: Issues::default(), contained: false, within };
    checker.root(document.root(), expected);
    checker.issues.into_list()
}

/// How deep a check goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// To the last leaf.
    Everything,
    /// Resources inside are only told to be objects.
    Envelope,
}

struct Checker {
    table: &'static Table,
    issues: Issues,
    /// Whether the resource being read is contained in another one.
    contained: bool,
    within: Within,
}

impl Checker {
    fn root(&mut self, root: Value<'_>, expected: &str) {
        let place = Place::root(expected);
        if root.kind() != Kind::Object {
            return self.structure(&place, || "the body is no JSON object".to_owned());
        }
        match root.get("resourceType").and_then(Value::string) {
            None => self.structure(&place, || format!("resourceType is missing; this address takes {expected}")),
            Some(found) if found != expected => {
                self.structure(&place, || format!("resourceType is not {expected}, which this address takes"));
            }
            Some(_) => {
                if let Some(id) = self.table.resource(expected) {
                    self.object(root, id, &place);
                }
            }
        }
    }

    /// A resource of any type, inside another one.
    fn resource(&mut self, value: Value<'_>, place: &Place<'_>) {
        if value.kind() != Kind::Object {
            return self.wrong_kind(value, Kind::Object, place);
        }
        if self.within == Within::Envelope {
            return;
        }
        let Some(name) = value.get("resourceType").and_then(Value::string) else {
            return self.structure(place, || "resourceType is missing".to_owned());
        };
        match self.table.resource(&name) {
            Some(id) => self.object(value, id, place),
            None => self.structure(place, || format!("'{}' is no resource type of R4", shortened(&name))),
        }
    }

    fn object(&mut self, object: Value<'_>, id: TypeId, place: &Place<'_>) {
        let kind = self.table.get(id);
        if object.is_empty() && !place.is_root_meta() {
            return self.structure(place, || "an object must not be empty".to_owned());
        }
        let mut seen = 0_u128;
        for (key, value) in object.members() {
            if self.issues.is_full() {
                return;
            }
            if kind.resource && key == "resourceType" {
                continue;
            }
            let name = key.strip_prefix('_').unwrap_or(&key);
            let Some(element) = kind.find(name).filter(|element| is_member(element, &key)) else {
                self.unknown(&key, place);
                continue;
            };
            let bit = 1 << element.slot;
            if element.choice && seen & bit != 0 {
                self.choice(object, kind, element, place);
            }
            seen |= bit;
            let place = place.child(&element.name);
            if key.len() == name.len() {
                self.element(object, value, element, &place);
            } else {
                self.sibling(object, value, element, &place);
            }
        }
        self.missing(kind, seen, place);
        if id == self.table.extension {
            self.extension(seen, place);
        }
    }

    fn missing(&mut self, kind: &Type, seen: u128, place: &Place<'_>) {
        let mut missing = kind.required & !seen;
        while missing != 0 {
            let slot = &kind.slots[missing.trailing_zeros() as usize];
            missing &= missing - 1;
            let stem = slot.strip_suffix("[x]").unwrap_or(slot);
            self.issues.add(IssueCode::Required, &place.child(stem), || format!("{slot} is required: add it"));
        }
    }

    /// ext-1: an extension has a value or extensions, one of the two.
    fn extension(&mut self, seen: u128, place: &Place<'_>) {
        let bits = self.table.extension_bits;
        match (seen & bits.extension != 0, seen & bits.value != 0) {
            (true, true) => self.issues.add(IssueCode::Invariant, place, || {
                "an extension has either a value or extensions, not both (ext-1)".to_owned()
            }),
            (false, false) => self
                .issues
                .add(IssueCode::Invariant, place, || "an extension needs a value or extensions (ext-1)".to_owned()),
            _ => {}
        }
    }

    /// Called at the second member of one choice: two types, unless it is a value and its own `_` sibling.
    fn choice(&mut self, object: Value<'_>, kind: &Type, element: &Element, place: &Place<'_>) {
        let another = object.members().any(|(key, _)| {
            kind.find(key.strip_prefix('_').unwrap_or(&key))
                .is_some_and(|other| other.slot == element.slot && other.name != element.name)
        });
        if another {
            let slot = &kind.slots[usize::from(element.slot)];
            self.structure(&place.child(&element.name), || format!("{slot} may have one type only"));
        }
    }

    /// The value of a member without `_`.
    fn element(&mut self, object: Value<'_>, value: Value<'_>, element: &Element, place: &Place<'_>) {
        if !element.array {
            return match value.kind() {
                Kind::Array => self.structure(place, || "must be a single value, not an array".to_owned()),
                _ => self.content(value, element, place),
            };
        }
        if value.kind() != Kind::Array {
            return self.structure(place, || "must be an array".to_owned());
        }
        if value.is_empty() {
            return self.structure(place, || "an array must not be empty".to_owned());
        }
        let primitive = matches!(element.content, Content::Primitive(_));
        let mut beside: Option<Vec<Value<'_>>> = None;
        for (index, item) in value.items().enumerate() {
            let place = place.at(index);
            if primitive && item.kind() == Kind::Null {
                let beside = beside.get_or_insert_with(|| {
                    object.get(&format!("_{}", element.name)).into_iter().flat_map(Value::items).collect()
                });
                if beside.get(index).is_none_or(|beside| beside.kind() == Kind::Null) {
                    self.structure(&place, || {
                        "null needs an object at the same place of the sibling with '_'".to_owned()
                    });
                }
            } else {
                self.content(item, element, &place);
            }
        }
    }

    fn content(&mut self, value: Value<'_>, element: &Element, place: &Place<'_>) {
        match element.content {
            Content::Primitive(primitive) | Content::Attribute(primitive) => self.primitive(value, primitive, place),
            Content::Complex(id) if value.kind() == Kind::Object => self.object(value, id, place),
            Content::Complex(_) => self.wrong_kind(value, Kind::Object, place),
            Content::Resource if &*element.name == "contained" => {
                if self.contained {
                    self.issues.add(IssueCode::Invariant, place, || {
                        "a contained resource must not contain resources (dom-2)".to_owned()
                    });
                } else {
                    self.contained = true;
                    self.resource(value, place);
                    self.contained = false;
                }
            }
            Content::Resource => self.resource(value, place),
        }
    }

    fn primitive(&mut self, value: Value<'_>, primitive: Primitive, place: &Place<'_>) {
        if value.kind() != primitive.kind() {
            return self.wrong_kind(value, primitive.kind(), place);
        }
        if let Err(fault) = primitive.check(value) {
            self.issues.add(fault.code, place, || format!("{}: {}", primitive.name(), fault.message));
        }
    }

    /// The value of a member with `_`: id and extensions of the primitive beside it.
    fn sibling(&mut self, object: Value<'_>, value: Value<'_>, element: &Element, place: &Place<'_>) {
        if !element.array {
            return match value.kind() {
                Kind::Object => self.object(value, self.table.element, place),
                _ => self.wrong_kind(value, Kind::Object, place),
            };
        }
        if value.kind() != Kind::Array {
            return self.structure(place, || "the sibling with '_' must be an array".to_owned());
        }
        if value.is_empty() {
            return self.structure(place, || "an array must not be empty".to_owned());
        }
        let beside = object.get(&element.name);
        if beside.is_some_and(|beside| beside.kind() == Kind::Array && beside.items().count() != value.items().count())
        {
            self.structure(place, || "the array and its sibling with '_' must be of one length".to_owned());
        }
        for (index, item) in value.items().enumerate() {
            let place = place.at(index);
            match item.kind() {
                Kind::Object => self.object(item, self.table.element, &place),
                // Where both are null, the array of values says so.
                Kind::Null if beside.is_some() => {}
                Kind::Null => self.structure(&place, || "has neither a value nor extensions".to_owned()),
                _ => self.wrong_kind(item, Kind::Object, &place),
            }
        }
    }

    fn structure(&mut self, place: &Place<'_>, message: impl FnOnce() -> String) {
        self.issues.add(IssueCode::Structure, place, message);
    }

    fn unknown(&mut self, key: &str, place: &Place<'_>) {
        let message = || format!("'{}' is no element here", shortened(key));
        if issues::is_name(key) {
            self.structure(&place.child(key), message);
        } else {
            self.structure(place, message);
        }
    }

    fn wrong_kind(&mut self, value: Value<'_>, wanted: Kind, place: &Place<'_>) {
        let (wanted, found) = (kind_name(wanted), kind_name(value.kind()));
        self.structure(place, || format!("must be {wanted}, not {found}"));
    }
}

/// Whether `key` may name this element: as it is, or with `_` where the element is a primitive with a sibling.
fn is_member(element: &Element, key: &str) -> bool {
    key.len() == element.name.len() || matches!(element.content, Content::Primitive(_))
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "an object",
        Kind::Array => "an array",
        Kind::String => "a string",
        Kind::Number => "a number",
        Kind::Bool => "true or false",
        Kind::Null => "null",
    }
}

#[cfg(test)]
mod tests;
