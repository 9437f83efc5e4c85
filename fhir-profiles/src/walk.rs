//! The way through a resource: at each object its type's invariants, at each bound code its value set.

use vitals_fhir::{
    json::{Kind, Value},
    outcome::IssueCode,
};

use crate::{
    contained::Contained,
    narrative,
    place::{Issues, Place},
    rule,
    types::{Element, Holds, Rule, Special, TYPES, Test, Type, TypeId, Types},
};

/// One run over a resource.
pub(crate) struct Walk<'d> {
    types: &'static Types,
    issues: Issues,
    contained: Contained<'d>,
    /// Whether the resource being read is contained in another one.
    inside: bool,
    /// How many Bundles and Parameters are around, whose own local references are not ours.
    nested: usize,
}

impl<'d> Walk<'d> {
    /// A run that begins.
    pub fn new(root: Value<'d>) -> Self {
        let types = &*TYPES;
        Self { types, issues: Issues::default(), contained: Contained::new(root), inside: false, nested: 0 }
    }

    /// What was found.
    pub fn into_issues(self) -> Issues {
        self.issues
    }

    /// A resource of the type of this name.
    pub fn resource(&mut self, resource: Value<'d>, name: &str, place: &Place<'_>) {
        if let Some(id) = self.types.named(name) {
            self.object(resource, id, place);
        }
    }

    fn object(&mut self, object: Value<'d>, id: TypeId, place: &Place<'_>) {
        let kind = self.types.get(id);
        let mut seen = 0_u128;
        let mut only_id = true;
        for (key, value) in object.members() {
            if self.issues.is_full() {
                return;
            }
            only_id &= key == "id";
            let name = key.strip_prefix('_').unwrap_or(&key);
            let Some(element) = kind.find(name) else { continue };
            seen |= 1 << element.slot;
            let place = place.child(&element.name);
            if key.len() == name.len() {
                self.element(value, element, &place);
            } else {
                self.beside(object, value, element, &place);
            }
        }
        if only_id && !object.is_empty() {
            self.issues.broken("ele-1", place, "an id alone says nothing: add a value or remove the element");
        }
        for rule in &kind.rules {
            if !holds(rule, object, seen) {
                let at = rule.at.map_or(*place, |name| place.child(name));
                self.issues.broken(rule.key, &at, rule.sentence);
            }
        }
        if kind.special != Special::None {
            self.special(object, kind, place);
        }
    }

    fn element(&mut self, value: Value<'d>, element: &Element, place: &Place<'_>) {
        if matches!(element.holds, Holds::Primitive) {
            return;
        }
        if value.kind() != Kind::Array {
            return self.content(value, element, place);
        }
        for (index, item) in value.items().enumerate() {
            self.content(item, element, &place.at(index));
        }
    }

    fn content(&mut self, value: Value<'d>, element: &Element, place: &Place<'_>) {
        match element.holds {
            Holds::Primitive => {}
            Holds::Bound(set) => {
                let set = self.types.set(set);
                if let Some(code) = value.string()
                    && !set.has(&code)
                {
                    let message = format!("this code is not in the required value set: {}", set.advice());
                    self.issues.add(IssueCode::CodeInvalid, place, message);
                }
            }
            Holds::Complex(id) => {
                if value.kind() == Kind::Object {
                    self.object(value, id, place);
                }
            }
            Holds::Resource => self.inner(value, element, place),
        }
    }

    /// A resource inside another one.
    fn inner(&mut self, resource: Value<'d>, element: &Element, place: &Place<'_>) {
        let Some(name) = resource.get("resourceType").and_then(Value::string) else { return };
        if &*element.name != "contained" {
            self.nested += 1;
            self.resource(resource, &name, place);
            self.nested -= 1;
        } else if self.nested == 0 {
            self.contained.check(resource, place, &mut self.issues);
            self.inside = true;
            self.resource(resource, &name, place);
            self.inside = false;
        } else {
            self.resource(resource, &name, place);
        }
    }

    /// What stands beside a primitive: its id and extensions.
    fn beside(&mut self, object: Value<'d>, beside: Value<'d>, element: &Element, place: &Place<'_>) {
        // An id beside a value is enough; an id in the place of one is not (ele-1).
        if beside.kind() == Kind::Object {
            self.sibling(beside, object.get(&element.name), place);
            return;
        }
        let mut values = object.get(&element.name).into_iter().flat_map(Value::items);
        for (index, item) in beside.items().enumerate() {
            let value = values.next();
            if item.kind() == Kind::Object {
                self.sibling(item, value, &place.at(index));
            }
        }
    }

    fn sibling(&mut self, sibling: Value<'d>, value: Option<Value<'d>>, place: &Place<'_>) {
        let has_value = value.is_some_and(|value| value.kind() != Kind::Null);
        let only_id = sibling.members().all(|(key, _)| key == "id");
        if !(has_value && only_id) {
            self.object(sibling, self.types.element, place);
        }
    }

    fn special(&mut self, object: Value<'d>, kind: &Type, place: &Place<'_>) {
        let issues = &mut self.issues;
        match kind.special {
            Special::None => {}
            Special::Narrative => narrative::check(object, place, issues),
            Special::Observation => rule::observation(object, place, issues),
            Special::Period => rule::period(object, place, issues),
            Special::Range => rule::range(object, place, issues),
            Special::Repeat => rule::repeat(object, place, issues),
            Special::Reference if self.nested > 0 => {}
            Special::Reference => self.contained.reference(object, self.inside, place, issues),
        }
    }
}

/// Whether an object keeps a one-line invariant; `seen` are the slots it fills.
fn holds(rule: &Rule, object: Value<'_>, seen: u128) -> bool {
    let number = |name: Option<&str>| object.get(name?)?.number()?.parse::<f64>().ok();
    match rule.test {
        Test::Needs(one, other) => seen & one == 0 || seen & other != 0,
        Test::Excludes(one, other) => seen & one == 0 || seen & other == 0,
        Test::Any(some) => seen & some != 0,
        Test::One(some) => (seen & some).is_power_of_two(),
        Test::Never(one) => seen & one == 0,
        Test::Is(text) => {
            rule.at.and_then(|name| object.get(name)).and_then(Value::string).is_none_or(|found| found == text)
        }
        Test::Least(low) => number(rule.at).is_none_or(|number| number >= low),
        Test::Above(low) => number(rule.at).is_none_or(|number| number > low),
    }
}
