//! The table of every FHIR R4 type, read once from `elements.tsv` into integers.

use std::{collections::HashMap, sync::LazyLock};

use super::primitive::Primitive;

/// Index of a type in the table.
pub(super) type TypeId = u16;

/// What an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A primitive, whose id and extensions stand in the sibling with `_` before its name.
    Primitive(Primitive),
    /// A primitive that is an attribute in XML and has no such sibling (`id`, `Extension.url`, the narrative's `div`).
    Attribute(Primitive),
    /// An object of a type of the table.
    Complex(TypeId),
    /// A resource of whatever type its `resourceType` names.
    Resource,
}

/// One member that a type may have. A choice (`value[x]`) is one such element for each of its types.
pub(super) struct Element {
    pub name: Box<str>,
    pub content: Content,
    pub array: bool,
    /// Number of the element within its type; all elements of one choice share it.
    pub slot: u8,
    pub choice: bool,
}

/// A type: a resource, a data type or a backbone element.
pub(super) struct Type {
    pub name: &'static str,
    pub elements: Vec<Element>,
    /// Slots that must be filled, as bits.
    pub required: u128,
    /// The names of the slots as the specification has them (`value[x]`).
    pub slots: Vec<Box<str>>,
    /// Whether it is a resource that can be (no abstract one).
    pub resource: bool,
    /// Open-addressed hash table: index of an element plus one, 0 for empty.
    places: Box<[u16]>,
}

impl Type {
    /// The element of this name.
    pub fn find(&self, name: &str) -> Option<&Element> {
        let mask = self.places.len() - 1;
        let mut at = hash(name) & mask;
        loop {
            let element = self.elements.get(usize::from(self.places[at]).wrapping_sub(1))?;
            if *element.name == *name {
                return Some(element);
            }
            at = (at + 1) & mask;
        }
    }

    /// The bit of the slot of this name; none where the type has no such slot.
    pub fn bit(&self, name: &str) -> u128 {
        self.slots.iter().position(|slot| **slot == *name).map_or(0, |slot| 1 << slot)
    }
}

fn hash(name: &str) -> usize {
    // FNV-1a. The table is fixed, so nobody can choose keys that collide in it; a key that is not in it costs one run.
    name.bytes().fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)) as usize
}

/// Every type of R4.
pub(super) struct Table {
    types: Vec<Type>,
    names: HashMap<&'static str, TypeId>,
    /// `Extension`.
    pub extension: TypeId,
    /// `Element`: what stands beside a primitive.
    pub element: TypeId,
    /// The slots of an Extension, as bits.
    pub extension_bits: ExtensionBits,
}

/// The slots of an Extension that its own rule (ext-1) is about.
#[derive(Clone, Copy)]
pub(super) struct ExtensionBits {
    pub extension: u128,
    pub value: u128,
}

impl Table {
    /// The type with this index.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[usize::from(id)]
    }

    /// The type of this name, be it a resource, a data type, a part or an abstract one.
    pub fn named(&self, name: &str) -> Option<&Type> {
        self.names.get(name).map(|id| self.get(*id))
    }

    /// The resource type of this name.
    pub fn resource(&self, name: &str) -> Option<TypeId> {
        self.names.get(name).copied().filter(|id| self.get(*id).resource)
    }
}

/// The table, made at first use.
pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("elements.tsv")));

/// One line of the file.
struct Row {
    name: &'static str,
    kind: &'static str,
    base: &'static str,
    elements: &'static str,
}

fn rows(text: &'static str) -> Vec<Row> {
    let fields = |line: &'static str| {
        let mut fields = line.split('\t');
        let mut field = || fields.next().expect("each row of elements.tsv has four fields");
        Row { name: field(), kind: field(), base: field(), elements: field() }
    };
    text.lines().filter(|line| !line.starts_with('#')).map(fields).collect()
}

fn read(text: &'static str) -> Table {
    let rows = rows(text);
    let names: HashMap<_, _> = (0..).zip(&rows).map(|(id, row): (TypeId, _)| (row.name, id)).collect();
    let types: Vec<_> = rows.iter().map(|row| build(row, &rows, &names)).collect();
    let extension = names["Extension"];
    let bits = &types[usize::from(extension)];
    let extension_bits = ExtensionBits { extension: bits.bit("extension"), value: bits.bit("value[x]") };
    Table { extension, element: names["Element"], extension_bits, types, names }
}

fn build(row: &Row, rows: &[Row], names: &HashMap<&'static str, TypeId>) -> Type {
    let mut lists = vec![row.elements];
    let mut base = row.base;
    while let Some(id) = names.get(base) {
        let parent = &rows[usize::from(*id)];
        lists.push(parent.elements);
        base = parent.base;
    }
    let mut kind = Type {
        name: row.name,
        elements: Vec::new(),
        required: 0,
        slots: Vec::new(),
        resource: row.kind == "resource",
        places: [].into(),
    };
    for element in lists.iter().rev().flat_map(|list| list.split_ascii_whitespace()) {
        add(&mut kind, element, names);
    }
    kind.places = places(&kind.elements);
    kind
}

fn add(kind: &mut Type, element: &'static str, names: &HashMap<&'static str, TypeId>) {
    let mut parts = element.split(':');
    let mut part = || parts.next().expect("an element of elements.tsv is name:min..max:types");
    let (name, cardinality, contents) = (part(), part(), part());
    let slot = u8::try_from(kind.slots.len()).expect("a type has fewer than 128 elements");
    assert!(slot < 128, "a type has fewer than 128 elements");
    kind.slots.push(name.into());
    if cardinality.starts_with('1') {
        kind.required |= 1 << slot;
    }
    let array = cardinality.ends_with('*');
    for content in contents.split('|') {
        let (name, choice) = match name.strip_suffix("[x]") {
            Some(stem) => (format!("{stem}{}{}", content[..1].to_ascii_uppercase(), &content[1..]), true),
            None => (name.to_owned(), false),
        };
        let content = content_of(content, names);
        kind.elements.push(Element { name: name.into(), content, array, slot, choice });
    }
}

fn content_of(name: &str, names: &HashMap<&'static str, TypeId>) -> Content {
    match name {
        "Resource" => Content::Resource,
        "System.Id" => Content::Attribute(Primitive::Id),
        "System.String" => Content::Attribute(Primitive::String),
        "System.Uri" => Content::Attribute(Primitive::Uri),
        "xhtml" => Content::Attribute(Primitive::Xhtml),
        _ => match Primitive::named(name) {
            Some(primitive) => Content::Primitive(primitive),
            None => Content::Complex(*names.get(name).expect("elements.tsv names only types it has")),
        },
    }
}

fn places(elements: &[Element]) -> Box<[u16]> {
    let mut places = vec![0_u16; (elements.len() * 2 + 1).next_power_of_two()].into_boxed_slice();
    let mask = places.len() - 1;
    for (number, element) in (1..).zip(elements) {
        let mut at = hash(&element.name) & mask;
        while places[at] != 0 {
            at = (at + 1) & mask;
        }
        places[at] = number;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_resolves_and_every_element_is_found_by_its_name() {
        let table = &*TABLE;
        assert_eq!(table.types.iter().filter(|kind| kind.resource).count(), 146, "concrete resource types of R4");
        for kind in &table.types {
            for element in &kind.elements {
                let found = kind.find(&element.name).expect("an element is found by its name");
                assert!(std::ptr::eq(found, element), "{} stands twice in one type", element.name);
            }
        }
        assert!(table.resource("Resource").is_none());
        assert!(table.resource("HumanName").is_none());
        assert!(table.resource("Observation.component").is_none());
    }
}
