//! Choosing the patient that an app is to be about.

use poem::{
    Response,
    http::{Method, StatusCode},
};

use super::{
    Asked, OauthError,
    authorize::{self, Step, see_other},
    form::Form,
    page::{self, Site},
    pending::{Chosen, Onward, Pending},
    sign_in,
    visitor::Visitor,
};
use crate::authorization::Patients;

pub(super) mod look;

const NONE: &str = "No patient was found. Check the spelling, or search by one of name and birth date alone.";

/// Searches, or takes a choice.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if asked.incoming.method != Method::POST {
        return Err(OauthError::not_offered("POST"));
    }
    let visitor = Visitor::of(&mut asked).await?;
    let form = Form::read(asked.incoming).await?;
    visitor.check(&asked, &form)?;
    let onward = Onward::open(asked.app, asked.tenant, form.require("onward")?)?;
    let Onward::Authorize(pending) = onward else { return Err(OauthError::no_such_address()) };
    let mut pending = *pending;
    let account = match &visitor.signed_in {
        Some(signed_in) => signed_in.account.clone(),
        None => return sign_in::page(&asked, &visitor, &Onward::Authorize(Box::new(pending)), None),
    };
    if let Some(patient) = form.get("patient") {
        // Whether it is theirs to choose is found out where the request goes on.
        pending.chosen = Some(Chosen { account: account.id, patient: patient.to_owned() });
        return see_other(&Onward::Authorize(Box::new(pending)).address(asked.app, asked.tenant)?);
    }
    match authorize::step(&mut asked, &visitor, &pending).await? {
        Step::Patient(whose) => {
            let typed = |name: &str| form.get(name).unwrap_or_default().trim().to_owned();
            let search = Search { name: typed("name"), birthdate: typed("birthdate"), after: form.get("after") };
            show(&mut asked, &visitor, pending, &whose, Some(search)).await
        }
        Step::SignIn | Step::Decide(_) => {
            see_other(&Onward::Authorize(Box::new(pending)).address(asked.app, asked.tenant)?)
        }
    }
}

struct Search<'f> {
    name: String,
    birthdate: String,
    after: Option<&'f str>,
}

/// The page.
pub(super) async fn page(
    asked: &mut Asked<'_>,
    visitor: &Visitor,
    pending: Pending,
    whose: &Patients,
) -> Result<Response, OauthError> {
    show(asked, visitor, pending, whose, None).await
}

async fn show(
    asked: &mut Asked<'_>,
    visitor: &Visitor,
    mut pending: Pending,
    whose: &Patients,
    search: Option<Search<'_>>,
) -> Result<Response, OauthError> {
    let Some(signed_in) = &visitor.signed_in else { return Err(OauthError::internal()) };
    let account = &signed_in.account;
    let mut found = Vec::new();
    let (mut next, mut message) = (None, None);
    let refused = pending.chosen.take().is_some().then(|| NONE.to_owned());
    match (whose, &search) {
        (Patients::These(ids), _) => {
            for id in ids {
                let seen = look::one(asked, account, id, true).await?;
                found.push(seen.unwrap_or_else(|| page::FoundPatient::unseen(id)));
            }
        }
        (Patients::Any, None) => message = refused,
        (Patients::Any, Some(search)) => {
            if search.birthdate.is_empty() || is_date(&search.birthdate) {
                let by = (search.name.as_str(), search.birthdate.as_str());
                let Some(page) = look::search(asked, account, by, search.after).await? else {
                    let why = "This user may choose no patient.";
                    return Err(authorize::tell(asked, &pending.request, "access_denied", why));
                };
                (found, next) = (page.patients, page.next);
                message = found.is_empty().then(|| NONE.to_owned());
            } else {
                message = Some("Write the birth date as year, month and day: 1980-02-28.".to_owned());
            }
        }
    }
    let redirect_uri = pending.request.redirect_uri.clone();
    let (name, birthdate) = search.map(|search| (search.name, search.birthdate)).unwrap_or_default();
    let page = page::Patients {
        site: Site::of(asked, visitor),
        app: pending.request.client_name.clone(),
        onward: Onward::Authorize(Box::new(pending)).seal(asked.app, asked.tenant)?,
        searchable: *whose == Patients::Any,
        name,
        birthdate,
        message,
        found,
        next,
    };
    page::answer(StatusCode::OK, &page, Some(&redirect_uri))
}

/// A year, a month or a day.
fn is_date(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        && matches!(lengths.as_slice(), [4] | [4, 2] | [4, 2, 2])
}
