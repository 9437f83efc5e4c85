//! Addresses: what stays and what changes when one part is replaced.

use super::*;

const APP: &str = "postgres://vitals_app:s%40fe%2B@db.example:6432/vitals?sslmode=require";

#[test]
fn audit_roles_share_server_and_password() {
    let urls = Urls::outside(APP, None, None).unwrap();

    assert_eq!(
        urls.audit_write,
        "postgres://vitals_audit_write:s%40fe%2B@db.example:6432/vitals_audit?sslmode=require"
    );
    assert_eq!(urls.audit_read, "postgres://vitals_audit_read:s%40fe%2B@db.example:6432/vitals_audit?sslmode=require");
    assert_eq!(password(&urls.audit_read, "audit").unwrap().as_deref(), Some("s@fe+"));
    assert!(urls.audit_is_beside().unwrap());
}

#[test]
fn login_slots_are_beside_the_first() {
    let urls = Urls::outside(APP, None, None).unwrap();

    let names = urls.login_names().unwrap();
    assert_eq!((names.len(), names[0].as_str(), names[9].as_str()), (10, "vitals_app", "vitals_app_9"));
    assert!(urls.login(3).unwrap().starts_with("postgres://vitals_app_3:s%40fe%2B@db.example"));
}

#[test]
fn query_parameters_win_as_they_do_when_connecting() {
    let socket = "postgres:///vitals?host=/run/pg&user=app&password=x%26y";

    assert_eq!(username(socket, "given").unwrap(), "app");
    assert_eq!(password(socket, "given").unwrap().as_deref(), Some("x&y"));
    let other = with_user(&with_database(socket, "other").unwrap(), "someone").unwrap();
    let options = connect_options(&other).unwrap();
    assert_eq!(options.get_username(), "someone");
    assert_eq!(options.get_database(), Some("other"));
    assert_eq!(options.get_socket().map(|path| path.display().to_string()).as_deref(), Some("/run/pg"));
}

#[test]
fn passwords_are_never_shown() {
    for url in [APP, "postgres:///vitals?user=a&password=s%40fe%2B", "nonsense s@fe+", "http://a:s%40fe%2B@b/c"] {
        let shown = hidden_password(url);
        assert!(!shown.contains("s%40fe") && !shown.contains("s@fe"), "{shown}");
    }
    assert!(!format!("{:?}", Urls::outside(APP, Some(APP), None).unwrap()).contains("s%40fe"));
}

#[test]
fn administering_role_goes_to_every_database() {
    let elsewhere = "postgres://vitals_audit_write:w@audit.example/trail";
    let urls = Urls::outside(APP, Some("postgres://boss:p%2F@db.example:6432"), Some(elsewhere)).unwrap();

    assert_eq!(urls.admin().unwrap(), "postgres://boss:p%2F@db.example:6432/postgres");
    assert_eq!(urls.app_admin().unwrap(), "postgres://boss:p%2F@db.example:6432/vitals");
    assert_eq!(urls.audit_admin().unwrap(), "postgres://boss:p%2F@audit.example/trail");
}

#[test]
fn unusable_urls_are_refused() {
    assert!(matches!(Urls::outside("mysql://a@b/c", None, None), Err(UrlError::Malformed("serving"))));
    assert!(matches!(Urls::outside("postgres://b/c", None, None), Err(UrlError::Missing { part: "user", .. })));
    assert!(matches!(Urls::outside("postgres://a@b", None, None), Err(UrlError::Missing { part: "database", .. })));
    let audit = Some("postgres://boss@b/audit");
    assert!(matches!(Urls::outside("postgres://a@b/c", None, audit), Err(UrlError::AuditUser)));
}
