//! The launch context: what an app is launched about
//! (<https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html>).

use serde::{Deserialize, Serialize};
use vitals_fhir::resource::is_id;
use vitals_store::authorization::Account;

/// What an app is launched about, and when the user signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaunchContext {
    /// The patient's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// The encounter's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encounter: Option<String>,
    /// What the app is to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Whether the app has to show who the patient is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub need_patient_banner: Option<bool>,
    /// Where the EHR's colours are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smart_style_url: Option<String>,
    /// Other resources in context, as a JSON array.
    #[serde(rename = "fhirContext", skip_serializing_if = "Option::is_none")]
    pub fhir_context: Option<serde_json::Value>,
    /// When the user signed in, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
}

impl LaunchContext {
    /// Reads what was stored; what cannot be read is nothing.
    pub fn stored(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As it is stored.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Which patients somebody may launch an app about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patients {
    /// Every one that their own scopes reach.
    Any,
    /// These alone.
    These(Vec<String>),
}

impl Patients {
    /// Those of an account: of a patient themself and whom they act for, of others whom they act for, and of staff all.
    pub fn of(account: &Account) -> Self {
        let (kind, id) = account.fhir_user.as_deref().and_then(|user| user.split_once('/')).unwrap_or_default();
        let mut ids = Vec::new();
        if kind == "Patient" && is_id(id) {
            ids.push(id.to_owned());
        }
        ids.extend(account.patients.iter().filter(|patient| *patient != id || kind != "Patient").cloned());
        if ids.is_empty() && !matches!(kind, "Patient" | "RelatedPerson") { Self::Any } else { Self::These(ids) }
    }

    /// The patient that a token has to name if this one was chosen, or none. Who may not launch about any patient is
    /// always confined to one: without the claim `vitals:read` would reach the whole tenant.
    pub fn settle(&self, chosen: Option<&str>) -> Result<Option<String>, NotTheirs> {
        match (self, chosen) {
            (Self::Any, None) => Ok(None),
            (Self::Any, Some(id)) if is_id(id) => Ok(Some(id.to_owned())),
            (Self::These(ids), Some(id)) if ids.iter().any(|one| one == id) => Ok(Some(id.to_owned())),
            (Self::These(ids), None) if ids.len() == 1 => Ok(ids.first().cloned()),
            _ => Err(NotTheirs),
        }
    }
}

/// A patient whom the user may not choose, or none where one has to be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the user cannot launch an app about this patient")]
pub struct NotTheirs;

#[cfg(test)]
mod tests {
    use super::*;

    fn account(fhir_user: Option<&str>, patients: &[&str]) -> Account {
        Account {
            id: "a".to_owned(),
            username: "a".to_owned(),
            name: "A".to_owned(),
            password: None,
            issuer: None,
            subject: None,
            fhir_user: fhir_user.map(str::to_owned),
            patients: patients.iter().map(|id| (*id).to_owned()).collect(),
            scopes: Vec::new(),
            failures: 0,
            locked_until: None,
            created: chrono::DateTime::UNIX_EPOCH,
            revoked: None,
        }
    }

    #[test]
    fn who_is_no_staff_is_always_confined_to_a_patient_of_theirs() {
        let settled = |user, patients: &[&str], chosen| Patients::of(&account(user, patients)).settle(chosen);
        let some = |id: &str| Ok(Some(id.to_owned()));
        assert_eq!(settled(Some("Practitioner/d"), &[], None), Ok(None));
        assert_eq!(settled(Some("Practitioner/d"), &[], Some("p1")), some("p1"));
        assert_eq!(settled(Some("Practitioner/d"), &[], Some("p/1")), Err(NotTheirs));
        assert_eq!(settled(None, &[], Some("p1")), some("p1"));
        assert_eq!(settled(Some("Patient/p1"), &[], None), some("p1"));
        assert_eq!(settled(Some("Patient/p1"), &[], Some("p2")), Err(NotTheirs));
        assert_eq!(settled(Some("Patient/p1"), &["p1", "c"], None), Err(NotTheirs));
        assert_eq!(settled(Some("Patient/p1"), &["p1", "c"], Some("c")), some("c"));
        assert_eq!(settled(Some("RelatedPerson/m"), &[], None), Err(NotTheirs));
        assert_eq!(settled(Some("RelatedPerson/m"), &["c"], None), some("c"));
        assert_eq!(settled(Some("RelatedPerson/m"), &["c"], Some("p1")), Err(NotTheirs));
        assert_eq!(settled(Some("Practitioner/d"), &["c"], Some("p1")), Err(NotTheirs));
        assert_eq!(settled(Some("Patient/"), &[], None), Err(NotTheirs));
    }

    #[test]
    fn what_is_stored_comes_back() {
        let context = LaunchContext {
            patient: Some("p1".to_owned()),
            need_patient_banner: Some(true),
            auth_time: Some(1_795_000_000),
            fhir_context: Some(serde_json::json!([{ "reference": "ImagingStudy/1" }])),
            ..LaunchContext::default()
        };
        assert_eq!(LaunchContext::stored(&context.text()), Some(context));
        assert_eq!(LaunchContext::stored("{}"), Some(LaunchContext::default()));
    }
}
