//! Issuers that a tenant's own administrators register, over a serving login's connection, and what may be said of one.

use vitals_access::{claims::ClaimMapping, tenant::Tenant};
use vitals_store::control::{
    ControlError, directory,
    issuers::{self, IssuerError, NewIssuer, add_by_tenant, list_of_tenant, remove_by_tenant},
    tenants,
};
use vitals_store::{seal::MasterKey, urls};

use super::{cluster, cluster::Database, issuer, name, now, some_keys, tenant};

async fn made(database: &mut Database, id: &str) -> Tenant {
    let master = MasterKey::generate().unwrap();
    tenants::create(&mut database.admin, &master, &tenant(id), now()).await.unwrap();
    tenants::find(&mut database.admin, &name(id)).await.unwrap().unwrap()
}

fn operators(error: &ControlError) -> bool {
    matches!(error, ControlError::Issuer(IssuerError::OperatorOnly(_)))
}

#[tokio::test]
async fn a_tenant_registers_an_issuer_that_no_other_has_in_any_spelling() {
    let mut database = cluster::database("by_tenant").await;
    let (mercy, grace) = (made(&mut database, "mercy").await, made(&mut database, "grace").await);
    let mut conn = urls::connect(&database.urls.app).await.unwrap();
    let keys = some_keys();
    let new = issuer("https://idp.example/a", &keys);

    let first = add_by_tenant(&mut conn, &mercy, &new, now()).await.unwrap();
    assert!(first.seq > 0 && first.warnings.is_empty());
    // Again is no harm; otherwise is refused.
    add_by_tenant(&mut conn, &mercy, &new, now()).await.unwrap();
    let other_keys = issuer("https://idp.example/a", &some_keys());
    let refused = add_by_tenant(&mut conn, &mercy, &other_keys, now()).await.unwrap_err();
    assert!(matches!(refused, ControlError::Issuer(IssuerError::Differs { .. })), "{refused}");
    let spelled = add_by_tenant(&mut conn, &mercy, &issuer("https://IDP.example/a/", &keys), now()).await.unwrap_err();
    assert!(matches!(spelled, ControlError::Issuer(IssuerError::SecondSpelling { .. })), "{spelled}");
    for spelling in ["https://idp.example/a", "https://idp.example/a/", "HTTPS://idp.example:443/%61"] {
        let refused = add_by_tenant(&mut conn, &grace, &issuer(spelling, &keys), now()).await.unwrap_err();
        assert!(operators(&refused), "{spelling}: {refused}");
        assert!(!refused.to_string().contains("mercy"), "{refused}");
    }
    assert_eq!(list_of_tenant(&mut conn, &grace).await.unwrap(), []);
    // The operator may, and then neither tenant's administrators are alone with it.
    issuers::add(&mut database.admin, &grace.name, &new, now()).await.unwrap();
    assert!(operators(&add_by_tenant(&mut conn, &mercy, &new, now()).await.unwrap_err()));
    let rows = list_of_tenant(&mut conn, &mercy).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.tenants.clone()).collect::<Vec<_>>(), [["mercy"]]);
    assert_eq!(issuers::list(&mut database.admin, &mercy.name).await.unwrap()[0].tenants, ["grace", "mercy"]);

    remove_by_tenant(&mut conn, &mercy, &new.url, now()).await.unwrap();
    let unknown = remove_by_tenant(&mut conn, &mercy, &new.url, now()).await.unwrap_err();
    assert!(matches!(unknown, ControlError::Issuer(IssuerError::Unknown { .. })), "{unknown}");
    assert_eq!(list_of_tenant(&mut conn, &grace).await.unwrap().len(), 1, "the other keeps it");
    remove_by_tenant(&mut conn, &grace, &new.url, now()).await.unwrap();
    add_by_tenant(&mut conn, &mercy, &issuer("https://idp.example/a/", &keys), now()).await.unwrap();
}

#[tokio::test]
async fn two_tenants_at_once_get_one_issuer_between_them() {
    let mut database = cluster::database("by_two").await;
    let (mercy, grace) = (made(&mut database, "mercy").await, made(&mut database, "grace").await);
    let keys = some_keys();
    for turn in 0..20 {
        let new = issuer(&format!("https://idp-{turn}.example"), &keys);
        let mut one = urls::connect(&database.urls.app).await.unwrap();
        let mut two = urls::connect(&database.urls.app).await.unwrap();
        let (first, second) =
            tokio::join!(add_by_tenant(&mut one, &mercy, &new, now()), add_by_tenant(&mut two, &grace, &new, now()));
        assert_eq!(u8::from(first.is_ok()) + u8::from(second.is_ok()), 1, "{first:?} {second:?}");
        assert!(operators(&first.err().or(second.err()).unwrap()));
    }
}

#[tokio::test]
async fn algorithms_and_mapping_are_registered_and_shared_by_all_tenants() {
    let mut database = cluster::database("mapped").await;
    let (mercy, grace) = (made(&mut database, "mercy").await, made(&mut database, "grace").await);
    let mapping: ClaimMapping = serde_json::from_str(r#"{"patient":"ext.pid"}"#).unwrap();
    let keys = some_keys();
    let new = NewIssuer {
        algorithms: vec!["RS256".to_owned(), "ES256".to_owned()],
        mapping: mapping.clone(),
        ..issuer("https://idp.example", &keys)
    };
    issuers::add(&mut database.admin, &mercy.name, &new, now()).await.unwrap();
    // What is not asked for may be so anyway; what is asked for otherwise is not had.
    issuers::add(&mut database.admin, &grace.name, &issuer("https://idp.example", &keys), now()).await.unwrap();
    let other = NewIssuer { algorithms: vec!["RS256".to_owned()], ..new.clone() };
    let refused = issuers::add(&mut database.admin, &grace.name, &other, now()).await.unwrap_err();
    assert!(refused.to_string().contains("another set of algorithms"), "{refused}");
    let other = NewIssuer { mapping: serde_json::from_str(r#"{"patient":"pid"}"#).unwrap(), ..new.clone() };
    let refused = issuers::add(&mut database.admin, &grace.name, &other, now()).await.unwrap_err();
    assert!(refused.to_string().contains("another mapping of claims"), "{refused}");
    for bad in ["none", "HS256", "rs256", ""] {
        let other = NewIssuer { algorithms: vec![bad.to_owned()], ..issuer("https://other.example", &keys) };
        let refused = issuers::add(&mut database.admin, &grace.name, &other, now()).await.unwrap_err();
        assert!(matches!(refused, ControlError::Issuer(IssuerError::Algorithm(_))), "{bad}: {refused}");
    }
    for (days, taken) in [(10, true), (11, false)] {
        let max_lifetime = Some(std::time::Duration::from_hours(24 * days));
        let long = NewIssuer { max_lifetime, ..issuer(&format!("https://long-{days}.example"), &keys) };
        let added = issuers::add(&mut database.admin, &grace.name, &long, now()).await;
        assert_eq!(added.is_ok(), taken, "{days} days: what is taken back is remembered for ten");
    }
    let row = issuers::list(&mut database.admin, &mercy.name).await.unwrap().remove(0);
    assert_eq!((row.algorithms, row.mapping), (new.algorithms, mapping.clone()));
    let mut conn = urls::connect(&database.urls.app).await.unwrap();
    let directory = directory::load(&mut conn, "https://v.example", now()).await.unwrap();
    assert_eq!(*directory.issuer("https://idp.example").unwrap().mapping, mapping);
}
