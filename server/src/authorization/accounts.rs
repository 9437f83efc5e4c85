//! Accounts: people of a tenant, how they prove who they are, and how long they wait after failing to.

use std::{net::IpAddr, time::Duration};

use chrono::TimeDelta;
use uuid::Uuid;
use vitals_access::tenant::Tenant;
use vitals_fhir::resource::is_id;
use vitals_store::{
    StoreError,
    authorization::{Account, AuthorizationTx},
    control::revocations::RevocationKind,
};

use super::{
    Desk,
    passwords::{self, PasswordRefused},
};

/// Wrong passwords in a row that lock an account.
const FAILURES: i32 = 5;
/// The first lock; each further failure doubles it.
const FIRST_LOCK: TimeDelta = TimeDelta::minutes(1);
/// The longest. An account that somebody else can lock for good would be a weapon.
const LONGEST_LOCK: TimeDelta = TimeDelta::hours(1);
/// A failure is told no sooner than this, so that its time does not tell whether there is such an account: for one that
/// there is a failure is written down, which takes a few milliseconds.
const SOONEST: Duration = Duration::from_millis(200);
/// Longest user name and name for people.
const LONGEST_NAME: usize = 128;
/// More patients than one person cares for.
const MOST_PATIENTS: usize = 100;

/// Somebody who is to have an account.
#[derive(Clone, Default)]
pub struct NewAccount {
    /// The name they sign in by.
    pub username: String,
    /// Their name for people.
    pub name: String,
    /// Their password; one is made where none is given and no provider either.
    pub password: Option<String>,
    /// The outside OpenID provider they sign in at, and their `sub` there.
    pub provider: Option<(String, String)>,
    /// The resource they are: `Practitioner/1`.
    pub fhir_user: Option<String>,
    /// The patients a RelatedPerson, or whoever stands for others, may choose from.
    pub patients: Vec<String>,
    /// What they may grant at most; none: what is usual for who they are.
    pub scopes: Vec<String>,
}

/// An account that was made.
pub struct Created {
    /// The account.
    pub account: Account,
    /// Its password, where it was made here: shown once.
    pub password: Option<String>,
}

/// Why an account is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The user name is empty, too long, or not printable.
    #[error("a user name is 1 to {LONGEST_NAME} printable characters without spaces")]
    Username,
    /// The name is empty or too long.
    #[error("a name is 1 to {LONGEST_NAME} printable characters")]
    Name,
    /// The password is too short or too long.
    #[error(transparent)]
    Password(#[from] PasswordRefused),
    /// Not a reference to a resource a user can be.
    #[error("a user is a Patient, Practitioner, PractitionerRole, RelatedPerson or Person: write Practitioner/1")]
    FhirUser,
    /// Not ids of patients, or too many.
    #[error("patients are given by their ids, at most {MOST_PATIENTS}")]
    Patients,
    /// A scope that means nothing here.
    #[error("not a scope: {0}")]
    Scope(String),
    /// The user name, or the subject at the provider, has an account.
    #[error("this user name, or this subject at the provider, is taken")]
    Taken,
    /// There is no such account.
    #[error("there is no such account")]
    Unknown,
    /// The database failed.
    #[error("cannot read or write accounts")]
    Store(#[from] StoreError),
    /// A rule that could not be carried out.
    #[error(transparent)]
    Desk(#[from] super::DeskError),
}

/// How an attempt to sign in ended.
pub enum Attempt {
    /// It is them.
    Success(Box<Account>),
    /// No such account, wrong password, locked: nobody is told which. The id of the account, where there is one, for
    /// the trail alone.
    Failure(Option<String>),
    /// This address failed too often: none was tried. How long to wait.
    Wait(TimeDelta),
}

/// A user name as it is kept: without spaces around it, in lower case.
pub fn folded(username: &str) -> String {
    username.trim().to_lowercase()
}

/// Makes an account.
pub async fn create(desk: &Desk, tenant: &std::sync::Arc<Tenant>, new: NewAccount) -> Result<Created, AccountError> {
    let username = folded(&new.username);
    let printable =
        |text: &str| !text.chars().any(char::is_control) && (1..=LONGEST_NAME).contains(&text.chars().count());
    if !printable(&username) || username.contains(char::is_whitespace) {
        return Err(AccountError::Username);
    }
    let name = new.name.trim().to_owned();
    if !printable(&name) {
        return Err(AccountError::Name);
    }
    if new.fhir_user.as_deref().is_some_and(|user| fhir_user(user).is_none()) {
        return Err(AccountError::FhirUser);
    }
    if new.patients.len() > MOST_PATIENTS || !new.patients.iter().all(|id| is_id(id)) {
        return Err(AccountError::Patients);
    }
    if let Some(unknown) = new.scopes.iter().find(|scope| !vitals_access::scope::is_known(scope)) {
        return Err(AccountError::Scope(unknown.clone()));
    }
    let made = (new.password.is_none() && new.provider.is_none()).then(passwords::generate);
    let password = match new.password.as_ref().or(made.as_ref()) {
        None => None,
        Some(password) => {
            passwords::check(password)?;
            Some(desk.people.passwords.hash(password).await)
        }
    };
    let scopes = if new.scopes.is_empty() { usual_scopes(new.fhir_user.as_deref()) } else { new.scopes };
    let (issuer, subject) = new.provider.unzip();
    let account = Account {
        id: Uuid::new_v4().to_string(),
        username,
        name,
        password,
        issuer,
        subject,
        fhir_user: new.fhir_user,
        patients: new.patients,
        scopes,
        failures: 0,
        locked_until: None,
        created: desk.clock.now(),
        revoked: None,
    };
    let mut tx = desk.pool.authorization(tenant).await?;
    if !tx.insert_account(&account).await? {
        tx.rollback().await?;
        return Err(AccountError::Taken);
    }
    tx.commit().await?;
    Ok(Created { account, password: made })
}

/// The type and id of a user's resource.
pub fn fhir_user(text: &str) -> Option<(&str, &str)> {
    const TYPES: [&str; 5] = ["Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"];
    let (kind, id) = text.split_once('/')?;
    (TYPES.contains(&kind) && is_id(id)).then_some((kind, id))
}

/// What people of a kind may grant unless somebody says otherwise: patients see their own records, practitioners see
/// and write those of their patients.
fn usual_scopes(user: Option<&str>) -> Vec<String> {
    let scopes: &[&str] = match user.and_then(fhir_user) {
        Some(("Patient" | "RelatedPerson", _)) => &["patient/*.rs", "user/*.rs", "vitals:read", "users:read"],
        Some(("Practitioner" | "PractitionerRole", _)) => {
            &["patient/*.cruds", "user/*.cruds", "vitals:read", "vitals:write", "users:read"]
        }
        _ => &[],
    };
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}

/// Whether these are somebody's name and password. Takes as long whether there is such an account or not.
pub async fn attempt(
    desk: &Desk,
    tenant: &std::sync::Arc<Tenant>,
    username: &str,
    password: &str,
    address: Option<IpAddr>,
) -> Result<Attempt, StoreError> {
    let now = desk.clock.now();
    let soonest = tokio::time::Instant::now() + SOONEST;
    if let Some(wait) = desk.people.attempts.wait(tenant, address, now) {
        return Ok(Attempt::Wait(wait));
    }
    let mut tx = desk.pool.authorization(tenant).await?;
    let found = tx.account_by_username(&folded(username)).await?;
    let id = found.as_ref().map(|account| account.id.clone());
    let tried =
        found.filter(|account| account.revoked.is_none() && account.locked_until.is_none_or(|until| until <= now));
    // Counted before it is compared: of many that are tried at once, only the first few are.
    if let Some(account) = &tried {
        count(&mut tx, account, now).await?;
    }
    tx.commit().await?;
    let hash = tried.as_ref().and_then(|account| account.password.as_deref());
    let equal = desk.people.passwords.are_equal(password, hash).await;
    let Some(account) = tried.filter(|_| equal) else {
        desk.people.attempts.failed(tenant, address, now);
        tokio::time::sleep_until(soonest).await;
        return Ok(Attempt::Failure(id));
    };
    let mut tx = desk.pool.authorization(tenant).await?;
    tx.clear_failures(&account.id).await?;
    tx.commit().await?;
    desk.people.attempts.succeeded(tenant, address);
    Ok(Attempt::Success(Box::new(account)))
}

async fn count(
    tx: &mut AuthorizationTx,
    account: &Account,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), StoreError> {
    let failures = tx.count_failure(&account.id).await?;
    let over = failures - FAILURES;
    if over >= 0 {
        let lock = FIRST_LOCK.checked_mul(1 << over.min(10)).map_or(LONGEST_LOCK, |lock| lock.min(LONGEST_LOCK));
        tx.note_failure(&account.id, failures, Some(now + lock)).await?;
    }
    Ok(())
}

/// Gives an account another password.
pub async fn set_password(
    desk: &Desk,
    tenant: &std::sync::Arc<Tenant>,
    id: &str,
    password: &str,
) -> Result<(), AccountError> {
    passwords::check(password)?;
    let hash = desk.people.passwords.hash(password).await;
    let mut tx = desk.pool.authorization(tenant).await?;
    let known = tx.set_password(id, &hash).await?;
    tx.commit().await?;
    if known { Ok(()) } else { Err(AccountError::Unknown) }
}

/// Lets an account that failed too often try again.
pub async fn unlock(desk: &Desk, tenant: &std::sync::Arc<Tenant>, id: &str) -> Result<(), AccountError> {
    let mut tx = desk.pool.authorization(tenant).await?;
    let known = tx.account(id).await?.is_some();
    tx.clear_failures(id).await?;
    tx.commit().await?;
    if known { Ok(()) } else { Err(AccountError::Unknown) }
}

/// Ends an account: its sessions, what it approved, and every token issued for it.
pub async fn end(desk: &Desk, tenant: &std::sync::Arc<Tenant>, id: &str) -> Result<(), AccountError> {
    let now = desk.clock.now();
    let mut tx = desk.pool.authorization(tenant).await?;
    let known = tx.revoke_account(id, now).await?;
    tx.end_sessions_of(id).await?;
    tx.end_approvals_of(id, now).await?;
    if !known {
        tx.commit().await?;
        return Err(AccountError::Unknown);
    }
    Ok(desk.conclude(tenant, tx, &[(RevocationKind::User, id)]).await?)
}
