//! Examples of bodies and answers: those of requests work as pasted, those of refusals are what the server says. The
//! tests send every one of them.

use serde_json::{Map, Value, json};
use vitals_fhir::catalog::{Code, Operation};

/// A body that can be sent as it is.
struct Body {
    name: &'static str,
    summary: &'static str,
    text: &'static str,
}

const PATIENT: Body = Body { name: "patient", summary: "A patient", text: include_str!("examples/patient.json") };
const HEART_RATE: Body = Body {
    name: "heartRate",
    summary: "A heart rate of 72 beats a minute",
    text: include_str!("examples/heart-rate.json"),
};
const BLOOD_PRESSURE: Body = Body {
    name: "bloodPressure",
    summary: "A blood pressure of 128 over 82 mmHg",
    text: include_str!("examples/blood-pressure.json"),
};
const REFUSED_HEART_RATE: Body = Body {
    name: "refusedHeartRate",
    summary: "A heart rate without a time, and in a unit that is not UCUM's: 422 with two findings",
    text: include_str!("examples/refused-heart-rate.json"),
};
const QUESTION: Body = Body {
    name: "question",
    summary: "Whether a heart rate could be created, and follows R4's profile of heart rates",
    text: include_str!("examples/question.json"),
};
const TRANSACTION: Body = Body {
    name: "transaction",
    summary: "A patient, unless there is one with that number, and the weight of that patient",
    text: include_str!("examples/transaction.json"),
};
const TRANSACTION_RESPONSE: Body = Body {
    name: "transactionResponse",
    summary: "Both were created",
    text: include_str!("examples/transaction-response.json"),
};

/// Id and time that the examples of answers carry.
pub const STORED_ID: &str = "0195505c-6e00-7f3a-8b62-9d1c5e7a4f10";
const STORED_AT: &str = "2026-03-01T08:00:04.120Z";
/// Where the examples are kept.
const BASE: &str = "http://127.0.0.1:8080/t/acme/fhir";

/// A refusal: the name of its answer, a sentence, and the findings (code, diagnostics, expression).
struct Refusal {
    name: &'static str,
    summary: &'static str,
    issues: &'static [(&'static str, &'static str, Option<&'static str>)],
}

const REFUSALS: [Refusal; 14] = [
    Refusal {
        name: "BadRequest",
        summary: "`date=yesterday`",
        issues: &[(
            "invalid",
            "the value is not a date: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.fff]] with Z or an offset, \
             whose plus sign is written %2B, after eq, ne, gt, lt, ge, le, sa, eb or nothing",
            Some("date"),
        )],
    },
    Refusal {
        name: "Unauthorized",
        summary: "No token was sent",
        issues: &[("login", "This needs a token: send it as Authorization: Bearer.", None)],
    },
    Refusal {
        name: "Forbidden",
        summary: "A token for heart rates alone asks for a patient",
        issues: &[("forbidden", "No scope of this token grants 'r' on Patient.", None)],
    },
    Refusal {
        name: "NotFound",
        summary: "Absent, or another patient's",
        issues: &[("not-found", "Patient/nobody is not known here.", None)],
    },
    Refusal {
        name: "NotAcceptable",
        summary: "`Accept: text/csv`",
        issues: &[(
            "not-supported",
            "Answers are application/fhir+json or application/fhir+xml: ask for one of them in Accept or _format.",
            None,
        )],
    },
    Refusal { name: "Gone", summary: "It was deleted", issues: &[("deleted", "Patient/gone was deleted.", None)] },
    Refusal {
        name: "PreconditionFailed",
        summary: "Somebody changed it in between",
        issues: &[(
            "conflict",
            "If-Match names another version than the current one, 1: read it again and repeat the change.",
            Some("http.if-match"),
        )],
    },
    Refusal {
        name: "TooLarge",
        summary: "A photo of 6 MB in a Patient",
        issues: &[("too-long", "The body may have at most 5242880 bytes.", None)],
    },
    Refusal {
        name: "AddressTooLong",
        summary: "A list of a thousand ids",
        issues: &[("too-long", "The address is longer than 16 kB: send a search as a form to _search.", None)],
    },
    Refusal {
        name: "UnsupportedMediaType",
        summary: "`Content-Type: text/csv`",
        issues: &[(
            "not-supported",
            "The body is read as application/fhir+json or application/fhir+xml, in UTF-8.",
            Some("http.content-type"),
        )],
    },
    Refusal {
        name: "Unprocessable",
        summary: "The heart rate of the example `refusedHeartRate`",
        issues: &[
            (
                "code-invalid",
                "Heart rate: this unit is not allowed: use /min of UCUM",
                Some("Observation.valueQuantity.code"),
            ),
            ("required", "Vital sign: effective[x] is required: add it", Some("Observation.effective")),
        ],
    },
    Refusal {
        name: "TooManyRequests",
        summary: "More searches than the tenant may make in a minute",
        issues: &[(
            "throttled",
            "Too many requests: the limit ward:search:sustained is reached. Come again in 12 s.",
            None,
        )],
    },
    Refusal {
        name: "Unavailable",
        summary: "The database is away",
        issues: &[(
            "transient",
            "The server cannot do this right now. Nothing is wrong with the request: try again shortly.",
            None,
        )],
    },
    Refusal {
        name: "Malformed",
        summary: "`\"status\": 7`",
        issues: &[("structure", "must be a string, not a number", Some("Observation.status"))],
    },
];

/// Every example, by its name.
pub fn components() -> Value {
    let mut examples = Map::new();
    let mut put = |name: &str, summary: &str, value: Value| {
        examples.insert(name.to_owned(), json!({ "summary": summary, "value": value }));
    };
    for body in [PATIENT, HEART_RATE, BLOOD_PRESSURE, REFUSED_HEART_RATE, QUESTION, TRANSACTION, TRANSACTION_RESPONSE] {
        put(body.name, body.summary, value(&body));
    }
    put("storedPatient", "The patient as it is kept", stored(&PATIENT, "ada"));
    put("storedHeartRate", "The heart rate as it is kept", stored(&HEART_RATE, STORED_ID));
    put(
        "patientPage",
        "The one patient who was found",
        page("Patient", "identifier=urn:example:mrn%7C1815-1210", None),
    );
    put(
        "observationPage",
        "A page of heart rates, and where the next one is",
        page("Observation", "patient=ada&code=http://loinc.org%7C8867-4&_count=1", Some("eyJwYWdlIjoi")),
    );
    let nothing = json!([{
        "severity": "information",
        "code": "informational",
        "diagnostics": "No issues: this would be done.",
        "expression": ["Observation"],
    }]);
    let nothing = json!({ "resourceType": "OperationOutcome", "issue": nothing });
    put("nothingAgainstIt", "Nothing stands against it", nothing);
    for refusal in &REFUSALS {
        put(&lower(refusal.name), refusal.summary, outcome(refusal));
    }
    Value::Object(examples)
}

/// Names of the examples of a request's body.
pub fn of_body(operation: &Operation) -> &'static [&'static str] {
    match (operation.resource.name(), operation.code) {
        ("Observation", Code::Create) => &["heartRate", "bloodPressure", "refusedHeartRate"],
        ("Observation", Code::Update | Code::ValidateInstance) => &["storedHeartRate"],
        ("Observation", Code::Validate) => &["heartRate", "refusedHeartRate", "question"],
        ("Observation", _) => &["heartRate"],
        _ => &["patient"],
    }
}

/// Names of the examples of an answer with one resource.
pub fn of_resource(name: &str) -> &'static [&'static str] {
    if name == "Observation" { &["storedHeartRate"] } else { &["storedPatient"] }
}

/// Names of the examples of a page.
pub fn of_page(name: &str) -> &'static [&'static str] {
    if name == "Observation" { &["observationPage"] } else { &["patientPage"] }
}

/// Names of the examples of a refusal, by the name of its answer.
pub fn of_refusal(name: &str) -> Vec<String> {
    let malformed = (name == "BadRequest").then_some("Malformed");
    let known = REFUSALS.iter().map(|refusal| refusal.name).filter(|known| *known == name);
    known.chain(malformed).map(lower).collect()
}

/// References to examples, as they stand in a content object.
pub fn named<N: AsRef<str>>(names: &[N]) -> Value {
    let references = names.iter().map(|name| (name.as_ref().to_owned(), super::reference("examples", name.as_ref())));
    Value::Object(references.collect())
}

fn lower(name: &str) -> String {
    format!("{}{}", name[..1].to_ascii_lowercase(), &name[1..])
}

fn value(body: &Body) -> Value {
    serde_json::from_str(body.text).expect("an example is JSON, which the tests hold")
}

/// A resource with what the server sets.
fn stored(body: &Body, id: &str) -> Value {
    let mut members = Map::new();
    for (name, value) in value(body).as_object().into_iter().flatten().filter(|(name, _)| *name != "id") {
        members.insert(name.clone(), value.clone());
        if name == "resourceType" {
            members.insert("id".to_owned(), json!(id));
            members.insert("meta".to_owned(), json!({ "versionId": "1", "lastUpdated": STORED_AT }));
        }
    }
    Value::Object(members)
}

fn page(kind: &str, query: &str, next: Option<&str>) -> Value {
    let (body, id) = if kind == "Patient" { (&PATIENT, "ada") } else { (&HEART_RATE, STORED_ID) };
    let mut links = vec![json!({ "relation": "self", "url": format!("{BASE}/{kind}?{query}") })];
    links.extend(next.map(|token| json!({ "relation": "next", "url": format!("{BASE}/{kind}?_page={token}") })));
    let mut page = json!({ "resourceType": "Bundle", "type": "searchset" });
    if next.is_none() {
        page["total"] = json!(1);
    }
    page["link"] = json!(links);
    page["entry"] = json!([{

        "fullUrl": format!("{BASE}/{kind}/{id}"),
        "resource": stored(body, id),
        "search": { "mode": "match" },
    }]);
    page
}

fn outcome(refusal: &Refusal) -> Value {
    let issues = refusal.issues.iter().map(|(code, diagnostics, expression)| {
        let mut issue = json!({ "severity": "error", "code": code, "diagnostics": diagnostics });
        if let Some(expression) = expression {
            issue["expression"] = json!([expression]);
        }
        issue
    });
    json!({ "resourceType": "OperationOutcome", "issue": issues.collect::<Vec<_>>() })
}
