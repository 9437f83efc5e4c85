//! The types of R4 as the rules need them, read once from `types.tsv`, `value-sets.tsv` and `invariants.tsv`.

use std::{collections::HashMap, sync::LazyLock};

/// Index of a type in the table.
pub(crate) type TypeId = u16;

/// What an element holds, as far as rules care.
#[derive(Clone, Copy)]
pub(crate) enum Holds {
    /// A primitive that nothing is said about.
    Primitive,
    /// A code of a required binding: index of its set.
    Bound(u16),
    /// An object of a type of the table.
    Complex(TypeId),
    /// A resource of whatever type its `resourceType` names.
    Resource,
}

/// One member that a type may have. A choice (`value[x]`) is one such element for each of its types.
pub(crate) struct Element {
    pub name: Box<str>,
    pub holds: Holds,
    /// Number of the element within its type; all elements of one choice share it.
    pub slot: u8,
}

/// A rule that is more than a line of `invariants.tsv`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    None,
    Narrative,
    Observation,
    Period,
    Range,
    Reference,
    Repeat,
}

/// A type: a resource, a data type or a part of one.
pub(crate) struct Type {
    elements: Vec<Element>,
    slots: Vec<&'static str>,
    pub rules: Vec<Rule>,
    pub special: Special,
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

    /// The bit of an element, named as the specification does (`value[x]`).
    pub fn bit(&self, name: &str) -> u128 {
        let slot = self.slots.iter().position(|slot| *slot == name);
        1 << slot.unwrap_or_else(|| panic!("a compiled-in table names {name}, which the type does not have"))
    }

    /// The names that a choice may stand under.
    pub fn variants(&self, slot: &str) -> impl Iterator<Item = &str> {
        let bit = self.bit(slot);
        self.elements.iter().filter(move |element| 1 << element.slot == bit).map(|element| &*element.name)
    }
}

/// What a line of `invariants.tsv` asks for; elements are bits of the type's slots.
pub(crate) enum Test {
    Needs(u128, u128),
    Excludes(u128, u128),
    Any(u128),
    One(u128),
    Never(u128),
    Is(&'static str),
    Least(f64),
    Above(f64),
}

/// An invariant that can be said in one line.
pub(crate) struct Rule {
    pub key: &'static str,
    pub test: Test,
    /// The element to point at; none is the object itself.
    pub at: Option<&'static str>,
    pub sentence: &'static str,
}

/// The codes of a required binding.
pub(crate) struct ValueSet {
    url: &'static str,
    pub codes: Codes,
}

/// What the codes of a set are.
pub(crate) enum Codes {
    Listed(Vec<&'static str>),
    MimeType,
    Language,
    Currency,
}

/// Lists no longer than this are repeated in the finding.
const SHORT_LIST: usize = 16;

impl ValueSet {
    /// Whether the set has this code.
    pub fn has(&self, code: &str) -> bool {
        match &self.codes {
            Codes::Listed(codes) => codes.binary_search(&code).is_ok(),
            Codes::MimeType => is_mime_type(code),
            Codes::Language => is_language(code),
            Codes::Currency => code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()),
        }
    }

    /// What to write instead of a code that it does not have.
    pub fn advice(&self) -> String {
        match &self.codes {
            Codes::Listed(codes) if codes.len() <= SHORT_LIST => format!("use one of {}", codes.join(", ")),
            Codes::Listed(_) => format!("use a code of {}", self.url),
            Codes::MimeType => "use a media type such as application/pdf".to_owned(),
            Codes::Language => "use a language tag of BCP 47 such as en or de-CH".to_owned(),
            Codes::Currency => "use a currency code of ISO 4217 such as EUR".to_owned(),
        }
    }
}

/// `type/subtype` and what may follow behind a semicolon.
fn is_mime_type(code: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&byte))
    };
    let whole = code.split(';').next().unwrap_or_default().trim_end();
    whole.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub))
}

/// The form of BCP 47: letters, then groups of letters and digits.
fn is_language(code: &str) -> bool {
    let mut groups = code.split('-');
    let first = groups.next().unwrap_or_default();
    (1..=8).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
        && groups.all(|group| (1..=8).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Every type of R4 and every value set that one of them is bound to.
pub(crate) struct Types {
    list: Vec<Type>,
    names: HashMap<&'static str, TypeId>,
    sets: Vec<ValueSet>,
    /// `Element`: what stands beside a primitive.
    pub element: TypeId,
    /// `Observation`.
    pub observation: TypeId,
}

impl Types {
    /// The type with this index.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.list[usize::from(id)]
    }

    /// The type of this name.
    pub fn named(&self, name: &str) -> Option<TypeId> {
        self.names.get(name).copied()
    }

    /// The value set with this index.
    pub fn set(&self, id: u16) -> &ValueSet {
        &self.sets[usize::from(id)]
    }
}

/// The table, made at first use.
pub(crate) static TYPES: LazyLock<Types> = LazyLock::new(read);

/// The lines of a compiled-in table, each as its fields.
pub(crate) fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        fields.try_into().expect("each row of a compiled-in table has all its fields, which the tests hold")
    })
}

fn read() -> Types {
    let lines: Vec<[&'static str; 2]> = rows(include_str!("../data/types.tsv")).collect();
    let names: HashMap<_, _> = (0..).zip(&lines).map(|(id, [name, _])| (*name, id)).collect();
    let mut sets: Vec<_> = rows(include_str!("../data/value-sets.tsv"))
        .map(|[_, url, codes]: [&'static str; 3]| ValueSet { url, codes: Codes::Listed(codes.split(' ').collect()) })
        .collect();
    let listed = rows(include_str!("../data/value-sets.tsv")).map(|[name, _, _]: [&'static str; 3]| name);
    let mut set_names: HashMap<_, _> = (0..).zip(listed).map(|(id, name)| (name, id)).collect();
    for (name, codes) in
        [("mimetypes", Codes::MimeType), ("all-languages", Codes::Language), ("currencies", Codes::Currency)]
    {
        set_names.insert(name, u16::try_from(sets.len()).expect("there are some 200 value sets"));
        sets.push(ValueSet { url: "", codes });
    }
    let mut types: Vec<_> = lines.iter().map(|[name, elements]| build(name, elements, &names, &set_names)).collect();
    for [owners, key, test, elements, sentence] in rows(include_str!("../data/invariants.tsv")) {
        for owner in owners.split(' ') {
            let kind = &mut types[usize::from(names[owner])];
            let rule = rule(kind, key, test, elements, sentence);
            kind.rules.push(rule);
        }
    }
    Types { element: names["Element"], observation: names["Observation"], list: types, names, sets }
}

fn build(
    name: &str,
    elements: &'static str,
    names: &HashMap<&'static str, TypeId>,
    sets: &HashMap<&'static str, u16>,
) -> Type {
    let special = match name {
        "Narrative" => Special::Narrative,
        "Observation" => Special::Observation,
        "Period" => Special::Period,
        "Range" => Special::Range,
        "Reference" => Special::Reference,
        "Timing.repeat" => Special::Repeat,
        _ => Special::None,
    };
    let mut kind = Type { elements: Vec::new(), slots: Vec::new(), rules: Vec::new(), special, places: [].into() };
    for element in elements.split_ascii_whitespace() {
        let slot = u8::try_from(kind.slots.len()).expect("a type has fewer than 128 elements");
        assert!(slot < 128, "a type has fewer than 128 elements");
        let (name, holds) = match (element.split_once('='), element.split_once(':')) {
            (Some((name, set)), _) => (name, vec![(name.to_owned(), Holds::Bound(sets[set]))]),
            (_, Some((name, types))) => (name, variants(name, types, names)),
            _ => (element, vec![(element.to_owned(), Holds::Primitive)]),
        };
        kind.slots.push(name);
        kind.elements.extend(holds.into_iter().map(|(name, holds)| Element { name: name.into(), holds, slot }));
    }
    kind.places = places(&kind.elements);
    kind
}

fn variants(name: &str, types: &'static str, names: &HashMap<&'static str, TypeId>) -> Vec<(String, Holds)> {
    let holds = |kind: &str| match kind {
        "Resource" => Holds::Resource,
        _ if kind.starts_with(|first: char| first.is_ascii_lowercase()) => Holds::Primitive,
        _ => Holds::Complex(names[kind]),
    };
    match name.strip_suffix("[x]") {
        None => vec![(name.to_owned(), holds(types))],
        Some(stem) => types
            .split('|')
            // A choice is named after the type, not after a profile on it.
            .map(|kind| {
                let suffix = if matches!(kind, "SimpleQuantity" | "MoneyQuantity") { "Quantity" } else { kind };
                (format!("{stem}{}{}", suffix[..1].to_ascii_uppercase(), &suffix[1..]), holds(kind))
            })
            .collect(),
    }
}

fn rule(kind: &Type, key: &'static str, test: &str, elements: &'static str, sentence: &'static str) -> Rule {
    let names: Vec<&'static str> = elements.split(' ').collect();
    let bits = || names.iter().fold(0, |bits, name| bits | kind.bit(name));
    let number = || names[1].parse().expect("a limit of a compiled-in table is a number");
    let first = kind.bit(names[0]);
    let (test, at) = match test {
        "needs" => (Test::Needs(first, kind.bit(names[1])), Some(names[1])),
        "excludes" => (Test::Excludes(first, kind.bit(names[1])), Some(names[0])),
        "any" => (Test::Any(bits()), None),
        "one" => (Test::One(bits()), None),
        "never" => (Test::Never(first), Some(names[0])),
        "is" => (Test::Is(names[1]), Some(names[0])),
        "least" => (Test::Least(number()), Some(names[0])),
        "above" => (Test::Above(number()), Some(names[0])),
        _ => panic!("a compiled-in table has the rule {test}, which is not known"),
    };
    Rule { key, test, at, sentence }
}

fn hash(name: &str) -> usize {
    // FNV-1a. The table is fixed, so nobody can choose keys that collide in it; a key that is not in it costs one run.
    name.bytes().fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)) as usize
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
