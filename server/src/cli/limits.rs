//! `vitals limits …`: what the callers of a tenant may do. What they did is known to the servers alone:
//! `/t/{tenant}/admin/limits`.

use serde::Serialize;
use vitals_access::{
    limits::{Category, Quotas},
    tenant::Tenant,
};
use vitals_store::control::settings;

use super::{
    CommandError, Exit, Needs, Opened,
    args::{LimitsCommand, LimitsSetArgs, OfTenantArgs},
    print,
    recorded::Recorder,
    tenant::{explained, known, wait_for_servers},
};
use crate::config::Settings;

/// Runs the command.
pub async fn run(settings: &Settings, command: LimitsCommand, json: bool) -> Result<Exit, CommandError> {
    let opened = Opened::of(settings, Needs::Admin).await?;
    let done = match command {
        LimitsCommand::Show(args) => show(&opened, &args, json).await,
        LimitsCommand::Set(args) => set(&opened, &args, json).await,
    };
    let closed = opened.close().await;
    done.and(closed).map(|()| Exit::Success)
}

async fn show(opened: &Opened<'_>, args: &OfTenantArgs, json: bool) -> Result<(), CommandError> {
    let (mut admin, mut recorder) = tokio::try_join!(opened.admin(), Recorder::open(opened))?;
    let tenant = known(&mut admin, &mut recorder, "limits.read", &args.tenant).await?;
    tell(opened, &tenant, json)
}

async fn set(opened: &Opened<'_>, args: &LimitsSetArgs, json: bool) -> Result<(), CommandError> {
    const ACTION: &str = "limits.set";
    let (mut admin, mut recorder) = tokio::try_join!(opened.admin(), Recorder::open(opened))?;
    let mut tenant = known(&mut admin, &mut recorder, ACTION, &args.tenant).await?;
    let record = recorder.of_tenant(ACTION, &tenant);
    apply(&mut tenant, args)?;
    recorder.begin(&record).await?;
    let set = settings::set(&mut admin, &args.tenant, &tenant.settings, opened.clock.now()).await;
    let seq = recorder.end(record, set.map_err(explained)).await?;
    wait_for_servers(opened, seq).await?;
    tell(opened, &tenant, json)
}

fn apply(tenant: &mut Tenant, args: &LimitsSetArgs) -> Result<(), CommandError> {
    let limits = &mut tenant.settings.limits;
    let of = if args.per_client { &mut limits.per_client } else { &mut limits.tenant };
    if args.clear {
        of.remove(&args.category);
        return Ok(());
    }
    let quotas = Quotas { burst: args.burst, sustained: args.sustained, daily: args.daily };
    if quotas.is_none() {
        return Err(CommandError::usage(
            "say what there may be: --burst (per second), --sustained (per minute), --daily; or --clear",
        ));
    }
    of.insert(args.category, quotas);
    Ok(())
}

/// A category of a tenant.
#[derive(Serialize)]
struct Row {
    category: &'static str,
    /// Whose requests it counts.
    of: &'static str,
    /// Where it is said.
    from: &'static str,
    #[serde(flatten)]
    quotas: Quotas,
}

/// What holds for a tenant, by its own settings and by the tiers of the configuration that the command was given, which
/// should be the servers'.
fn tell(opened: &Opened<'_>, tenant: &Tenant, json: bool) -> Result<(), CommandError> {
    let table = &opened.settings().limits;
    if !table.has_tier(&tenant.tier) {
        print::note(&format!(
            "no tier is called {} in this configuration: give --config with the file of the servers",
            tenant.tier
        ));
    }
    let own = &tenant.settings.limits;
    let mut rows = Vec::new();
    for category in Category::ALL {
        for (of, quotas, set) in [
            ("tenant", table.of_tenant(tenant, category), own.tenant.contains_key(&category)),
            ("client", table.of_client(tenant, category), own.per_client.contains_key(&category)),
        ] {
            if !quotas.is_none() {
                rows.push(Row { category: category.name(), of, from: if set { "tenant" } else { "tier" }, quotas });
            }
        }
    }
    if json {
        return print::json(&serde_json::json!({
            "tenant": tenant.name.as_str(),
            "tier": tenant.tier,
            "limits": rows,
        }));
    }
    if rows.is_empty() {
        print::note(&format!("nothing is limited for tenant {} (tier {})", tenant.name, tenant.tier));
    }
    let shown = |quota: Option<u64>| quota.map_or_else(|| "-".to_owned(), |quota| quota.to_string());
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let Quotas { burst, sustained, daily } = row.quotas;
            let words = [row.category, row.of, row.from].map(str::to_owned);
            words.into_iter().chain([burst, sustained, daily].map(shown)).collect()
        })
        .collect();
    print::table(&["category", "of", "from", "per second", "per minute", "daily"], &cells)
}
