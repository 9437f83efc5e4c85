//! `vitals tenant set`: what a tenant has switched on.

use std::path::Path;

use vitals_access::{
    settings::{Settings, Upstream},
    tenant::Tenant,
};
use vitals_store::control::settings;

use super::{
    CommandError, Opened,
    args::TenantSetArgs,
    print,
    recorded::Recorder,
    tenant::{explained, known, wait_for_servers},
};
use crate::authorization::provider;

/// Largest file of certificates.
const MAX_CA: usize = 64 * 1024;

/// Sets what is given and leaves the rest.
pub async fn set(opened: &Opened<'_>, args: &TenantSetArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "tenant.set";
    let (mut admin, mut recorder) = tokio::try_join!(opened.admin(), Recorder::open(opened))?;
    let tenant = known(&mut admin, &mut recorder, ACTION, &args.id).await?;
    let changed = apply(opened, &tenant, args)?;
    if changed == tenant.settings {
        return show(&changed, json);
    }
    let record = recorder.of_tenant(ACTION, &tenant);
    recorder.begin(&record).await?;
    let set = settings::set(&mut admin, &args.id, &changed, opened.clock.now()).await;
    let seq = recorder.end(record, set.map_err(explained)).await?;
    wait_for_servers(opened, seq).await?;
    show(&changed, json)
}

fn apply(opened: &Opened<'_>, tenant: &Tenant, args: &TenantSetArgs) -> Result<Settings, CommandError> {
    let mut settings = tenant.settings.clone();
    for (switch, value) in [
        (args.authorization_server, &mut settings.authorization_server),
        (args.api_keys, &mut settings.api_keys),
        (args.production, &mut settings.production),
        (args.registration, &mut settings.registration),
        (args.require_certificate, &mut settings.require_certificate),
        (args.require_proof, &mut settings.require_proof),
    ] {
        if let Some(switch) = switch {
            *value = switch.is_on();
        }
    }
    if settings.api_keys && settings.production {
        return Err(CommandError::usage(
            "a tenant in production takes no API keys: give --api-keys off with --production on",
        ));
    }
    if let Some(file) = &args.client_ca {
        settings.client_ca = if file.as_os_str().is_empty() { None } else { Some(certificates(file)?) };
    }
    if let Some(colour) = &args.colour {
        settings.colour = if colour.is_empty() { None } else { Some(self::colour(colour)?) };
    }
    if let Some(minutes) = args.idle_minutes {
        settings.idle_minutes = minutes;
    }
    if !args.origins.is_empty() {
        settings.origins = origins(&args.origins)?;
    }
    if let Some(issuer) = &args.sign_in_issuer {
        settings.sign_in = if issuer.is_empty() { None } else { Some(upstream(opened, tenant, issuer, args)?) };
    }
    Ok(settings)
}

fn certificates(file: &Path) -> Result<String, CommandError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| CommandError::new(format!("cannot read --client-ca {}: {error}", file.display())))?;
    if text.len() > MAX_CA || !text.contains("-----BEGIN CERTIFICATE-----") || text.contains("PRIVATE KEY") {
        return Err(CommandError::usage(format!(
            "--client-ca {}: not a file of certificates in PEM, or one that holds a private key",
            file.display()
        )));
    }
    Ok(text)
}

fn colour(text: &str) -> Result<String, CommandError> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
    match digits {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => Ok(text.to_ascii_lowercase()),
        _ => Err(CommandError::usage("--colour must be # and six hexadecimal digits, such as #0b5fff")),
    }
}

/// Origins as browsers send them: scheme, host and, where it is not the scheme's own, port.
fn origins(given: &[String]) -> Result<Vec<String>, CommandError> {
    let mut origins = Vec::new();
    for text in given.iter().filter(|text| !text.is_empty()) {
        let parsed = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        let plain = parsed.map(|url| url.origin().ascii_serialization()).filter(|plain| plain == text);
        let Some(plain) = plain else {
            return Err(CommandError::usage(format!(
                "--origin {text} is no origin: scheme and host without a path, such as https://app.example"
            )));
        };
        if !origins.contains(&plain) {
            origins.push(plain);
        }
    }
    Ok(origins)
}

fn upstream(
    opened: &Opened<'_>,
    tenant: &Tenant,
    issuer: &str,
    args: &TenantSetArgs,
) -> Result<Upstream, CommandError> {
    let client_id = args.sign_in_client.clone();
    let client_id = client_id.ok_or_else(|| CommandError::usage("--sign-in-issuer needs --sign-in-client"))?;
    let sealed_secret = match &args.sign_in_secret_file {
        None => None,
        Some(file) => {
            let secret = std::fs::read_to_string(file).map_err(|error| {
                CommandError::new(format!("cannot read --sign-in-secret-file {}: {error}", file.display()))
            })?;
            Some(provider::seal_secret(&opened.master_key()?, &tenant.role, secret.trim())?)
        }
    };
    Ok(Upstream { issuer: issuer.to_owned(), client_id, sealed_secret, scope: "openid profile email".to_owned() })
}

/// Shows what is switched on; the sealed secret is nobody's business.
fn show(settings: &Settings, json: bool) -> Result<(), CommandError> {
    let mut shown = serde_json::to_value(settings)?;
    if let Some(sign_in) = shown.get_mut("sign_in").and_then(serde_json::Value::as_object_mut) {
        sign_in.remove("sealed_secret");
    }
    if json {
        return print::json(&shown);
    }
    let fields: Vec<(&str, String)> = shown
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    print::fields(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_send_them() {
        let good = ["https://app.example", "http://127.0.0.1:9000"].map(str::to_owned);
        assert_eq!(origins(&good).unwrap(), good);
        assert_eq!(origins(&[String::new()]).unwrap(), Vec::<String>::new());
        for bad in ["https://app.example/", "https://app.example:443", "app.example", "null", "https://A.example", "*"]
        {
            assert_eq!(origins(&[bad.to_owned()]).unwrap_err().exit(), crate::cli::Exit::Usage, "{bad}");
        }
    }

    #[test]
    fn colours_are_six_digits() {
        assert_eq!(colour("#0B5FFF").unwrap(), "#0b5fff");
        for bad in ["0b5fff", "#0b5", "#0b5fffa", "#0b5ffg", "red", "#0b5ff\u{e9}"] {
            assert!(colour(bad).is_err(), "{bad}");
        }
    }
}
