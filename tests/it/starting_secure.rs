//! `vitals serve` with TLS: how it starts, and why it does not.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use rcgen::date_time_ymd;
use vitals_tests::{
    Answer, Program,
    pki::{Authority, Folder},
    tenant::client,
};

fn with(program: &Program, files: &[(&str, &Path)]) -> Program {
    files.iter().fold(program.clone(), |program, (name, path)| program.with(name, &path.display().to_string()))
}

#[tokio::test]
async fn it_serves_over_tls_and_says_so() {
    let (program, folder, servers) = (Program::embedded(), Folder::default(), Authority::named("Servers"));
    let files = folder.server(&servers.server());
    let program = with(&program, &[("VITALS_TLS_CERT", &files.certificate), ("VITALS_TLS_KEY", &files.key)]);
    program.run(&["tenant", "create", "north"]).await.expect(0);

    let server = program.with("VITALS_OPERATOR_LISTEN", "0.0.0.0:0").serve().await;

    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    let http = servers.http(None);
    let found = Answer::of(http.get(format!("{}/t/north/fhir/.well-known/smart-configuration", server.url))).await;
    let found = found.expect(200);
    assert_eq!(found.json()["issuer"], format!("{}/t/north/auth", server.url));
    assert!(found.header("strict-transport-security").starts_with("max-age=31536000"));
    // Where others could reach it, the operator's listener speaks TLS as well.
    let operator = server.operator_url.replace("http://0.0.0.0", "127.0.0.1");
    Answer::of(http.get(format!("https://{operator}/metrics"))).await.expect(200);
    assert!(client().get(format!("http://{operator}/metrics")).send().await.is_err(), "and nothing else");
    server.stop().await.expect(0);
}

#[tokio::test]
async fn on_loopback_the_operator_is_served_plainly_and_a_certificate_that_ran_out_draws_a_warning() {
    let (program, folder, servers) = (Program::embedded(), Folder::default(), Authority::named("Servers"));
    let old = servers.sign("server", |params| params.not_after = date_time_ymd(2021, 1, 1));
    let files = folder.server(&old);
    let program = with(&program, &[("VITALS_TLS_CERT", &files.certificate), ("VITALS_TLS_KEY", &files.key)]);
    let server = program.serve().await;
    Answer::of(client().get(format!("{}/metrics", server.operator_url))).await.expect(200);
    let said = server.stop().await.expect(0).stderr;
    assert!(said.contains("is expired or not valid yet: clients will refuse it"), "{said}");
    let checks = program.run(&["doctor", "--json"]).await.expect(1).json();
    let tls = checks.as_array().expect("checks").iter().find(|check| check["check"] == "TLS").expect("one of TLS");
    assert_eq!(tls["ok"], false);
}

#[tokio::test]
async fn files_that_are_no_good_are_told_in_one_sentence() {
    let (program, folder, servers) = (Program::embedded(), Folder::default(), Authority::named("Servers"));
    let (one, other) = (servers.server(), servers.server());
    let (certificate, key) = (folder.write("one.pem", &one.pem()), folder.write("one.key", &one.key_pem()));
    let open = folder.write("open.key", &one.key_pem());
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o640)).expect("it is ours");
    let another = folder.write("other.key", &other.key_pem());
    let nothing = folder.write("nothing.pem", "nothing\n");
    let broken = folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n");
    let absent = folder.write("nothing.pem", "nothing\n").with_file_name("absent.pem");
    let authority = folder.write("clients.pem", &servers.pem());
    let (cert, private, ca, crl) =
        ("VITALS_TLS_CERT", "VITALS_TLS_KEY", "VITALS_TLS_CLIENT_CA", "VITALS_TLS_CLIENT_CRL");
    let good = [(cert, certificate.as_path()), (private, key.as_path())];
    for (files, sentence) in [
        (vec![(cert, certificate.as_path()), (private, &open)], "--tls-key: others can read "),
        (vec![(cert, &certificate), (private, &another)], "is not that of the certificate in "),
        (vec![(cert, &certificate), (private, &nothing)], "holds no private key in PEM that can be used"),
        (vec![(cert, &certificate), (private, &absent)], "--tls-key: cannot read "),
        (vec![(cert, &nothing), (private, &key)], "holds no certificate in PEM"),
        (vec![(cert, &broken), (private, &key)], "--tls-cert: the certificate in "),
        (vec![(cert, &absent), (private, &key)], "--tls-cert: cannot read "),
        ([&good[..], &[(ca, &nothing)]].concat(), "nothing.pem holds no certificate"),
        ([&good[..], &[(ca, &broken)]].concat(), "broken.pem holds a certificate that cannot be read"),
        ([&good[..], &[(ca, &authority), (crl, &nothing)]].concat(), "nothing.pem holds a revocation list that cannot"),
        ([&good[..], &[(ca, &authority), (crl, &absent)]].concat(), "--tls-client-crl: cannot read "),
    ] {
        let ran = with(&program, &files).run(&["serve"]).await.expect_sentence(1, sentence);
        assert!(!ran.stderr.contains("BEGIN"), "{}", ran.stderr);
    }
    let ran = with(&program, &good[..1]).run(&["serve"]).await;
    ran.expect_sentence(2, "--tls-key is needed with --tls-cert");
}
