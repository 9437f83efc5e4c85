//! Revocation (RFC 7009): a client gives a token of its back. What is no token of its is answered alike.

use poem::{Response, http::Method, http::StatusCode};
use vitals_store::control::revocations::RevocationKind;

use super::{Asked, OauthError, client_auth, form::Form, introspect};
use crate::{authorization::secrets, rest::respond};

/// Takes a token back. Once this answers, this server refuses it, and every other one within a poll.
pub(super) async fn answer(mut asked: Asked<'_>) -> Result<Response, OauthError> {
    if asked.incoming.method != Method::POST {
        return Err(OauthError::not_offered("POST"));
    }
    let form = Form::read(asked.incoming).await?;
    let client = client_auth::client(&mut asked, &form).await?;
    let token = form.require("token")?;
    let hash = secrets::hash(token);
    let desk = &asked.app.desk;
    let mut tx = asked.app.pool.authorization(asked.tenant).await?;
    let approval = match tx.refresh_token(&hash).await? {
        Some(found) => tx.approval(&found.token.approval).await?.filter(|approval| approval.client == client.id),
        None => None,
    };
    tx.commit().await?;
    if let Some(approval) = approval {
        // With the refresh token goes what was issued under it (RFC 7009, section 2.1).
        desk.end_approval(asked.tenant, &approval.id).await?;
    } else if let Some(access) = introspect::access_token(&asked, token).await?
        && access.client() == Some(client.id.as_str())
        && access.issuer() == desk.issuer(asked.tenant)
        && let Some(jti) = access.jti()
    {
        desk.revoke(asked.tenant, RevocationKind::Token, jti).await?;
    }
    Ok(respond::empty(StatusCode::OK))
}
