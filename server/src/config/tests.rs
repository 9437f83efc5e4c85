//! Precedence, values and secrets, as tables.

use std::{collections::HashMap, ffi::OsString, time::Duration};

use vitals_access::audit::Queries;

use super::{file::ConfigFile, *};

type Variables<'a> = &'a [(&'a str, &'a str)];

fn resolve(flags: &Flags, environment: Variables<'_>) -> Result<Settings, ConfigError> {
    let environment: HashMap<String, OsString> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
    Settings::resolve(flags, &|name| environment.get(name).cloned())
}

/// Writes `text` to a file of its own, gone when the value is dropped.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vitals-config-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

#[test]
fn nothing_given_means_the_documented_defaults() {
    let settings = resolve(&Flags::default(), &[]).unwrap();

    assert_eq!(settings.database, Database::Embedded);
    assert_eq!(settings.data_dir, PathBuf::from(".vitals"));
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.operator_listen.to_string(), "127.0.0.1:8081");
    assert_eq!(settings.master_key, MasterKeySource::DataDirectory);
    assert_eq!(settings.audit_durability, AuditDurability::Prompt);
    assert_eq!(settings.audit_queries, Queries::Names);
    assert_eq!(settings.log, LogFormat::Json);
    assert_eq!(settings.tracing, Tracing::Local);
    assert_eq!(settings.public_url(settings.listen).unwrap().as_str(), "http://127.0.0.1:8080");
    assert!(settings.check_serving().is_ok());
    assert!(settings.warnings.is_empty());
}

#[test]
fn flags_bind_stronger_than_environment_than_file() {
    let file = Scratch::new("precedence", "listen = '127.0.0.1:3'\noperator-listen = '127.0.0.1:33'\nlog = 'pretty'\n");
    let flags = Flags { config: Some(file.0.clone()), listen: Some("127.0.0.1:1".into()), ..Flags::default() };

    let settings =
        resolve(&flags, &[("VITALS_LISTEN", "127.0.0.1:2"), ("VITALS_OPERATOR_LISTEN", "127.0.0.1:22")]).unwrap();

    assert_eq!(settings.listen.port(), 1);
    assert_eq!(settings.operator_listen.port(), 22);
    assert_eq!(settings.log, LogFormat::Pretty);
}

#[test]
fn bad_value_names_the_option_where_it_was_given() {
    let file = Scratch::new("bad", "audit-durability = 'sometimes'\n");
    let cases: [(Flags, Variables<'_>, &str); 8] = [
        (Flags::default(), &[("VITALS_AUDIT_QUERIES", "all")], "VITALS_AUDIT_QUERIES: must be full or names"),
        (Flags { listen: Some("8080".into()), ..Flags::default() }, &[], "--listen: must be ADDRESS:PORT"),
        (Flags::default(), &[("VITALS_LOG", "xml")], "VITALS_LOG: must be json or pretty"),
        (Flags { config: Some(file.0.clone()), ..Flags::default() }, &[], "audit-durability in "),
        (Flags { egress_allow: vec!["10.0.0.0/33".into()], ..Flags::default() }, &[], "--egress-allow: "),
        (Flags { public_url: Some("ftp://x".into()), ..Flags::default() }, &[], "--public-url: must be an http"),
        (Flags::default(), &[("VITALS_PUBLIC_URL", "https://a.example/?x")], "VITALS_PUBLIC_URL: must have no query"),
        (Flags { config: Some("/nowhere/vitals.toml".into()), ..Flags::default() }, &[], "--config: cannot read "),
    ];
    for (flags, environment, expected) in cases {
        let message = resolve(&flags, environment).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn secrets_are_in_no_message_and_no_dump() {
    let password = "hunter2-secret";
    let url = format!("postgres://app:{password}@db/vitals");
    let wrong = format!("mysql://app:{password}@db/vitals");
    let given = Flags { database_url: Some(Secret::new(&url)), ..Flags::default() };

    let settings = resolve(&given, &[("VITALS_MASTER_KEY", password)]).unwrap();
    let refused = resolve(&Flags { database_url: Some(Secret::new(&wrong)), ..Flags::default() }, &[]).unwrap_err();
    let not_toml = ConfigFile::parse("v.toml", &format!("log = 'json'\ndatabase-url = '{url}")).unwrap_err();
    let wrong_type = ConfigFile::parse("v.toml", &format!("database-url = ['{url}']")).unwrap_err();

    for text in [
        format!("{settings:?} {given:?}"),
        settings.warnings.join(" "),
        format!("{refused} {refused:?}"),
        format!("{not_toml} {not_toml:?}"),
        format!("{wrong_type} {wrong_type:?}"),
    ] {
        assert!(!text.contains(password), "{text}");
    }
    assert_eq!(not_toml.to_string(), "v.toml is not a TOML file; look at line 2");
}

#[test]
fn password_in_a_flag_draws_a_warning_and_elsewhere_none() {
    let with = "postgres://app:pw@db/vitals";
    let without = "postgres://app@db:5432/vitals";
    let file = Scratch::new("url", &format!("{with}\n"));
    let cases: [(Flags, Variables<'_>, usize); 5] = [
        (Flags { database_url: Some(Secret::new(with)), ..Flags::default() }, &[], 1),
        (Flags { database_url: Some(Secret::new(without)), ..Flags::default() }, &[], 0),
        (Flags::default(), &[("VITALS_DATABASE_URL", with)], 0),
        (Flags { database_url_file: Some(file.0.display().to_string()), ..Flags::default() }, &[], 0),
        (
            Flags { admin_database_url: Some(Secret::new("postgres://db/v?user=a&password=b")), ..Flags::default() },
            &[],
            1,
        ),
    ];
    for (flags, environment, warnings) in cases {
        let settings = resolve(&flags, environment).unwrap();
        assert_eq!(settings.warnings.len(), warnings, "{flags:?}");
    }
}

#[test]
fn url_and_url_file_at_one_place_exclude_each_other_and_else_the_stronger_holds() {
    let file = Scratch::new("both", "postgres://file@db/vitals");
    let path = file.0.display().to_string();
    let both = Flags {
        database_url: Some(Secret::new("postgres://flag@db/vitals")),
        database_url_file: Some(path.clone()),
        ..Flags::default()
    };

    let refused = resolve(&both, &[]).unwrap_err();
    let by_file = resolve(
        &Flags { database_url_file: Some(path), ..Flags::default() },
        &[("VITALS_DATABASE_URL", "postgres://variable@db/vitals")],
    )
    .unwrap();

    assert!(matches!(refused, ConfigError::Exclusive { .. }));
    assert_eq!(by_file.database, Database::Outside(Secret::new("postgres://file@db/vitals")));
}

#[test]
fn serving_asks_for_what_cannot_be_guessed() {
    let open = resolve(&Flags { listen: Some("0.0.0.0:8080".into()), ..Flags::default() }, &[]).unwrap();
    let outside = resolve(&Flags::default(), &[("VITALS_DATABASE_URL", "postgres://a@db/v")]).unwrap();
    let with_key = resolve(
        &Flags { master_key_file: Some("/etc/vitals/key".into()), ..Flags::default() },
        &[("VITALS_DATABASE_URL", "postgres://a@db/v")],
    )
    .unwrap();

    assert!(open.check_serving().unwrap_err().to_string().starts_with("--public-url is needed"));
    assert!(outside.check_serving().unwrap_err().to_string().starts_with("--master-key-file"));
    assert!(with_key.check_serving().is_ok());
}

#[test]
fn file_refuses_unknown_keys_and_takes_lists() {
    assert!(matches!(
        ConfigFile::parse("v.toml", "listne = 'x'").unwrap_err(),
        ConfigError::UnknownKey { key, .. } if key == "listne"
    ));
    let file = ConfigFile::parse("v.toml", "egress-allow = ['10.0.0.0/8', '::1/128']").unwrap();
    assert_eq!(file.get("egress-allow"), Some("10.0.0.0/8,::1/128"));
}

#[test]
fn collector_is_used_when_its_endpoint_is_set() {
    let cases: [(Variables<'_>, Tracing); 4] = [
        (&[], Tracing::Local),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], Tracing::Local),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")], Tracing::Collector),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_SDK_DISABLED", "true")], Tracing::Local),
    ];
    for (environment, expected) in cases {
        assert_eq!(resolve(&Flags::default(), environment).unwrap().tracing, expected);
    }
}

#[test]
fn durations_are_whole_numbers_with_a_unit() {
    let cases = [
        ("90s", Some(90)),
        ("15m", Some(900)),
        ("1h", Some(3_600)),
        ("90d", Some(7_776_000)),
        ("0s", Some(0)),
        ("", None),
        ("h", None),
        ("1", None),
        ("-1h", None),
        ("+1h", None),
        ("1.5h", None),
        ("1h30m", None),
        ("1é", None),
        ("99999999999999999999s", None),
        ("9999999999999999d", None),
    ];
    for (text, expected) in cases {
        assert_eq!(duration(text).ok(), expected.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn public_urls_end_without_a_slash_and_hold_nothing_else() {
    let cases = [
        ("https://fhir.example", Some("https://fhir.example")),
        ("https://fhir.example/", Some("https://fhir.example")),
        ("https://FHIR.example:443/v1/", Some("https://fhir.example/v1")),
        ("http://[::1]:8080", Some("http://[::1]:8080")),
        ("fhir.example", None),
        ("https://user@fhir.example", None),
        ("https://fhir.example#x", None),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<PublicUrl>().ok().as_ref().map(PublicUrl::as_str), expected, "{text}");
    }
}

#[test]
fn tls_options_stand_together() {
    let given = |names: &[&str]| {
        let value = |name: &str| names.contains(&name).then(|| format!("/etc/vitals/{name}.pem"));
        let flags = Flags {
            tls_cert: value("cert"),
            tls_key: value("key"),
            tls_client_ca: value("ca"),
            tls_client_crl: value("crl"),
            tls_client_auth: names.contains(&"auth").then(|| "optional".to_owned()),
            ..Flags::default()
        };
        resolve(&flags, &[]).map_err(|error| error.to_string())
    };
    for (names, refused) in [
        (vec!["cert"], "--tls-key is needed with --tls-cert"),
        (vec!["key"], "--tls-cert is needed with --tls-key"),
        (vec!["ca"], "--tls-cert is needed with --tls-client-ca"),
        (vec!["cert", "key", "crl"], "--tls-client-ca is needed with --tls-client-crl"),
        (vec!["cert", "key", "auth"], "--tls-client-ca is needed with --tls-client-auth"),
    ] {
        assert_eq!(given(&names).unwrap_err(), refused);
    }
    assert_eq!(given(&[]).unwrap().tls, None);
    let plain = given(&["cert", "key"]).unwrap();
    assert_eq!(plain.public_url(plain.listen).unwrap().as_str(), "https://127.0.0.1:8080");
    assert_eq!(plain.tls.unwrap().clients, None);
    let clients = |names: &[&str]| given(names).unwrap().tls.unwrap().clients.unwrap();
    assert_eq!(clients(&["cert", "key", "ca"]).auth, ClientAuth::Required);
    let optional = clients(&["cert", "key", "ca", "auth", "crl"]);
    assert_eq!(optional.auth, ClientAuth::Optional);
    assert_eq!(optional.revoked, Some(PathBuf::from("/etc/vitals/crl.pem")));
}

#[test]
fn trusted_proxies_are_blocks_from_any_source() {
    let flags = Flags { trusted_proxy: vec!["10.0.0.0/8".into(), "::1".into()], ..Flags::default() };
    let blocks = |settings: Settings| settings.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(blocks(resolve(&flags, &[]).unwrap()), ["10.0.0.0/8", "::1/128"]);
    let environment = [("VITALS_TRUSTED_PROXY", "127.0.0.1, 192.0.2.0/24")];
    assert_eq!(blocks(resolve(&Flags::default(), &environment).unwrap()), ["127.0.0.1/32", "192.0.2.0/24"]);
    let wrong = resolve(&Flags { trusted_proxy: vec!["*".into()], ..Flags::default() }, &[]).unwrap_err();
    assert!(wrong.to_string().starts_with("--trusted-proxy: must be an address"), "{wrong}");
}

#[test]
fn heads_are_kept_below_the_data_directory_unless_somebody_says_where() {
    let settings = resolve(&Flags::default(), &[("VITALS_DATA_DIR", "/var/lib/vitals")]).unwrap();
    assert_eq!(settings.audit_heads, PathBuf::from("/var/lib/vitals/heads"));
    assert_eq!(settings.audit_heads_syslog, None);
    let environment = [("VITALS_AUDIT_HEADS", "/mnt/worm"), ("VITALS_AUDIT_HEADS_SYSLOG", "tcp://logs.example:601")];
    let settings = resolve(&Flags::default(), &environment).unwrap();
    assert_eq!(settings.audit_heads, PathBuf::from("/mnt/worm"));
    assert_eq!(settings.audit_heads_syslog, Some(SyslogAddress::Tcp("logs.example:601".to_owned())));
    for (text, address) in [
        ("udp://127.0.0.1:514", SyslogAddress::Udp("127.0.0.1:514".to_owned())),
        ("udp://[::1]:514", SyslogAddress::Udp("[::1]:514".to_owned())),
        ("/dev/log", SyslogAddress::Socket("/dev/log".into())),
    ] {
        assert_eq!(text.parse(), Ok(address));
    }
    for wrong in ["", "logs.example", "udp://logs.example", "udp://:514", "tcp://a:65536", "http://a:80", "dev/log"] {
        let flags = Flags { audit_heads_syslog: Some(wrong.into()), ..Flags::default() };
        let told = resolve(&flags, &[]).unwrap_err().to_string();
        assert!(told.starts_with("--audit-heads-syslog: must be udp://HOST:PORT"), "{told}");
    }
}
