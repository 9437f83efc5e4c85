//! What a tenant took back before it ended.
//!
//! A token is named by its `jti`. Everything else ends what was issued until then: a client, a user, an approval, a
//! session, or all of the tenant. Times of issue are whole seconds, so what was issued in the same second ends too.

use std::collections::{HashMap, HashSet};

use crate::tenant::TenantRole;

/// What is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationKind {
    /// One token, by its `jti`.
    Token,
    /// What a client got, by its `client_id`.
    Client,
    /// What a user got, by its `sub`.
    User,
    /// What was issued under an approval (`approval_id`).
    Approval,
    /// What was issued in a session (`sid`).
    Session,
    /// Everything of the tenant; its subject is `*`.
    Tenant,
}

impl RevocationKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Token, Self::Client, Self::User, Self::Approval, Self::Session, Self::Tenant];

    /// The word in the registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Client => "client",
            Self::User => "user",
            Self::Approval => "approval",
            Self::Session => "session",
            Self::Tenant => "tenant",
        }
    }

    /// The kind of this word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What is asked of a credential.
#[derive(Clone, Copy, Debug, Default)]
pub struct Revocable<'a> {
    /// Its `jti`.
    pub token: Option<&'a str>,
    /// Its `client_id`.
    pub client: Option<&'a str>,
    /// Its `sub`.
    pub user: Option<&'a str>,
    /// Its `approval_id`.
    pub approval: Option<&'a str>,
    /// Its `sid`.
    pub session: Option<&'a str>,
    /// When it was issued, in seconds since 1970; what does not say so was issued before.
    pub issued: Option<i64>,
}

/// Everything that was taken back and has not ended by itself.
#[derive(Debug, Default)]
pub struct Revocations {
    tenants: HashMap<TenantRole, Ended>,
    rows: usize,
}

#[derive(Debug, Default)]
struct Ended {
    tokens: HashSet<String>,
    clients: HashMap<String, i64>,
    users: HashMap<String, i64>,
    approvals: HashMap<String, i64>,
    sessions: HashMap<String, i64>,
    all: Option<i64>,
}

impl Revocations {
    /// Takes subjects of one kind in, with the second each was taken back at; of two on one subject the later counts.
    pub fn add(
        &mut self,
        tenant: &TenantRole,
        kind: RevocationKind,
        subjects: impl IntoIterator<Item = (String, i64)>,
    ) {
        let ended = self.tenants.entry(tenant.clone()).or_default();
        for (subject, at) in subjects {
            self.rows += 1;
            let until = match kind {
                RevocationKind::Token => {
                    ended.tokens.insert(subject);
                    continue;
                }
                RevocationKind::Tenant => {
                    ended.all = ended.all.max(Some(at));
                    continue;
                }
                RevocationKind::Client => &mut ended.clients,
                RevocationKind::User => &mut ended.users,
                RevocationKind::Approval => &mut ended.approvals,
                RevocationKind::Session => &mut ended.sessions,
            };
            let last = until.entry(subject).or_insert(at);
            *last = at.max(*last);
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether nothing was taken back.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether a credential of a tenant was taken back.
    pub fn hold(&self, tenant: &TenantRole, asked: &Revocable<'_>) -> bool {
        let Some(ended) = self.tenants.get(tenant) else { return false };
        let before = |at: i64| asked.issued.is_none_or(|issued| issued <= at);
        let ends = |until: &HashMap<String, i64>, subject: Option<&str>| {
            subject.and_then(|subject| until.get(subject)).is_some_and(|at| before(*at))
        };
        asked.token.is_some_and(|jti| ended.tokens.contains(jti))
            || ended.all.is_some_and(before)
            || ends(&ended.clients, asked.client)
            || ends(&ended.users, asked.user)
            || ends(&ended.approvals, asked.approval)
            || ends(&ended.sessions, asked.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_800_000_000;

    #[test]
    fn each_kind_ends_what_it_names_and_was_issued_until_then() {
        let (mercy, grace) = (TenantRole::generate(), TenantRole::generate());
        let all = |issued| Revocable {
            token: Some("t"),
            client: Some("c"),
            user: Some("u"),
            approval: Some("a"),
            session: Some("s"),
            issued,
        };
        let cases = [
            (RevocationKind::Token, "t", true, true),
            (RevocationKind::Client, "c", true, false),
            (RevocationKind::User, "u", true, false),
            (RevocationKind::Approval, "a", true, false),
            (RevocationKind::Session, "s", true, false),
            (RevocationKind::Tenant, "*", true, false),
            (RevocationKind::Token, "c", false, false),
            (RevocationKind::Client, "t", false, false),
            (RevocationKind::User, "c", false, false),
            (RevocationKind::Approval, "u", false, false),
            (RevocationKind::Session, "a", false, false),
        ];
        for (kind, subject, before, after) in cases {
            let (row, earlier) = ((subject.to_owned(), AT), (subject.to_owned(), AT - 50));
            for rows in [vec![row.clone()], vec![row.clone(), earlier.clone()], vec![earlier, row]] {
                let count = rows.len();
                let mut revocations = Revocations::default();
                revocations.add(&mercy, kind, rows);
                assert_eq!((revocations.len(), revocations.is_empty()), (count, false));
                for (issued, held) in
                    [(None, before), (Some(AT - 9), before), (Some(AT), before), (Some(AT + 1), after)]
                {
                    assert_eq!(revocations.hold(&mercy, &all(issued)), held, "{kind:?} {subject} {issued:?}");
                    assert!(!revocations.hold(&grace, &all(issued)), "another tenant's");
                }
                assert_eq!(
                    revocations.hold(&mercy, &Revocable::default()),
                    kind == RevocationKind::Tenant,
                    "who says nothing of itself"
                );
            }
        }
    }

    #[test]
    fn kinds_are_known_by_their_words() {
        for kind in RevocationKind::ALL {
            assert_eq!(RevocationKind::named(kind.name()), Some(kind));
        }
        assert_eq!(RevocationKind::named("Token"), None);
        assert!(Revocations::default().is_empty());
        assert_eq!(Revocations::default().len(), 0);
    }
}
