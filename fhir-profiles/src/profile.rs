//! The profiles of `data/profiles/`, read once, and the facts in them that others ask for.

use std::sync::LazyLock;

use vitals_fhir::vital::Vital;

use crate::types::TYPES;

/// A vital sign and its profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VitalProfile {
    /// Which vital it is.
    pub vital: Vital,
    /// Its name for people.
    pub title: &'static str,
    /// Canonical URL of the FHIR R4 profile.
    pub fhir: &'static str,
    /// Canonical URL of the US Core profile.
    pub us_core: &'static str,
    /// UCUM codes that the R4 profile allows; the first is the one to write.
    pub units: Vec<&'static str>,
}

/// Where a code stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On an Observation that has a value.
    Value,
    /// On an Observation that has components.
    Panel,
    /// On a component (or on an Observation of its own).
    Component,
}

/// A LOINC code of a vital sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VitalCode {
    /// The code.
    pub loinc: &'static str,
    /// The vital it belongs to.
    pub vital: Vital,
    /// Where it stands.
    pub place: Place,
    /// LOINC's display text.
    pub display: &'static str,
}

/// Every vital sign, in the order of [`Vital::ALL`].
pub fn vitals() -> &'static [VitalProfile] {
    &TABLE.vitals
}

/// Every LOINC code of a vital sign; those of one vital stand together, in the order of [`Vital::loinc`].
pub fn codes() -> &'static [VitalCode] {
    &TABLE.vital_codes
}

/// The profiles of one vital sign.
pub fn profile(vital: Vital) -> &'static VitalProfile {
    // One profile for each vital in the order of `Vital`, which a test holds.
    &TABLE.vitals[vital as usize]
}

/// What an Observation may have as its value.
#[derive(Default)]
pub(crate) enum ValueRule {
    #[default]
    Free,
    None,
    Quantity(Vec<&'static str>),
}

/// A code that makes a profile apply.
pub(crate) struct Code {
    pub loinc: &'static str,
    pub place: Place,
    pub display: &'static str,
}

/// One type of a choice that a profile leaves out.
pub(crate) struct Choice {
    pub slot: &'static str,
    pub refused: Vec<&'static str>,
    pub allowed: &'static str,
}

/// One of these elements must be there; for components they are names, for the Observation bits of its slots.
pub(crate) struct AnyOf {
    pub key: &'static str,
    pub elements: &'static str,
    pub bits: u128,
    pub sentence: &'static str,
}

/// A component with a code of its own.
pub(crate) struct Component {
    pub loinc: &'static str,
    pub required: bool,
    pub units: Vec<&'static str>,
    pub display: &'static str,
    /// A bit among those of all profiles' components.
    pub bit: u64,
}

/// What a number may be, in one unit.
pub(crate) struct Limit {
    /// LOINC code of a component; none for the value of the Observation.
    pub loinc: Option<&'static str>,
    pub unit: &'static str,
    pub possible: (f64, f64),
    pub plausible: (f64, f64),
}

/// One file of `data/profiles/`.
#[derive(Default)]
pub(crate) struct Profile {
    pub title: &'static str,
    pub url: &'static str,
    us_core: Option<&'static str>,
    vital: Option<Vital>,
    base: Option<&'static str>,
    pub codes: Vec<Code>,
    pub category: Option<(&'static str, &'static str)>,
    pub required: Vec<(u128, &'static str)>,
    pub choices: Vec<Choice>,
    pub days: Vec<(&'static str, &'static str)>,
    pub any: Vec<AnyOf>,
    pub component_any: Vec<AnyOf>,
    pub value: ValueRule,
    pub components: Vec<Component>,
    pub component_units: Vec<&'static str>,
    pub limits: Vec<Limit>,
}

/// A set of profiles, as bits of their places in the list.
pub(crate) type ProfileSet = u128;

/// Every profile, and which of them a code or a category makes apply.
pub(crate) struct Profiles {
    pub list: Vec<Profile>,
    /// LOINC codes in order, each with its profiles and their bases.
    by_code: Vec<(&'static str, ProfileSet)>,
    vitals: Vec<VitalProfile>,
    vital_codes: Vec<VitalCode>,
}

impl Profiles {
    /// The profiles that a LOINC code makes apply.
    pub fn of_code(&self, loinc: &str) -> ProfileSet {
        self.by_code.binary_search_by(|(code, _)| (*code).cmp(loinc)).map_or(0, |at| self.by_code[at].1)
    }

    /// The profiles that a category makes apply.
    pub fn of_category(&self, system: &str, code: &str) -> ProfileSet {
        let with = self.list.iter().enumerate().filter(|(_, profile)| profile.category == Some((system, code)));
        with.fold(0, |set, (at, _)| set | 1 << at)
    }

    /// A profile and those it is based on.
    pub fn with_bases(&self, at: usize) -> ProfileSet {
        with_bases(at, &self.list)
    }

    /// The profiles of a set.
    pub fn each(&'static self, set: ProfileSet) -> impl Iterator<Item = &'static Profile> + Clone {
        self.list.iter().enumerate().filter(move |(at, _)| set & (1 << at) != 0).map(|(_, profile)| profile)
    }
}

/// The table, made at first use.
pub(crate) static TABLE: LazyLock<Profiles> = LazyLock::new(read);

/// Name and text of every file, in the order of their names.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

fn read() -> Profiles {
    assert!(FILES.len() <= 128, "profiles are bits of a number of 128");
    let mut bit = 1;
    let list: Vec<_> = FILES.iter().map(|(_, text)| profile_of(text, &mut bit)).collect();
    let mut by_code: Vec<(&'static str, ProfileSet)> = Vec::new();
    for (at, profile) in list.iter().enumerate() {
        let set = with_bases(at, &list);
        for code in &profile.codes {
            match by_code.iter_mut().find(|(loinc, _)| *loinc == code.loinc) {
                Some((_, sets)) => *sets |= set,
                None => by_code.push((code.loinc, set)),
            }
        }
    }
    by_code.sort_unstable();
    let vitals = Vital::ALL.into_iter().map(|vital| vital_profile(of_vital(&list, vital), vital)).collect();
    let vital_codes = Vital::ALL.into_iter().flat_map(|vital| vital_codes(of_vital(&list, vital), vital)).collect();
    Profiles { list, by_code, vitals, vital_codes }
}

fn with_bases(at: usize, list: &[Profile]) -> ProfileSet {
    let Some(base) = list[at].base else { return 1 << at };
    let below = FILES.iter().position(|(name, _)| *name == base).expect("the base of a profile is a file beside it");
    1 << at | with_bases(below, list)
}

fn of_vital(list: &[Profile], vital: Vital) -> &Profile {
    list.iter().find(|profile| profile.vital == Some(vital)).expect("each vital has a file, which the tests hold")
}

fn vital_profile(profile: &Profile, vital: Vital) -> VitalProfile {
    let units = match &profile.value {
        ValueRule::Quantity(units) => units.clone(),
        ValueRule::None | ValueRule::Free => profile.components[0].units.clone(),
    };
    let us_core = profile.us_core.expect("each vital has a profile of US Core, which the tests hold");
    VitalProfile { vital, title: profile.title, fhir: profile.url, us_core, units }
}

/// The codes of a vital and of its components, but for components that are no vitals.
fn vital_codes(profile: &Profile, vital: Vital) -> Vec<VitalCode> {
    let own = profile.codes.iter().map(|code| (code.loinc, code.place, code.display));
    let parts = profile.components.iter().map(|part| (part.loinc, Place::Component, part.display));
    own.chain(parts)
        .filter(|(loinc, ..)| vital.loinc().contains(loinc))
        .map(|(loinc, place, display)| VitalCode { loinc, vital, place, display })
        .collect()
}

fn profile_of(text: &'static str, bit: &mut u64) -> Profile {
    let mut profile = Profile::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&'static str> = line.split('\t').collect();
        directive(&mut profile, &fields, bit);
    }
    profile
}

fn directive(profile: &mut Profile, fields: &[&'static str], bit: &mut u64) {
    let observation = TYPES.get(TYPES.observation);
    match *fields {
        ["title", title] => profile.title = title,
        ["url", url] => profile.url = url,
        ["us-core", url] => profile.us_core = Some(url),
        ["vital", name] => profile.vital = Vital::named(name),
        ["base", name] => profile.base = Some(name),
        ["category", system, code] => profile.category = Some((system, code)),
        ["code", loinc, place, display] => profile.codes.push(Code { loinc, place: place_named(place), display }),
        ["required", element] => profile.required.push((observation.bit(element), element)),
        ["choice", slot, allowed] => {
            let stem = slot.trim_end_matches("[x]");
            let is_allowed = |name: &str| allowed.split(' ').any(|kind| name[stem.len()..].eq_ignore_ascii_case(kind));
            let refused = observation.variants(slot).filter(|name| !is_allowed(name)).collect();
            profile.choices.push(Choice { slot, refused, allowed });
        }
        ["day", element, key] => profile.days.push((element, key)),
        ["any", key, elements, sentence] => {
            let bits = elements.split(' ').fold(0, |bits, name| bits | observation.bit(name));
            profile.any.push(AnyOf { key, elements, bits, sentence });
        }
        ["component-any", key, elements, sentence] => {
            profile.component_any.push(AnyOf { key, elements, bits: 0, sentence });
        }
        ["value", "none"] => profile.value = ValueRule::None,
        ["value", "Quantity", units] => profile.value = ValueRule::Quantity(list(units)),
        ["component", loinc, cardinality, units, display] => {
            assert!(matches!(cardinality, "0..1" | "1..1"), "a component of a profile is 0..1 or 1..1");
            let required = cardinality == "1..1";
            profile.components.push(Component { loinc, required, units: list(units), display, bit: *bit });
            *bit = bit.checked_mul(2).expect("all profiles together have fewer than 64 components");
        }
        ["component-units", units] => profile.component_units = list(units),
        ["limit", loinc, unit, low, high, least, most] => profile.limits.push(Limit {
            loinc: (loinc != "*").then_some(loinc),
            unit,
            possible: (number(low), number(high)),
            plausible: (number(least), number(most)),
        }),
        _ => panic!("a compiled-in profile has a line that is not understood: {fields:?}"),
    }
}

fn list(text: &'static str) -> Vec<&'static str> {
    text.split(' ').collect()
}

fn number(text: &str) -> f64 {
    text.parse().expect("a limit of a compiled-in profile is a number")
}

fn place_named(name: &str) -> Place {
    match name {
        "value" => Place::Value,
        "panel" => Place::Panel,
        "component" => Place::Component,
        _ => panic!("a compiled-in profile has a code at {name}, which is no place"),
    }
}
