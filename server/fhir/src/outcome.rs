//! Issues and the OperationOutcome they make (<https://hl7.org/fhir/R4/operationoutcome.html>).

/// How bad an issue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The request failed.
    Error,
    /// The request went on; somebody should look.
    Warning,
    /// For people to read.
    Information,
}

impl Severity {
    /// The FHIR code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// Issue types this server uses (<https://hl7.org/fhir/R4/valueset-issue-type.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueCode {
    /// Malformed syntax, unknown element, wrong type.
    Structure,
    /// Content that cannot be understood.
    Invalid,
    /// A value that is not of its type or not allowed.
    Value,
    /// A required element is missing.
    Required,
    /// An invariant does not hold.
    Invariant,
    /// A code that its binding does not allow.
    CodeInvalid,
    /// A rule of a profile or of this server.
    BusinessRule,
    /// No credentials.
    Login,
    /// Credentials that expired.
    Expired,
    /// Not allowed.
    Forbidden,
    /// Absent, or out of reach.
    NotFound,
    /// Deleted.
    Deleted,
    /// Another version is current.
    Conflict,
    /// Criteria matched several resources.
    MultipleMatches,
    /// Not offered here.
    NotSupported,
    /// Too long.
    TooLong,
    /// Too costly.
    TooCostly,
    /// Over a limit.
    Throttled,
    /// A dependency is away; try again.
    Transient,
    /// An internal error.
    Exception,
    /// For information.
    Informational,
}

impl IssueCode {
    /// The FHIR code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Invalid => "invalid",
            Self::Value => "value",
            Self::Required => "required",
            Self::Invariant => "invariant",
            Self::CodeInvalid => "code-invalid",
            Self::BusinessRule => "business-rule",
            Self::Login => "login",
            Self::Expired => "expired",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::Deleted => "deleted",
            Self::Conflict => "conflict",
            Self::MultipleMatches => "multiple-matches",
            Self::NotSupported => "not-supported",
            Self::TooLong => "too-long",
            Self::TooCostly => "too-costly",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Exception => "exception",
            Self::Informational => "informational",
        }
    }
}

/// One finding: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// What kind it is.
    pub code: IssueCode,
    /// A sentence for people. Never holds a value of a patient, SQL or a token.
    pub diagnostics: String,
    /// A FHIRPath to the element (`Observation.code.coding[0].system`), or `http.<header>` / a parameter's name.
    pub expression: Option<String>,
}

impl Issue {
    /// An error without a place.
    pub fn error(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, diagnostics: diagnostics.into(), expression: None }
    }

    /// A warning without a place.
    pub fn warning(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, diagnostics) }
    }

    /// The same issue at a place.
    #[must_use]
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }
}

/// Renders an OperationOutcome as JSON.
pub fn to_json(issues: &[Issue]) -> String {
    let mut out = String::with_capacity(96 + issues.len() * 160);
    out.push_str(r#"{"resourceType":"OperationOutcome","issue":"#);
    push_issues(&mut out, issues);
    out.push('}');
    out
}

/// Appends issues as the JSON of `OperationOutcome.issue`.
pub fn push_issues(out: &mut String, issues: &[Issue]) {
    out.push('[');
    for (place, issue) in issues.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        out.push_str(r#"{"severity":""#);
        out.push_str(issue.severity.code());
        out.push_str(r#"","code":""#);
        out.push_str(issue.code.code());
        out.push_str(r#"","diagnostics":"#);
        push_string(out, &issue.diagnostics);
        if let Some(expression) = &issue.expression {
            out.push_str(r#","expression":["#);
            push_string(out, expression);
            out.push(']');
        }
        out.push('}');
    }
    out.push(']');
}

/// Appends `text` as a JSON string, quotes included.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() && control < '\u{20}' => {
                const HEX: [char; 16] =
                    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
                let code = control as usize;
                out.push_str("\\u00");
                out.push(HEX[code >> 4]);
                out.push(HEX[code & 15]);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
