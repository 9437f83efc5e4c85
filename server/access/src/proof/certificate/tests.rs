use base64::engine::general_purpose::STANDARD;

use super::*;

/// Made by openssl, self-signed, good from 2026-11-26T12:32:55Z to 2126-11-02T12:32:55Z:
/// `/C=DE/O=Partner, Inc./OU=Backend/CN=Growth Chart`.
const CERTIFICATE: &str = "\
    MIICVDCCAfmgAwIBAgIUOs5umaJUYC7m6j84GNDUNrm4z8AwCgYIKoZIzj0EAwIwTjELMAkGA1UEBhMCREUxFjAUBgNVBAoMDVBhcnRuZXIsIElu\
    Yy4xEDAOBgNVBAsMB0JhY2tlbmQxFTATBgNVBAMMDEdyb3d0aCBDaGFydDAgFw0yNjExMjYxMjMyNTVaGA8yMTI2MTEwMjEyMzI1NVowTjELMAkG\
    A1UEBhMCREUxFjAUBgNVBAoMDVBhcnRuZXIsIEluYy4xEDAOBgNVBAsMB0JhY2tlbmQxFTATBgNVBAMMDEdyb3d0aCBDaGFydDBZMBMGByqGSM49\
    AgEGCCqGSM49AwEHA0IABLNVVHInAAs8hJw3gQAa39TjjcyWXPkvEXQ/IBo5d+Zsg0HzxGKeO099jU5iPkSJZxu7+/dkO5FCBQfV4w71cQGjgbIw\
    ga8wHQYDVR0OBBYEFBMA8iD9RdIYzub/2YK15hM1SSnbMB8GA1UdIwQYMBaAFBMA8iD9RdIYzub/2YK15hM1SSnbMA8GA1UdEwEB/wQFMAMBAf8w\
    XAYDVR0RBFUwU4ITYXBwLnBhcnRuZXIuZXhhbXBsZYYPdXJuOnBhcnRuZXI6YXBwhwTAAAIHhxAgAQ24AAAAAAAAAAAAAAAHgRNhcHBAcGFydG5l\
    ci5leGFtcGxlMAoGCCqGSM49BAMCA0kAMEYCIQCAbDTKltlIGvC1tX4cRxIU6VADMRd5XNd/WWhT+Y336gIhALeUynSTH0qbBaX0C+LWKO3aFmoC\
    a1jyre8ud+h4olw0";

fn certificate(anchors: Vec<Anchor>) -> ClientCertificate {
    ClientCertificate::read(&STANDARD.decode(CERTIFICATE).unwrap(), anchors).unwrap()
}

#[test]
fn is_read_as_openssl_reads_it() {
    let certificate = certificate(vec![]);
    assert_eq!(certificate.thumbprint_text(), "GwF4vdDQBAHpcM34N8ntxg1ZWT4-er22_KkwQB4hFxM");
    assert_eq!(certificate.subject(), r"CN=Growth Chart,OU=Backend,O=Partner\, Inc.,C=DE");
    assert_eq!(
        certificate.names(),
        [
            SubjectName::Dns("app.partner.example".to_owned()),
            SubjectName::Uri("urn:partner:app".to_owned()),
            SubjectName::Ip("192.0.2.7".parse().unwrap()),
            SubjectName::Ip("2001:db8::7".parse().unwrap()),
            SubjectName::Email("app@partner.example".to_owned()),
        ]
    );
    assert_eq!(format!("{certificate:?}"), r#"ClientCertificate("GwF4vdDQBAHpcM34N8ntxg1ZWT4-er22_KkwQB4hFxM")"#);
}

#[test]
fn what_is_no_certificate_is_refused() {
    let whole = STANDARD.decode(CERTIFICATE).unwrap();
    let longer = [whole.as_slice(), b"x"].concat();
    for bytes in [&[][..], b"-----BEGIN CERTIFICATE-----", &whole[..whole.len() - 1], &longer] {
        assert_eq!(ClientCertificate::read(bytes, vec![]), Err(NotACertificate), "{} bytes", bytes.len());
    }
}

#[test]
fn a_thumbprint_is_compared_whole() {
    let certificate = certificate(vec![]);
    let right = certificate.thumbprint_text();
    assert!(certificate.has_thumbprint(&right));
    for wrong in ["", &right[1..], &right.to_lowercase(), &format!("{right}="), "AAAA"] {
        assert!(!certificate.has_thumbprint(wrong), "{wrong}");
    }
}

#[test]
fn a_subject_is_the_same_however_it_is_written() {
    let certificate = certificate(vec![]);
    for (text, same) in [
        (r"CN=Growth Chart,OU=Backend,O=Partner\, Inc.,C=DE", true),
        (r"cn=Growth Chart,ou=Backend,o=Partner\2C Inc.,c=DE", true),
        (r"CN=Growth Chart,OU=Backend,O=Partner\, Inc.", false),
        (r"C=DE,O=Partner\, Inc.,OU=Backend,CN=Growth Chart", false),
        (r"CN=Growth Charts,OU=Backend,O=Partner\, Inc.,C=DE", false),
        (r"CN=growth chart,OU=Backend,O=Partner\, Inc.,C=DE", false),
        ("", false),
        ("Growth Chart", false),
    ] {
        assert_eq!(certificate.has_subject(text), same, "{text}");
    }
}

#[test]
fn who_vouches_decides_for_which_tenant_it_is_good() {
    let (here, there) = (TenantRole::generate(), TenantRole::generate());
    for (anchors, good_here, good_there) in [
        (vec![], false, false),
        (vec![Anchor::None], false, false),
        (vec![Anchor::Server], true, true),
        (vec![Anchor::Tenant(here.clone())], true, false),
        (vec![Anchor::Tenant(there.clone()), Anchor::Tenant(here.clone())], true, true),
    ] {
        let certificate = certificate(anchors);
        assert_eq!(certificate.is_vouched_for(&here), good_here, "{:?}", certificate.anchors());
        assert_eq!(certificate.is_vouched_for(&there), good_there, "{:?}", certificate.anchors());
    }
}

#[test]
fn it_is_valid_between_its_dates_and_at_them() {
    let certificate = certificate(vec![]);
    for (time, valid) in [
        ("2026-11-26T12:32:54Z", false),
        ("2026-11-26T12:32:55Z", true),
        ("2100-01-01T00:00:00Z", true),
        ("2126-11-02T12:32:55.999Z", true),
        ("2126-11-02T12:32:56Z", false),
    ] {
        assert_eq!(certificate.is_valid_at(time.parse().unwrap()), valid, "{time}");
    }
}
