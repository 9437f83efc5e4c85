//! The search parameters of AuditEvent, from their texts to what the store looks for and what is asked of each record.

use uuid::Uuid;
use vitals_access::audit::{AuditRecord, Decision};
use vitals_fhir::{
    catalog::audit_event::PARAMETERS,
    outcome::{Issue, IssueCode, Severity},
    resource::is_id,
    search::{DEFAULT_COUNT, DateTest, MOST_COUNT, MOST_PARAMETERS, MOST_VALUES, Prefix},
    temporal::Range,
};
use vitals_store::audit::{AuditQuery, Direction, Mention, Position};

use super::{
    Sight,
    meaning::{self, Coding},
};

/// Parameters of what a confined caller does not see.
const WHOLE_ONLY: [&str; 2] = ["address", "entity"];

/// A search that was understood.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What the store looks for.
    pub query: AuditQuery,
    /// These records alone.
    pub ids: Option<Vec<Uuid>>,
    /// The parameters that were understood, in their order.
    pub applied: Vec<(String, String)>,
    /// A warning for each that was ignored.
    pub ignored: Vec<Issue>,
    /// The patient asked about, where that is one.
    pub patient: Option<String>,
    /// Whether an id was asked about: what it names stands in the tenant's own data, and not in another's that its callers
    /// asked for.
    pub is_of_own_data: bool,
    tests: Vec<Test>,
}

/// What is asked of a record beyond what the store looks for; one of the alternatives has to hold.
#[derive(Clone, Debug)]
enum Test {
    Date(Vec<DateTest>),
    Action(Vec<String>),
    Outcome(Vec<String>),
    Type(Vec<Token>),
    Subtype(Vec<Token>),
    Agent(Vec<Token>),
}

/// `system|code`, `|code` or `code`.
#[derive(Clone, Debug)]
struct Token {
    system: Option<String>,
    code: String,
}

impl Asked {
    /// Reads the parameters of a search; `bases` are the tenant's own base URLs.
    pub fn parse(
        pairs: &[(String, String)],
        sight: &Sight,
        strict: bool,
        bases: &[&str],
        after: Option<Position>,
    ) -> Result<Self, Issue> {
        if pairs.len() > MOST_PARAMETERS {
            let diagnostics = format!("a search may have {MOST_PARAMETERS} parameters");
            return Err(Issue::error(IssueCode::TooCostly, diagnostics));
        }
        let mut asked = Self {
            query: AuditQuery {
                from: None,
                to: None,
                mentions: Vec::new(),
                direction: Direction::NewestFirst,
                after,
                limit: DEFAULT_COUNT as usize,
            },
            ids: None,
            applied: Vec::new(),
            ignored: Vec::new(),
            patient: None,
            is_of_own_data: false,
            tests: Vec::new(),
        };
        let mut values = 0;
        for (name, value) in pairs.iter().filter(|(name, _)| !matches!(name.as_str(), "_format" | "_pretty")) {
            values += value.split(',').count();
            if values > MOST_VALUES {
                let diagnostics = format!("a search may have {MOST_VALUES} values");
                return Err(Issue::error(IssueCode::TooCostly, diagnostics));
            }
            asked.take(name, value, sight, bases)?;
        }
        match asked.ignored.first() {
            Some(warning) if strict => Err(Issue { severity: Severity::Error, ..warning.clone() }),
            _ => Ok(asked),
        }
    }

    /// Whether a record meets what the store does not look for.
    pub fn admits(&self, record: &AuditRecord) -> bool {
        let said = |any: &Vec<Mention>| any.iter().any(|mention| mention.is_in(record));
        self.query.mentions.iter().all(said) && self.tests.iter().all(|test| test.holds(record))
    }

    fn take(&mut self, name: &str, value: &str, sight: &Sight, bases: &[&str]) -> Result<(), Issue> {
        let (base, modifier) = name.split_once(':').map_or((name, None), |(base, modifier)| (base, Some(modifier)));
        let known = PARAMETERS.iter().any(|parameter| parameter.name == base)
            && (*sight == Sight::Everything || !WHOLE_ONLY.contains(&base));
        let refused = |code, what: &str| Err(Issue::error(code, what).at(shown(name)));
        match (known, modifier) {
            (false, None) if !base.contains('.') => {
                let names: Vec<&str> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
                let names = names.join(", ");
                let diagnostics = format!("AuditEvent has no search parameter of this name here; it has {names}");
                self.ignored.push(Issue::warning(IssueCode::NotSupported, diagnostics).at(shown(name)));
                return Ok(());
            }
            (true, None) if base != "agent" => {}
            (true, Some("identifier")) if base == "agent" => {}
            _ => return refused(IssueCode::NotSupported, "this modifier or chain is not supported"),
        }
        if value.is_empty() || value.split(',').any(str::is_empty) {
            return refused(IssueCode::Invalid, "the value is empty");
        }
        let texts = || value.split(',').map(str::to_owned);
        let invalid = |what: &str| Issue::error(IssueCode::Invalid, what).at(shown(name));
        match base {
            "_count" => {
                let count: u32 = value.parse().map_err(|_| invalid("the value is no number"))?;
                self.query.limit = count.min(MOST_COUNT) as usize;
                self.applied.push((name.to_owned(), self.query.limit.to_string()));
                return Ok(());
            }
            "_sort" => match value {
                "date" => self.query.direction = Direction::OldestFirst,
                "-date" => self.query.direction = Direction::NewestFirst,
                _ => {
                    let diagnostics = "AuditEvents are sorted by date or -date";
                    self.ignored.push(Issue::warning(IssueCode::NotSupported, diagnostics).at(shown(name)));
                    return Ok(());
                }
            },
            "_id" => {
                // What is no id of ours is nowhere.
                let ids = texts().filter_map(|text| text.parse().ok());
                let ids: Vec<Uuid> =
                    ids.filter(|id| self.ids.as_ref().is_none_or(|so_far| so_far.contains(id))).collect();
                self.ids = Some(ids);
            }
            "date" => self.date(value).ok_or_else(|| {
                invalid("the value is not a date with one of the prefixes eq, ne, gt, lt, ge, le, sa, eb or none")
            })?,
            "patient" => {
                self.is_of_own_data = true;
                let ids: Vec<String> = texts().map(|text| patient_id(&text, bases)).collect();
                if let [id] = ids.as_slice() {
                    self.patient = is_id(id).then(|| id.clone());
                }
                self.query.mentions.push(ids.into_iter().map(Mention::Patient).collect());
            }
            "entity" => {
                self.is_of_own_data = true;
                let resources = texts().map(|text| {
                    let local = local(&text, bases);
                    let (kind, id) = local.split_once('/').unwrap_or(("", local));
                    Mention::Resource(kind.to_owned(), id.to_owned())
                });
                self.query.mentions.push(resources.collect());
            }
            "agent" => {
                let tokens: Vec<Token> = texts().map(|text| Token::of(&text)).collect();
                let either =
                    |token: &Token| [Mention::Subject(token.code.clone()), Mention::Client(token.code.clone())];
                self.query.mentions.push(tokens.iter().flat_map(either).collect());
                self.tests.push(Test::Agent(tokens));
            }
            "altid" => {
                let subjects = texts().map(|text| Mention::Subject(Token::of(&text).code));
                self.query.mentions.push(subjects.collect());
            }
            "address" => self.query.mentions.push(texts().map(Mention::Address).collect()),
            "action" => self.tests.push(Test::Action(texts().map(|text| Token::of(&text).code).collect())),
            "outcome" => {
                let codes: Vec<String> = texts().map(|text| Token::of(&text).code).collect();
                if !codes.iter().any(|code| code == "0") {
                    let not_done = [Decision::Denied, Decision::Unknown].map(Mention::Decision);
                    self.query.mentions.push(not_done.to_vec());
                }
                self.tests.push(Test::Outcome(codes));
            }
            "type" => self.tests.push(Test::Type(texts().map(|text| Token::of(&text)).collect())),
            "subtype" => {
                let tokens: Vec<Token> = texts().map(|text| Token::of(&text)).collect();
                // A code that is one of our actions by itself has a key; `operation` and those of decisions have none.
                if tokens.iter().all(|token| !matches!(token.code.as_str(), "operation" | "AuthZ-Role")) {
                    let actions = tokens.iter().map(|token| Mention::Action(token.code.clone()));
                    self.query.mentions.push(actions.collect());
                }
                self.tests.push(Test::Subtype(tokens));
            }
            _ => return refused(IssueCode::NotSupported, "this parameter is not supported"),
        }
        self.applied.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Reads a date, and narrows the time that the store looks at.
    fn date(&mut self, value: &str) -> Option<()> {
        let tests: Vec<DateTest> = value.split(',').map(DateTest::parse).collect::<Option<_>>()?;
        if let [test] = tests.as_slice() {
            let (from, to) = match test.prefix {
                Prefix::Eq => (Some(test.range.low), Some(test.range.high.saturating_add(1))),
                Prefix::Ge => (Some(test.range.low), None),
                Prefix::Gt | Prefix::Sa => (Some(test.range.high.saturating_add(1)), None),
                Prefix::Le => (None, Some(test.range.high.saturating_add(1))),
                Prefix::Lt | Prefix::Eb => (None, Some(test.range.low)),
                Prefix::Ne => (None, None),
            };
            self.query.from = self.query.from.max(from);
            self.query.to = match (self.query.to, to) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        self.tests.push(Test::Date(tests));
        Some(())
    }
}

impl Test {
    fn holds(&self, record: &AuditRecord) -> bool {
        match self {
            Self::Date(any) => {
                let time = Range::at(record.time.timestamp_millis());
                any.iter().any(|test| test.admits(time))
            }
            Self::Action(any) => any.iter().any(|code| code == meaning::action(record)),
            Self::Outcome(any) => any.iter().any(|code| code == meaning::outcome(record)),
            Self::Type(any) => any.iter().any(|token| token.is(&meaning::kind(record))),
            Self::Subtype(any) => {
                let subtypes = meaning::subtypes(record);
                any.iter().any(|token| subtypes.iter().any(|subtype| token.is(subtype)))
            }
            Self::Agent(any) => any.iter().any(|token| {
                let is = |name: &Option<String>| name.as_ref() == Some(&token.code);
                match &token.system {
                    Some(system) if !system.is_empty() => is(&record.subject) && record.issuer.as_ref() == Some(system),
                    _ => is(&record.subject) || is(&record.client),
                }
            }),
        }
    }
}

impl Token {
    fn of(text: &str) -> Self {
        match text.split_once('|') {
            Some((system, code)) => Self { system: Some(system.to_owned()), code: code.to_owned() },
            None => Self { system: None, code: text.to_owned() },
        }
    }

    fn is(&self, coding: &Coding) -> bool {
        self.code == coding.code && self.system.as_ref().is_none_or(|system| system == coding.system)
    }
}

/// A reference without the base of this tenant.
fn local<'t>(text: &'t str, bases: &[&str]) -> &'t str {
    bases.iter().find_map(|base| text.strip_prefix(base)?.strip_prefix('/')).unwrap_or(text)
}

/// The id in a reference to a Patient; what is none of this tenant's finds nothing.
fn patient_id(text: &str, bases: &[&str]) -> String {
    let local = local(text, bases);
    local.strip_prefix("Patient/").unwrap_or(local).to_owned()
}

/// A name as it is told back.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}
