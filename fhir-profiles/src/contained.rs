//! Contained resources and the references to them: dom-3, dom-4, dom-5 and ref-1
//! (<https://hl7.org/fhir/R4/references.html#contained>).

use std::{borrow::Cow, cell::OnceCell, collections::HashSet};

use vitals_fhir::json::{Kind, Value};

use crate::place::{Issues, Place};

/// What a resource contains, read when the first local reference or contained resource is met.
pub(crate) struct Contained<'d> {
    root: Value<'d>,
    ids: OnceCell<HashSet<Cow<'d, str>>>,
    pointers: OnceCell<HashSet<Cow<'d, str>>>,
}

impl<'d> Contained<'d> {
    /// Nothing read yet.
    pub const fn new(root: Value<'d>) -> Self {
        Self { root, ids: OnceCell::new(), pointers: OnceCell::new() }
    }

    /// A contained resource: it has no version and no labels of its own, and something refers to it.
    pub fn check(&self, resource: Value<'d>, place: &Place<'_>, issues: &mut Issues) {
        let meta = place.child("meta");
        for (key, name) in [("dom-4", "versionId"), ("dom-4", "lastUpdated"), ("dom-5", "security")] {
            if resource.get("meta").is_some_and(|meta| meta.get(name).is_some()) {
                issues.broken(key, &meta.child(name), "a contained resource must not have this: remove it");
            }
        }
        let id = resource.get("id").and_then(Value::string);
        let is_used = id.is_some_and(|id| self.pointers().contains(&id)) || refers_to_container(resource);
        if !is_used {
            let sentence = "a contained resource must be referred to as '#' and its id: refer to it or remove it";
            issues.broken("dom-3", place, sentence);
        }
    }

    /// A reference that begins with `#` must lead to a contained resource, or from one to the resource around it.
    pub fn reference(&self, object: Value<'_>, is_inside: bool, place: &Place<'_>, issues: &mut Issues) {
        let Some(reference) = object.get("reference").and_then(Value::string) else { return };
        let Some(id) = reference.strip_prefix('#') else { return };
        let leads = if id.is_empty() { is_inside } else { self.ids().contains(id) };
        if !leads {
            let sentence = "no contained resource has this id: contain it or correct the reference";
            issues.broken("ref-1", &place.child("reference"), sentence);
        }
    }

    fn ids(&self) -> &HashSet<Cow<'d, str>> {
        self.ids.get_or_init(|| {
            let all = self.root.get("contained").into_iter().flat_map(Value::items);
            all.filter_map(|resource| resource.get("id")?.string()).collect()
        })
    }

    /// The ids behind every text that begins with `#`. Which element holds it does not matter: a reference, a
    /// canonical, a uri and a url all count, and a text that only looks like one does no harm.
    fn pointers(&self) -> &HashSet<Cow<'d, str>> {
        self.pointers.get_or_init(|| {
            let mut found = HashSet::new();
            texts(self.root, &mut |text| match text {
                Cow::Borrowed(text) => found.extend(text.strip_prefix('#').map(Cow::Borrowed)),
                Cow::Owned(text) => found.extend(text.strip_prefix('#').map(|id| Cow::Owned(id.to_owned()))),
            });
            found
        })
    }
}

fn refers_to_container(resource: Value<'_>) -> bool {
    let mut found = false;
    texts(resource, &mut |text| found |= text == "#");
    found
}

fn texts<'d>(value: Value<'d>, each: &mut impl FnMut(Cow<'d, str>)) {
    match value.kind() {
        Kind::Object => value.members().for_each(|(_, member)| texts(member, each)),
        Kind::Array => value.items().for_each(|item| texts(item, each)),
        Kind::String => value.string().into_iter().for_each(each),
        Kind::Number | Kind::Bool | Kind::Null => {}
    }
}
