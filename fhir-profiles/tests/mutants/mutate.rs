//! The mutations: each breaks one rule of a resource and says what must be found where, or does not apply to it.

use serde_json::{Value, json};

/// A value that must not come back in a finding.
pub const CANARY: &str = "CANARY";

/// Breaks one rule. The code of the finding and its expression; none where the resource has nothing to break.
pub type Mutation = fn(&mut Value) -> Option<(&'static str, String)>;

type Wanted = Option<(&'static str, String)>;

const UCUM: &str = "http://unitsofmeasure.org";
/// The codes that make a profile with a required category apply.
const PROFILED: [&str; 11] =
    ["85353-1", "9279-1", "8867-4", "2708-6", "59408-5", "8310-5", "8302-2", "9843-4", "29463-7", "39156-5", "85354-9"];

#[allow(clippy::unnecessary_wraps, reason = "each mutation ends with it")]
fn wanted(code: &'static str, expression: impl Into<String>) -> Wanted {
    Some((code, expression.into()))
}

fn take(object: &mut Value, name: &str) -> Option<Value> {
    object.as_object_mut()?.shift_remove(name)
}

fn loinc(concept: &Value) -> impl Iterator<Item = &str> {
    let codings = concept["coding"].as_array().into_iter().flatten();
    codings.filter(|coding| coding["system"] == "http://loinc.org").filter_map(|coding| coding["code"].as_str())
}

fn has_profile(observation: &Value) -> bool {
    loinc(&observation["code"]).any(|code| PROFILED.contains(&code))
}

/// Whether its value is a measured one that a profile of its own describes.
fn is_measured(observation: &Value) -> bool {
    observation.get("valueQuantity").is_some()
        && (has_profile(observation) || loinc(&observation["code"]).any(|code| code == "8478-0"))
}

/// The components that hold a measured pressure.
fn pressure(observation: &mut Value) -> Option<(usize, &mut Value)> {
    let parts = observation.get_mut("component")?.as_array_mut()?;
    parts.iter_mut().enumerate().find(|(_, part)| {
        part.get("valueQuantity").is_some() && loinc(&part["code"]).any(|code| matches!(code, "8480-6" | "8462-4"))
    })
}

/// Puts one item at the end of a list, made where there is none; its place.
fn push(object: &mut Value, name: &str, item: Value) -> usize {
    let list = object.as_object_mut().unwrap().entry(name).or_insert_with(|| json!([])).as_array_mut().unwrap();
    list.push(item);
    list.len() - 1
}

fn set(object: &mut Value, name: &str, value: Value) {
    object[name] = value;
}

fn div(observation: &mut Value, inside: &str) -> Wanted {
    let div = format!(r#"<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>"#);
    set(observation, "text", json!({"status": "generated", "div": div}));
    wanted("invariant", "Observation.text.div")
}

#[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
fn extension(observation: &mut Value, name: &str, value: Value, code: &'static str, below: &str) -> Wanted {
    let at = push(observation, "extension", json!({"url": "http://example.org/x", name: value}));
    wanted(code, format!("Observation.extension[{at}].{name}{below}"))
}

fn range(observation: &mut Value, range: Value, below: &str) -> Wanted {
    let at = push(observation, "referenceRange", range);
    wanted("invariant", format!("Observation.referenceRange[{at}]{below}"))
}

#[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
fn contain(observation: &mut Value, meta: Value, is_used: bool, below: &str) -> Wanted {
    let device = json!({"resourceType": "Device", "id": "mutant", "meta": meta});
    let at = push(observation, "contained", device);
    if is_used {
        set(observation, "device", json!({"reference": "#mutant"}));
    }
    wanted("invariant", format!("Observation.contained[{at}]{below}"))
}

/// Takes a member of a measured value away.
fn unmeasured(observation: &mut Value, name: &str) -> Wanted {
    if !is_measured(observation) {
        return None;
    }
    take(&mut observation["valueQuantity"], name)?;
    wanted("required", format!("Observation.valueQuantity.{name}"))
}

fn part_unmeasured(observation: &mut Value, name: &str) -> Wanted {
    let (at, part) = pressure(observation)?;
    take(&mut part["valueQuantity"], name)?;
    wanted("required", format!("Observation.component[{at}].valueQuantity.{name}"))
}

fn measured(observation: &mut Value, name: &str, value: Value, code: &'static str) -> Wanted {
    if !is_measured(observation) {
        return None;
    }
    observation["valueQuantity"][name] = value;
    wanted(code, format!("Observation.valueQuantity.{name}"))
}

fn part_measured(observation: &mut Value, name: &str, value: Value, code: &'static str) -> Wanted {
    let (at, part) = pressure(observation)?;
    part["valueQuantity"][name] = value;
    wanted(code, format!("Observation.component[{at}].valueQuantity.{name}"))
}

fn effective(observation: &mut Value, name: &str, value: Value, code: &'static str) -> Wanted {
    for old in ["effectiveDateTime", "effectivePeriod"] {
        take(observation, old);
    }
    set(observation, name, value);
    wanted(code, format!("Observation.{name}"))
}

/// Another type in the place of the measured value.
fn value(observation: &mut Value, name: &str, value: Value) -> Wanted {
    if !is_measured(observation) {
        return None;
    }
    take(observation, "valueQuantity")?;
    set(observation, name, value);
    wanted("business-rule", format!("Observation.{name}"))
}

pub const MUTATIONS: &[(&str, Mutation)] = &[
    ("binding: status", |o| {
        set(o, "status", json!("CANARY"));
        wanted("code-invalid", "Observation.status")
    }),
    ("cardinality: status", |o| take(o, "status").and(wanted("required", "Observation.status"))),
    ("cardinality: code", |o| {
        take(o, "code")?;
        wanted("required", "Observation.code")
    }),
    ("binding: language", |o| {
        set(o, "language", json!("CANARY!"));
        wanted("code-invalid", "Observation.language")
    }),
    ("binding: identifier.use", |o| {
        let at = push(o, "identifier", json!({"use": "CANARY", "value": "1"}));
        wanted("code-invalid", format!("Observation.identifier[{at}].use"))
    }),
    ("binding: text.status", |o| {
        div(o, "a")?;
        o["text"]["status"] = json!("CANARY");
        wanted("code-invalid", "Observation.text.status")
    }),
    ("binding: comparator", |o| measured(o, "comparator", json!("CANARY"), "code-invalid")),
    ("txt-1: script", |o| div(o, "a<script>CANARY</script>")),
    ("txt-1: handler", |o| div(o, "<p onclick=\"CANARY\">a</p>")),
    ("txt-1: address", |o| div(o, "<a href=\"javascript:CANARY\">a</a>")),
    ("txt-1: svg", |o| div(o, "<svg>CANARY</svg>")),
    ("txt-1: style", |o| div(o, "<p style=\"width:expression(CANARY)\">a</p>")),
    ("txt-1: iframe", |o| div(o, "<iframe src=\"http://CANARY\"/>")),
    ("txt-1: form", |o| div(o, "<form>CANARY</form>")),
    ("txt-1: not XML", |o| div(o, "<p>CANARY")),
    ("txt-2: blank", |o| div(o, " <br/> ")),
    ("ele-1: an id alone", |o| {
        set(o, "method", json!({"id": "CANARY"}));
        wanted("invariant", "Observation.method")
    }),
    ("ele-1: an id beside nothing", |o| {
        take(o, "issued");
        set(o, "_issued", json!({"id": "CANARY"}));
        wanted("invariant", "Observation.issued")
    }),
    ("ext-1", |o| {
        let at = push(o, "extension", json!({"url": "http://example.org/x"}));
        wanted("invariant", format!("Observation.extension[{at}]"))
    }),
    ("dom-3", |o| contain(o, json!({"source": "http://example.org"}), false, "")),
    ("dom-4: versionId", |o| contain(o, json!({"versionId": "1"}), true, ".meta.versionId")),
    ("dom-4: lastUpdated", |o| contain(o, json!({"lastUpdated": "2020-01-01T00:00:00Z"}), true, ".meta.lastUpdated")),
    ("dom-5", |o| contain(o, json!({"security": [{"code": "CANARY"}]}), true, ".meta.security")),
    ("ref-1", |o| {
        set(o, "device", json!({"reference": "#CANARY"}));
        wanted("invariant", "Observation.device.reference")
    }),
    ("per-1", |o| effective(o, "effectivePeriod", json!({"start": "2020-01-02", "end": "2020-01-01"}), "invariant")),
    ("per-1: identifier", |o| {
        let at = push(o, "identifier", json!({"value": "1", "period": {"start": "2020", "end": "2019"}}));
        wanted("invariant", format!("Observation.identifier[{at}].period"))
    }),
    ("obs-3", |o| range(o, json!({"type": {"text": "CANARY"}}), "")),
    ("sqty-1", |o| range(o, json!({"low": {"value": 1, "comparator": "<"}}), ".low.comparator")),
    ("rng-2", |o| range(o, json!({"text": "t", "age": {"low": {"value": 9}, "high": {"value": 1}}}), ".age")),
    ("qty-3", |o| range(o, json!({"high": {"value": 1, "code": "CANARY"}}), ".high.system")),
    ("att-1", |o| extension(o, "valueAttachment", json!({"data": "AAAA"}), "invariant", ".contentType")),
    ("cpt-2", |o| extension(o, "valueContactPoint", json!({"value": "CANARY"}), "invariant", ".system")),
    ("rat-1", |o| extension(o, "valueRatio", json!({"numerator": {"value": 1}}), "invariant", ".denominator")),
    ("tim-1", |o| extension(o, "valueTiming", json!({"repeat": {"duration": 1}}), "invariant", ".repeat.durationUnit")),
    ("tim-4", |o| {
        let repeat = json!({"repeat": {"duration": -1, "durationUnit": "h"}});
        extension(o, "valueTiming", repeat, "invariant", ".repeat.duration")
    }),
    ("binding: units of time", |o| {
        let repeat = json!({"repeat": {"period": 1, "periodUnit": "CANARY"}});
        extension(o, "valueTiming", repeat, "code-invalid", ".repeat.periodUnit")
    }),
    ("obs-6", |o| {
        o.get("valueQuantity")?;
        set(o, "dataAbsentReason", json!({"text": "CANARY"}));
        wanted("invariant", "Observation.dataAbsentReason")
    }),
    ("obs-7", |o| {
        let quantity = o.get("valueQuantity")?.clone();
        let code = o["code"].clone();
        let at = push(o, "component", json!({"code": code, "valueQuantity": quantity}));
        wanted("invariant", format!("Observation.component[{at}].code"))
    }),
    ("vs-1: year", |o| effective(o, "effectiveDateTime", json!("2020"), "invariant")),
    ("vs-1: month", |o| effective(o, "effectiveDateTime", json!("2020-05"), "invariant")),
    ("vs-2", |o| {
        take(o, "valueQuantity")?;
        let has_parts = o.get("component").is_some() || o.get("hasMember").is_some();
        if has_parts { None } else { wanted("invariant", "Observation.value") }
    }),
    ("vs-3", |o| {
        let (at, part) = pressure(o)?;
        take(part, "valueQuantity")?;
        wanted("invariant", format!("Observation.component[{at}].value"))
    }),
    ("vs-3: another component", |o| {
        let at = push(o, "component", json!({"code": {"text": "CANARY"}}));
        wanted("invariant", format!("Observation.component[{at}].value"))
    }),
    ("component without code", |o| {
        let at = push(o, "component", json!({"valueString": "CANARY"}));
        wanted("required", format!("Observation.component[{at}].code"))
    }),
    ("profile: no category", |o| {
        take(o, "category")?;
        if has_profile(o) { wanted("required", "Observation.category") } else { None }
    }),
    ("profile: another category", |o| {
        set(o, "category", json!([{"text": "CANARY"}]));
        if has_profile(o) { wanted("required", "Observation.category") } else { None }
    }),
    ("profile: category of another system", |o| {
        set(o, "category", json!([{"coding": [{"system": "http://CANARY", "code": "vital-signs"}]}]));
        if has_profile(o) { wanted("required", "Observation.category") } else { None }
    }),
    ("profile: category twice", |o| {
        let first = o["category"][0].clone();
        let at = push(o, "category", first);
        wanted("business-rule", format!("Observation.category[{at}]"))
    }),
    ("profile: no subject", |o| take(o, "subject").and(wanted("required", "Observation.subject"))),
    ("profile: no effective", |o| {
        effective(o, "note", json!([{"text": "CANARY"}]), "")?;
        wanted("required", "Observation.effective")
    }),
    ("profile: effectiveInstant", |o| effective(o, "effectiveInstant", json!("2020-01-01T00:00:00Z"), "business-rule")),
    ("profile: effectiveTiming", |o| effective(o, "effectiveTiming", json!({"event": ["2020"]}), "business-rule")),
    ("profile: code twice", |o| {
        if !has_profile(o) {
            return None;
        }
        let codings = o["code"]["coding"].as_array()?;
        let own = codings.iter().find(|coding| PROFILED.iter().any(|code| coding["code"] == *code))?.clone();
        let at = push(&mut o["code"], "coding", own);
        wanted("business-rule", format!("Observation.code.coding[{at}]"))
    }),
    ("profile: value", |o| unmeasured(o, "value")),
    ("profile: unit", |o| unmeasured(o, "unit")),
    ("profile: code", |o| unmeasured(o, "code")),
    ("profile: no system", |o| {
        unmeasured(o, "system")?;
        wanted("invariant", "Observation.valueQuantity.system")
    }),
    ("profile: another unit", |o| measured(o, "code", json!("mph"), "code-invalid")),
    ("profile: unit in capitals", |o| measured(o, "code", json!("KG/M2"), "code-invalid")),
    ("profile: no UCUM", |o| measured(o, "system", json!("http://CANARY"), "code-invalid")),
    ("profile: valueString", |o| value(o, "valueString", json!("CANARY"))),
    ("profile: valueInteger", |o| value(o, "valueInteger", json!(70))),
    ("profile: valueRange", |o| value(o, "valueRange", json!({"low": {"value": 1}}))),
    ("limit: negative", |o| measured(o, "value", json!(-5), "business-rule")),
    ("limit: huge", |o| measured(o, "value", json!(1e9), "business-rule")),
    ("panel: a value", |o| {
        if !loinc(&o["code"]).any(|code| matches!(code, "85354-9" | "85353-1")) {
            return None;
        }
        set(o, "valueQuantity", json!({"value": 1, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}));
        wanted("business-rule", "Observation.valueQuantity")
    }),
    ("panel: no members", |o| {
        if !loinc(&o["code"]).any(|code| code == "85353-1") {
            return None;
        }
        take(o, "hasMember")?;
        set(o, "dataAbsentReason", json!({"text": "CANARY"}));
        wanted("required", "Observation.hasMember")
    }),
    ("pressure: a component missing", |o| {
        let (at, _) = pressure(o)?;
        o["component"].as_array_mut()?.remove(at);
        wanted("required", "Observation.component")
    }),
    ("pressure: a component of another code", |o| {
        let (_, part) = pressure(o)?;
        part["code"] = json!({"text": "CANARY"});
        wanted("required", "Observation.component")
    }),
    ("pressure: a component twice", |o| {
        let (_, part) = pressure(o)?;
        let again = part.clone();
        let at = push(o, "component", again);
        wanted("business-rule", format!("Observation.component[{at}]"))
    }),
    ("pressure: value", |o| part_unmeasured(o, "value")),
    ("pressure: unit", |o| part_unmeasured(o, "unit")),
    ("pressure: code", |o| part_unmeasured(o, "code")),
    ("pressure: no system", |o| {
        let (_, expression) = part_unmeasured(o, "system")?;
        wanted("invariant", expression)
    }),
    ("pressure: another unit", |o| part_measured(o, "code", json!("kg"), "code-invalid")),
    ("pressure: no UCUM", |o| part_measured(o, "system", json!("http://CANARY"), "code-invalid")),
    ("pressure: negative", |o| part_measured(o, "value", json!(-5), "business-rule")),
    ("pressure: huge", |o| part_measured(o, "value", json!(1e9), "business-rule")),
    ("pressure: a string", |o| {
        let (at, part) = pressure(o)?;
        take(part, "valueQuantity")?;
        set(part, "valueString", json!("CANARY"));
        wanted("business-rule", format!("Observation.component[{at}].valueString"))
    }),
    ("component: a unit of none of the vitals", |o| {
        let quantity = json!({"value": 1, "unit": "u", "system": UCUM, "code": "CANARY"});
        let at = push(o, "component", json!({"code": {"text": "c"}, "valueQuantity": quantity}));
        wanted("code-invalid", format!("Observation.component[{at}].valueQuantity.code"))
    }),
];

fn coded(patient: &mut Value, name: &str, item: Value, below: &str) -> Wanted {
    let at = push(patient, name, item);
    wanted("code-invalid", format!("Patient.{name}[{at}]{below}"))
}

pub const PATIENT_MUTATIONS: &[(&str, Mutation)] = &[
    ("binding: gender", |p| {
        set(p, "gender", json!("CANARY"));
        wanted("code-invalid", "Patient.gender")
    }),
    ("binding: name.use", |p| coded(p, "name", json!({"use": "CANARY", "family": "f"}), ".use")),
    ("binding: identifier.use", |p| coded(p, "identifier", json!({"use": "CANARY", "value": "1"}), ".use")),
    ("binding: telecom.system", |p| coded(p, "telecom", json!({"system": "CANARY", "value": "1"}), ".system")),
    ("binding: telecom.use", |p| coded(p, "telecom", json!({"system": "phone", "use": "CANARY"}), ".use")),
    ("binding: address.use", |p| coded(p, "address", json!({"use": "CANARY", "text": "t"}), ".use")),
    ("binding: address.type", |p| coded(p, "address", json!({"type": "CANARY", "text": "t"}), ".type")),
    ("binding: link.type", |p| coded(p, "link", json!({"other": {"display": "o"}, "type": "CANARY"}), ".type")),
    ("binding: photo.contentType", |p| coded(p, "photo", json!({"contentType": "CANARY"}), ".contentType")),
    ("binding: contact.gender", |p| {
        coded(p, "contact", json!({"gender": "CANARY", "name": {"family": "f"}}), ".gender")
    }),
    ("cardinality: link.type", |p| {
        let at = push(p, "link", json!({"other": {"display": "CANARY"}}));
        wanted("required", format!("Patient.link[{at}].type"))
    }),
    ("pat-1", |p| {
        let at = push(p, "contact", json!({"relationship": [{"text": "CANARY"}]}));
        wanted("invariant", format!("Patient.contact[{at}]"))
    }),
    ("cpt-2", |p| {
        let at = push(p, "telecom", json!({"value": "CANARY"}));
        wanted("invariant", format!("Patient.telecom[{at}].system"))
    }),
    ("att-1", |p| {
        let at = push(p, "photo", json!({"data": "AAAA"}));
        wanted("invariant", format!("Patient.photo[{at}].contentType"))
    }),
    ("per-1", |p| {
        let at = push(p, "name", json!({"family": "CANARY", "period": {"start": "2020-05", "end": "2020-04"}}));
        wanted("invariant", format!("Patient.name[{at}].period"))
    }),
    ("ref-1", |p| {
        set(p, "managingOrganization", json!({"reference": "#CANARY"}));
        wanted("invariant", "Patient.managingOrganization.reference")
    }),
    ("txt-1", |p| {
        set(p, "text", json!({"status": "generated", "div": "<div><object>CANARY</object></div>"}));
        wanted("invariant", "Patient.text.div")
    }),
    ("txt-2", |p| {
        set(p, "text", json!({"status": "empty", "div": "<div> </div>"}));
        wanted("invariant", "Patient.text.div")
    }),
];
