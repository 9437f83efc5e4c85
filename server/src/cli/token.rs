//! `vitals token`: a token of the tenant's own issuer, for trying things out and for programs of the operator's.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use vitals_access::{
    directory::{Directory, MAX_LIFETIME},
    keys::ACCESS_TOKEN,
    scope,
    tenant::{Tenant, TenantStatus},
};
use vitals_fhir::resource::is_id;
use vitals_store::control::{directory, keys};

use super::{
    CommandError, Exit, Needs, Opened,
    args::TokenArgs,
    print,
    recorded::Recorder,
    tenant::{explained, unknown},
};
use crate::{authorization::grants, config::Settings};

/// Scopes that the server reads of one token, and the length of a token that it reads at all (contract, section 3).
const MAX_SCOPES: usize = 64;
const MAX_TOKEN: usize = 8_192;
/// Longest text of a claim.
const MAX_TEXT: usize = 1_024;

/// Prints the token alone on standard output.
pub async fn run(settings: &Settings, args: TokenArgs) -> Result<Exit, CommandError> {
    check(&args)?;
    settings.check_serving().map_err(|error| CommandError::usage(error.to_string()))?;
    for warning in warnings(&args) {
        print::note(&warning);
    }
    let opened = Opened::of(settings, Needs::Serving).await?;
    let issued = issue(&opened, &args).await;
    let closed = opened.close().await;
    let token = issued?;
    if token.len() > MAX_TOKEN {
        print::note(&format!("the token is longer than {MAX_TOKEN} bytes: the server does not read such a token"));
    }
    print::line(&token)?;
    closed.map(|()| Exit::Success)
}

/// Refuses what no server would read.
fn check(args: &TokenArgs) -> Result<(), CommandError> {
    if args.ttl > MAX_LIFETIME {
        return Err(CommandError::usage("--ttl must be at most 24h: a longer one is refused wherever it is shown"));
    }
    if args.ttl < Duration::from_secs(1) {
        return Err(CommandError::usage("--ttl must be at least 1s"));
    }
    for (option, id) in [("--patient", &args.patient), ("--encounter", &args.encounter)] {
        if id.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(CommandError::usage(format!(
                "{option} must be one logical id: 1 to 64 of A-Z, a-z, 0-9, '-' and '.', without a type before it"
            )));
        }
    }
    for (option, thumbprint) in [("--cert-thumbprint", &args.cert_thumbprint), ("--jkt", &args.jkt)] {
        let good = |text: &String| URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
        if !thumbprint.as_ref().is_none_or(good) {
            return Err(CommandError::usage(format!("{option} must be a SHA-256 in base64url: 43 characters")));
        }
    }
    for (option, text) in
        [("--sub", Some(&args.sub)), ("--client", args.client.as_ref()), ("--fhir-user", args.fhir_user.as_ref())]
    {
        let good = |text: &String| (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
        if !text.is_none_or(good) {
            return Err(CommandError::usage(format!("{option} must be a line of 1 to {MAX_TEXT} bytes")));
        }
    }
    Ok(())
}

/// What the person should know about the scopes; they go in as they are.
fn warnings(args: &TokenArgs) -> Vec<String> {
    let scopes = scopes(args);
    let mut warnings: Vec<String> = scopes
        .iter()
        .filter(|scope| !scope::is_known(scope))
        .map(|scope| format!("scope {} is not understood and grants nothing", scope.escape_debug()))
        .collect();
    if args.patient.is_none() && scopes.iter().any(|scope| scope.starts_with("patient/")) {
        warnings.push("patient/ scopes reach nothing without --patient".to_owned());
    }
    if scopes.len() > MAX_SCOPES {
        warnings.push(format!("a token with more than {MAX_SCOPES} scopes is refused"));
    }
    warnings
}

/// The scopes, each once, split as the server splits them.
fn scopes(args: &TokenArgs) -> Vec<&str> {
    let mut scopes = Vec::new();
    let asked = args.delegated.then_some(grants::DELEGATED);
    for scope in args.scope.split(' ').chain(asked) {
        if !scope.is_empty() && !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

async fn issue(opened: &Opened<'_>, args: &TokenArgs) -> Result<String, CommandError> {
    let master_key = opened.master_key()?;
    let public_url = opened.public_url().await?;
    let now = opened.clock.now();
    let mut connection = opened.serving().await?;
    let mut recorder = Recorder::open(opened).await?;
    let directory = directory::load(&mut connection, &public_url, now).await.map_err(explained)?;
    let Some(tenant) = directory.tenant(&args.tenant) else {
        let record = recorder.of_name("token.issue", &args.tenant);
        return recorder.end(record, Err(unknown(&args.tenant))).await;
    };
    if tenant.status == TenantStatus::Suspended {
        print::note(&format!("tenant {} is suspended: its tokens are refused until it is resumed", tenant.name));
    }
    let jti = uuid::Uuid::new_v4().to_string();
    let mut record = recorder.of_tenant("token.issue", tenant);
    record.scopes = scopes(args).into_iter().map(str::to_owned).collect();
    record.resource_id = Some(jti.clone());
    record.client.clone_from(&args.client);
    record.patient.clone_from(&args.patient);
    record.encounter.clone_from(&args.encounter);
    let delegated = scopes(args).contains(&grants::DELEGATED).then(|| delegated(&directory, tenant, now));
    let signed = keys::signing(&mut connection, &master_key, tenant).await.map_err(explained);
    let signed = signed.map(|key| {
        let mut claims = claims(&directory, tenant, args, &jti, now.timestamp());
        claims.extend(delegated.map(|entries| ("delegated_access".to_owned(), Value::Array(entries))));
        key.sign(ACCESS_TOKEN, &Value::Object(claims))
    });
    recorder.end(record, signed).await
}

/// What other tenants grant this one now.
fn delegated(directory: &Directory, tenant: &Tenant, now: DateTime<Utc>) -> Vec<Value> {
    let claim = grants::delegated_access(directory, tenant, now);
    if claim.entries.is_empty() {
        print::note(&format!("no tenant grants {} anything now", tenant.name));
    }
    if claim.left_out > 0 {
        print::note(&format!("{} grants are left out, because the token would be too long", claim.left_out));
    }
    claim.entries
}

/// The claims; those that are not given are left out.
fn claims(directory: &Directory, tenant: &Tenant, args: &TokenArgs, jti: &str, now: i64) -> Map<String, Value> {
    let lifetime = i64::try_from(args.ttl.as_secs()).unwrap_or(i64::MAX);
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("iss", directory.own_issuer_url(&tenant.name).into());
    put("sub", args.sub.as_str().into());
    put("aud", format!("{}/t/{}/fhir", directory.public_url(), tenant.name).into());
    put("exp", now.saturating_add(lifetime).into());
    put("iat", now.into());
    put("jti", jti.into());
    put("tenant_id", tenant.name.as_str().into());
    // As it was given, but for what is asked for by an option.
    let scope = if args.delegated && !args.scope.split(' ').any(|scope| scope == grants::DELEGATED) {
        format!("{} {}", args.scope, grants::DELEGATED).trim_start().to_owned()
    } else {
        args.scope.clone()
    };
    put("scope", scope.into());
    let optional = [
        ("client_id", &args.client),
        ("patient", &args.patient),
        ("fhirUser", &args.fhir_user),
        ("encounter", &args.encounter),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            put(name, value.as_str().into());
        }
    }
    let bound: Map<String, Value> = [("x5t#S256", &args.cert_thumbprint), ("jkt", &args.jkt)]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.as_deref()?.into())))
        .collect();
    if !bound.is_empty() {
        claims.insert("cnf".to_owned(), bound.into());
    }
    claims
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{DateTime, Utc};
    use clap::Parser as _;
    use serde_json::json;
    use vitals_access::{
        clock::Clock,
        directory::DirectoryParts,
        dpop::DpopNonces,
        keys::{KeySet, SigningAlgorithm, SigningKey},
        proof::{Circumstances, Credential},
        tenant::TenantRole,
        verifier::{Base, Verifier},
    };

    use super::*;
    use crate::cli::args::{Command, Invocation};

    const NOW: i64 = 1_800_000_000;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> DateTime<Utc> {
            DateTime::from_timestamp(NOW, 0).unwrap()
        }
    }

    fn parsed(options: &[&str]) -> TokenArgs {
        let line = ["vitals", "token", "--tenant", "mercy"].iter().chain(options);
        match Invocation::try_parse_from(line).unwrap().command {
            Command::Token(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn tenant() -> Tenant {
        Tenant {
            role: TenantRole::generate(),
            number: 1,
            name: "mercy".parse().unwrap(),
            login: 0,
            status: TenantStatus::Active,
            version: 1,
            tier: "default".to_owned(),
            display: "Mercy".to_owned(),
            created: chrono::DateTime::UNIX_EPOCH,
            settings: vitals_access::settings::Settings::default(),
        }
    }

    fn directory(tenant: &Tenant, key: &SigningKey) -> Directory {
        let (keys, _) = KeySet::from_jwks(&format!(r#"{{"keys":[{}]}}"#, key.public_jwk()));
        let own = vec![(tenant.role.clone(), keys)];
        Directory::build(DirectoryParts {
            public_url: "https://fhir.example".to_owned(),
            tenants: vec![tenant.clone()],
            own_keys: own,
            ..DirectoryParts::default()
        })
    }

    #[test]
    fn claims_are_those_of_the_contract_and_nothing_that_was_not_given() {
        let (tenant, key) = (tenant(), SigningKey::generate(SigningAlgorithm::Es256));
        let directory = directory(&tenant, &key);

        let least = Value::from(claims(&directory, &tenant, &parsed(&["--scope", ""]), "j", NOW));
        assert_eq!(
            least,
            json!({
                "iss": "https://fhir.example/t/mercy/auth",
                "sub": "vitals-cli",
                "aud": "https://fhir.example/t/mercy/fhir",
                "exp": NOW + 3_600,
                "iat": NOW,
                "jti": "j",
                "tenant_id": "mercy",
                "scope": "",
            })
        );
        let options =
            "--scope launch --patient p1 --sub s --client c --fhir-user Practitioner/1 --encounter e --ttl 90s";
        let args = parsed(&options.split(' ').collect::<Vec<_>>());
        let most = claims(&directory, &tenant, &args, "j", NOW);
        assert_eq!(most["exp"], NOW + 90);
        let named = ["sub", "client_id", "patient", "fhirUser", "encounter", "scope"].map(|name| &most[name]);
        assert_eq!(named, ["s", "c", "p1", "Practitioner/1", "e", "launch"]);
        for (scope, expected) in [("", "org:delegated"), ("vitals:read", "vitals:read org:delegated")] {
            let args = parsed(&["--scope", scope, "--delegated"]);
            assert_eq!(claims(&directory, &tenant, &args, "j", NOW)["scope"], expected);
        }
    }

    #[test]
    fn every_token_it_makes_is_one_the_server_accepts() {
        let (tenant, key) = (tenant(), SigningKey::generate(SigningAlgorithm::Es256));
        let directory = directory(&tenant, &key);
        let verifier = Verifier::new(Arc::new(Stopped), DpopNonces::new(&[0; 32]));
        let lines: [&[&str]; 3] = [
            &["--scope", ""],
            &["--scope", "system/*.rs vitals:read", "--ttl", "24h"],
            &["--scope", "patient/*.rs", "--patient", "p.1-A", "--fhir-user", "Patient/p1", "--encounter", "e"],
        ];
        for line in lines {
            let args = parsed(line);
            check(&args).unwrap();
            let token = key.sign(ACCESS_TOKEN, &claims(&directory, &tenant, &args, "j", NOW).into());
            let access = verifier
                .verify(
                    &directory,
                    &Credential::Bearer(&token),
                    &Circumstances::inside(&Base::Tenant(tenant.name.clone())),
                )
                .unwrap();
            assert_eq!(access.patient(), args.patient.as_deref());
        }
    }

    #[test]
    fn what_no_server_would_read_is_a_usage_error() {
        let long = "x".repeat(MAX_TEXT + 1);
        let refused: [&[&str]; 9] = [
            &["--scope", "", "--ttl", "25h"],
            &["--scope", "", "--ttl", "86401s"],
            &["--scope", "", "--ttl", "0s"],
            &["--scope", "", "--patient", "Patient/p1"],
            &["--scope", "", "--patient", "p1,p2"],
            &["--scope", "", "--patient", ""],
            &["--scope", "", "--encounter", "e 1"],
            &["--scope", "", "--sub", ""],
            &["--scope", "", "--client", &long],
        ];
        for line in refused {
            assert_eq!(check(&parsed(line)).unwrap_err().exit(), Exit::Usage, "{line:?}");
        }
    }

    #[test]
    fn scopes_that_grant_nothing_are_warned_of() {
        let none: [&str; 4] = ["", "system/*.rs vitals:read", "patient/Patient.r", "launch  openid"];
        for scope in none {
            let args = parsed(&["--scope", scope, "--patient", "p1"]);
            assert!(warnings(&args).is_empty(), "{scope}: {:?}", warnings(&args));
        }
        assert_eq!(warnings(&parsed(&["--scope", "vitals:reed vitals:reed launch"])).len(), 1);
        assert_eq!(warnings(&parsed(&["--scope", "patient/Patient.r"])).len(), 1);
        let many: Vec<String> = (0..65).map(|n| format!("system/Observation.r?code=x|{n}")).collect();
        assert_eq!(warnings(&parsed(&["--scope", &many.join(" ")])), ["a token with more than 64 scopes is refused"]);
    }
}
