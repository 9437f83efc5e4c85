//! Grants over a serving login's connection: who sees them, that they end once, and that they go with either tenant.

use chrono::{DateTime, TimeDelta, Utc};
use vitals_access::tenant::TenantRole;
use vitals_store::{
    control::{
        ControlError, directory,
        grants::{self, GrantError, NewGrant},
        tenants,
    },
    seal::MasterKey,
    urls,
};

use super::{cluster, cluster::Database, name, now, tenant};

async fn made(database: &mut Database, id: &str) -> TenantRole {
    let master = MasterKey::generate().unwrap();
    tenants::create(&mut database.admin, &master, &tenant(id), now()).await.unwrap().tenant.role
}

fn new(grantor: &TenantRole, grantee: &TenantRole) -> NewGrant {
    NewGrant {
        grantor: grantor.clone(),
        grantee: grantee.clone(),
        scopes: vec!["vitals.heart_rate:read".to_owned(), "users:read".to_owned()],
        purpose: "HRESCH".to_owned(),
        note: Some("study 17".to_owned()),
        not_before: now(),
        expires: later(60),
        created_by: "officer".to_owned(),
    }
}

fn later(minutes: i64) -> DateTime<Utc> {
    now() + TimeDelta::minutes(minutes)
}

fn refused(outcome: Result<grants::GrantRow, ControlError>) -> Option<GrantError> {
    match outcome {
        Ok(_) => None,
        Err(ControlError::Grant(error)) => Some(error),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_grant_is_seen_by_both_sides_and_ended_once_by_the_one_that_made_it() {
    let mut database = cluster::database("grants").await;
    let mercy = made(&mut database, "mercy").await;
    let lab = made(&mut database, "lab").await;
    let grace = made(&mut database, "grace").await;
    let mut conn = urls::connect(&database.urls.app).await.unwrap();

    let before = database.newest_change().await;
    let row = grants::create(&mut conn, &new(&mercy, &lab), now()).await.unwrap();
    assert_eq!(database.newest_change().await, before + 1);
    assert_eq!((row.grantor.as_str(), row.grantee.as_str(), row.purpose.as_str()), ("mercy", "lab", "HRESCH"));
    assert_eq!(row.scopes, ["vitals.heart_rate:read", "users:read"]);
    assert_eq!((row.created_by.as_str(), row.note.as_deref()), ("officer", Some("study 17")));
    assert_eq!(
        (row.not_before.as_str(), row.expires.as_str()),
        ("2026-11-22T12:00:00.000Z", "2026-11-22T13:00:00.000Z")
    );
    assert_eq!((row.revoked.clone(), row.revoked_by.clone()), (None, None));
    for side in [&mercy, &lab] {
        assert_eq!(grants::list(&mut conn, side).await.unwrap(), std::slice::from_ref(&row));
        assert_eq!(grants::show(&mut conn, side, &row.id).await.unwrap().as_ref(), Some(&row));
    }
    assert_eq!(grants::list(&mut conn, &grace).await.unwrap(), []);
    assert_eq!(grants::show(&mut conn, &grace, &row.id).await.unwrap(), None);
    for id in ["", "x", &row.id.to_uppercase(), &row.id.replace('-', "")] {
        assert_eq!(grants::show(&mut conn, &mercy, id).await.unwrap(), None, "{id}");
        assert!(!grants::revoke(&mut conn, &mercy, id, "x", now()).await.unwrap(), "{id}");
    }

    let before = database.newest_change().await;
    for (side, at) in [(&lab, now()), (&grace, now()), (&mercy, later(60))] {
        assert!(!grants::revoke(&mut conn, side, &row.id, "x", at).await.unwrap(), "not theirs, or over");
    }
    assert_eq!(database.newest_change().await, before);
    assert!(grants::revoke(&mut conn, &mercy, &row.id, "chief", later(5)).await.unwrap());
    assert_eq!(database.newest_change().await, before + 1);
    assert!(!grants::revoke(&mut conn, &mercy, &row.id, "other", later(6)).await.unwrap());
    let ended = grants::show(&mut conn, &lab, &row.id).await.unwrap().unwrap();
    assert_eq!(
        (ended.revoked.as_deref(), ended.revoked_by.as_deref()),
        (Some("2026-11-22T12:05:00.000Z"), Some("chief"))
    );
    let second = grants::create(&mut conn, &new(&mercy, &lab), later(7)).await.unwrap();
    let listed: Vec<_> = grants::list(&mut conn, &mercy).await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(listed, [second.id, row.id], "the newest first");
}

#[tokio::test]
async fn a_grant_that_makes_no_sense_is_refused() {
    let mut database = cluster::database("senseless_grants").await;
    let (mercy, lab) = (made(&mut database, "mercy").await, made(&mut database, "lab").await);
    let mut conn = urls::connect(&database.urls.app).await.unwrap();
    let nobody = TenantRole::generate();
    let before = database.newest_change().await;
    for (grant, expected) in [
        (new(&mercy, &mercy), GrantError::ToItself),
        (NewGrant { expires: now(), ..new(&mercy, &lab) }, GrantError::EndsFirst),
        (NewGrant { scopes: vec![], ..new(&mercy, &lab) }, GrantError::Scopes),
        (NewGrant { scopes: vec!["a".to_owned(); 65], ..new(&mercy, &lab) }, GrantError::Scopes),
        (new(&mercy, &nobody), GrantError::NoTenant),
        (new(&nobody, &lab), GrantError::NoTenant),
    ] {
        assert_eq!(refused(grants::create(&mut conn, &grant, now()).await), Some(expected));
    }
    assert_eq!(database.newest_change().await, before);
    let mut first = None;
    for _ in 0..16 {
        let row = grants::create(&mut conn, &new(&mercy, &lab), now()).await.unwrap();
        first.get_or_insert(row.id);
    }
    assert_eq!(refused(grants::create(&mut conn, &new(&mercy, &lab), now()).await), Some(GrantError::TooMany));
    assert_eq!(refused(grants::create(&mut conn, &new(&lab, &mercy), now()).await), None, "the other way");
    assert!(grants::revoke(&mut conn, &mercy, &first.unwrap(), "officer", now()).await.unwrap());
    assert_eq!(refused(grants::create(&mut conn, &new(&mercy, &lab), now()).await), None);
}

#[tokio::test]
async fn all_that_a_tenant_granted_ends_at_once() {
    let mut database = cluster::database("all_grants").await;
    let (mercy, lab) = (made(&mut database, "mercy").await, made(&mut database, "lab").await);
    let mut conn = urls::connect(&database.urls.app).await.unwrap();
    let mut expected = Vec::new();
    for _ in 0..2 {
        expected.push(grants::create(&mut conn, &new(&mercy, &lab), now()).await.unwrap().id);
    }
    let over = NewGrant { not_before: now() - TimeDelta::hours(2), expires: now(), ..new(&mercy, &lab) };
    let over = grants::create(&mut conn, &over, now()).await.unwrap();
    let other = grants::create(&mut conn, &new(&lab, &mercy), now()).await.unwrap();
    let before = database.newest_change().await;
    let mut ended = grants::revoke_all(&mut conn, &mercy, "officer", now()).await.unwrap();
    ended.sort();
    assert_eq!(ended, expected);
    assert_eq!(database.newest_change().await, before + 1);
    for untouched in [&over, &other] {
        assert_eq!(grants::show(&mut conn, &lab, &untouched.id).await.unwrap().as_ref(), Some(untouched));
    }
    assert_eq!(grants::revoke_all(&mut conn, &mercy, "officer", now()).await.unwrap(), Vec::<String>::new());
    assert_eq!(database.newest_change().await, before + 1);
}

#[tokio::test]
async fn a_directory_holds_grants_that_may_stand_and_none_of_a_deleted_tenant() {
    let mut database = cluster::database("granted").await;
    let (mercy, lab) = (made(&mut database, "mercy").await, made(&mut database, "lab").await);
    let grace = made(&mut database, "grace").await;
    let mut conn = urls::connect(&database.urls.app).await.unwrap();
    let ended = grants::create(&mut conn, &new(&mercy, &lab), now()).await.unwrap();
    grants::revoke(&mut conn, &mercy, &ended.id, "officer", now()).await.unwrap();
    let to_come = NewGrant { not_before: later(30), ..new(&mercy, &lab) };
    let to_come = grants::create(&mut conn, &to_come, now()).await.unwrap();
    let other = grants::create(&mut conn, &new(&grace, &lab), now()).await.unwrap();

    let known = async |conn: &mut _, at| {
        let directory = directory::load(conn, "https://vitals.example", at).await.unwrap();
        let mut ids: Vec<String> = directory.grants_to(&lab).map(|grant| grant.id.clone()).collect();
        assert_eq!(directory.grants_to(&mercy).count(), 0);
        ids.sort();
        ids
    };
    assert_eq!(known(&mut conn, now()).await, [to_come.id.clone(), other.id.clone()]);
    assert_eq!(known(&mut conn, later(60) + TimeDelta::days(30)).await, Vec::<String>::new(), "long over");
    tenants::delete(&mut database.admin, &name("mercy"), "mercy", now()).await.unwrap();
    assert_eq!(known(&mut conn, now()).await, [other.id]);
    assert_eq!(grants::list(&mut conn, &lab).await.unwrap().len(), 1);
    tenants::delete(&mut database.admin, &name("lab"), "lab", now()).await.unwrap();
    let again = made(&mut database, "lab").await;
    assert_eq!(grants::list(&mut conn, &again).await.unwrap(), []);
    assert_eq!(grants::list(&mut conn, &grace).await.unwrap(), []);
}
