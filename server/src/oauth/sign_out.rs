//! Signing out: the session ends at once, and with it what apps were to do while it lasted.

use poem::{
    Response,
    http::{Method, StatusCode, header},
};

use super::{
    Asked, OauthError,
    cookie::Cookie,
    form::Form,
    page::{self, Site},
    visitor::Visitor,
};

/// Signs out.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if asked.incoming.method != Method::POST {
        return Err(OauthError::not_offered("POST"));
    }
    let mut visitor = Visitor::of(&mut asked).await?;
    let form = Form::read(asked.incoming).await?;
    visitor.check(&asked, &form)?;
    if let Some(signed_in) = visitor.signed_in.take() {
        asked.app.desk.end_session(asked.tenant, &signed_in.session.id).await.map_err(|_| OauthError::unavailable())?;
    }
    let page = page::SignedOut { site: Site::of(&asked, &visitor) };
    let mut response = page::answer(StatusCode::OK, &page, None)?;
    if let Some(line) = Cookie::Session.clear(asked.app, asked.tenant) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    Ok(response)
}
