//! The tables of the configuration file that say what is limited: `[tiers.NAME]`, `[costs]`, `[limits]`.
//!
//! ```toml
//! [tiers.gold]
//! read = { burst = 100, sustained = 3_000, daily = 1_000_000 }
//! search = { burst = 40 }
//! per_client = { read = { burst = 20 } }
//!
//! [costs]
//! export = 100
//!
//! [limits]
//! address_per_second = 100
//! ```

use std::ops::RangeInclusive;

use toml::{Table, Value};
use vitals_access::limits::{Category, Limits, Quotas};

use super::ConfigError;
use crate::limit::settings::LimitSettings;

/// What a quota may be. Zero would be a way to switch something off that says so nowhere.
const QUOTA: RangeInclusive<u64> = 1..=1_000_000_000_000;
const COST: RangeInclusive<u64> = 1..=1_000_000;
/// What may be at work at once.
const AT_ONCE: RangeInclusive<u64> = 1..=1_000_000;
const MEGABYTES: RangeInclusive<u64> = 64..=1_000_000;

/// Takes the tables out of the file's.
pub(super) fn take(file: &str, all: &mut Table) -> Result<LimitSettings, ConfigError> {
    let mut settings = LimitSettings::default();
    for (name, value) in table(file, "tiers", all.remove("tiers"))? {
        let place = format!("tiers.{name}");
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 40 || !name.bytes().all(plain) {
            return Err(wrong(file, &place, "the name of a tier is 1 to 40 of a-z, 0-9 and '-'"));
        }
        let tier = tier(file, &place, value)?;
        settings.tiers.insert(name, tier);
    }
    for (name, value) in table(file, "costs", all.remove("costs"))? {
        let costs = &mut settings.costs;
        let cost = match name.as_str() {
            "read" => &mut costs.read,
            "search" => &mut costs.search,
            "joined" => &mut costs.joined,
            "write" => &mut costs.write,
            "bundle" => &mut costs.bundle,
            "everything" => &mut costs.everything,
            "export" => &mut costs.export,
            "auth" => &mut costs.auth,
            "admin" => &mut costs.admin,
            _ => {
                let known = "read, search, joined, write, bundle, everything, export, auth, admin";
                return Err(wrong(file, &format!("costs.{name}"), &format!("what has a cost is one of {known}")));
            }
        };
        *cost = number(file, &format!("costs.{name}"), &value, COST)?;
    }
    for (name, value) in table(file, "limits", all.remove("limits"))? {
        let place = format!("limits.{name}");
        let number = |range| number(file, &place, &value, range);
        match name.as_str() {
            "address_per_second" => settings.address.per_second = Some(number(QUOTA)?),
            "address_per_minute" => settings.address.per_minute = Some(number(QUOTA)?),
            "searches_per_tenant" => {
                settings.concurrency.searches_per_tenant = Some(size(number(AT_ONCE)?));
            }
            "searches_beside_others" => {
                settings.concurrency.searches_beside_others = Some(size(number(AT_ONCE)?));
            }
            "waiting_per_tenant" => {
                settings.concurrency.waiting_per_tenant = Some(size(number(AT_ONCE)?));
            }
            "body_megabytes" => {
                settings.concurrency.body_bytes = size(number(MEGABYTES)?) * 1024 * 1024;
            }
            _ => {
                let known = "address_per_second, address_per_minute, searches_per_tenant, \
                             searches_beside_others, waiting_per_tenant, body_megabytes";
                return Err(wrong(file, &place, &format!("what is limited here is one of {known}")));
            }
        }
    }
    Ok(settings)
}

fn tier(file: &str, place: &str, value: Value) -> Result<Limits, ConfigError> {
    let mut limits = Limits::default();
    for (name, value) in table(file, place, Some(value))? {
        if name == "per_client" {
            let place = format!("{place}.per_client");
            for (name, value) in table(file, &place, Some(value))? {
                let (category, quotas) = category(file, &place, &name, value)?;
                limits.per_client.insert(category, quotas);
            }
        } else {
            let (category, quotas) = category(file, place, &name, value)?;
            limits.tenant.insert(category, quotas);
        }
    }
    Ok(limits)
}

fn category(file: &str, place: &str, name: &str, value: Value) -> Result<(Category, Quotas), ConfigError> {
    let place = format!("{place}.{name}");
    let Some(category) = Category::named(name) else {
        let text = "a tier has the categories read, search, write, bulk, auth, admin, and per_client with the same";
        return Err(wrong(file, &place, text));
    };
    let mut quotas = Quotas::NONE;
    for (name, value) in table(file, &place, Some(value))? {
        let place = format!("{place}.{name}");
        let quota = match name.as_str() {
            "burst" => &mut quotas.burst,
            "sustained" => &mut quotas.sustained,
            "daily" => &mut quotas.daily,
            _ => {
                let text = "a quota is one of burst (per second), sustained (per minute) and daily";
                return Err(wrong(file, &place, text));
            }
        };
        *quota = Some(number(file, &place, &value, QUOTA)?);
    }
    Ok((category, quotas))
}

fn table(file: &str, place: &str, value: Option<Value>) -> Result<Table, ConfigError> {
    match value {
        None => Ok(Table::new()),
        Some(Value::Table(table)) => Ok(table),
        Some(_) => Err(wrong(file, place, "must be a table, such as { burst = 100, sustained = 3000 }")),
    }
}

fn number(file: &str, place: &str, value: &Value, range: RangeInclusive<u64>) -> Result<u64, ConfigError> {
    let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| wrong(file, place, &format!("must be a whole number from {} to {}", range.start(), range.end())))
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn wrong(file: &str, place: &str, why: &str) -> ConfigError {
    ConfigError::Value { origin: format!("{place} in {file}"), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LimitSettings, String> {
        let mut table: Table = text.parse().expect("TOML");
        take("vitals.toml", &mut table).map_err(|error| error.to_string())
    }

    #[test]
    fn tiers_costs_and_limits_are_read() {
        let settings = read(
            "[tiers.gold]\nread = { burst = 100, sustained = 3_000 }\nper_client = { search = { daily = 7 } }\n\
             [tiers.bronze.write]\nburst = 1\n[costs]\nexport = 50\n\
             [limits]\naddress_per_second = 5\nsearches_per_tenant = 3\nbody_megabytes = 64\n",
        )
        .unwrap();
        let gold = &settings.tiers["gold"];
        let read = Quotas { burst: Some(100), sustained: Some(3_000), daily: None };
        assert_eq!(gold.tenant[&Category::Read], read);
        assert_eq!(gold.per_client[&Category::Search].daily, Some(7));
        assert_eq!(settings.tiers["bronze"].tenant[&Category::Write].burst, Some(1));
        assert_eq!((settings.costs.export, settings.costs.read), (50, 1));
        assert_eq!((settings.address.per_second, settings.address.per_minute), (Some(5), Some(6_000)));
        assert_eq!(settings.concurrency.searches_per_tenant, Some(3));
        assert_eq!(settings.concurrency.body_bytes, 64 * 1024 * 1024);
        assert_eq!(self::read("").unwrap(), LimitSettings::default());
    }

    #[test]
    fn what_is_wrong_says_what_would_be_right() {
        for (text, place) in [
            ("[tiers.Gold]\n", "tiers.Gold in vitals.toml: the name of a tier is"),
            ("[tiers.gold]\nreads = {}\n", "tiers.gold.reads in vitals.toml: a tier has the categories"),
            ("[tiers.gold]\nread = 5\n", "tiers.gold.read in vitals.toml: must be a table"),
            ("[tiers.gold.read]\nhourly = 5\n", "tiers.gold.read.hourly in vitals.toml: a quota is one of burst"),
            ("[tiers.gold.read]\nburst = 0\n", "tiers.gold.read.burst in vitals.toml: must be a whole number from 1"),
            ("[tiers.gold.read]\nburst = \"5\"\n", "tiers.gold.read.burst in vitals.toml: must be a whole number"),
            ("[tiers.gold.per_client.x]\n", "tiers.gold.per_client.x in vitals.toml: a tier has the categories"),
            ("[costs]\nsearches = 5\n", "costs.searches in vitals.toml: what has a cost is one of"),
            ("[costs]\nread = -1\n", "costs.read in vitals.toml: must be a whole number"),
            ("[limits]\nper_second = 5\n", "limits.per_second in vitals.toml: what is limited here"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(place), "{text}: {error}");
        }
    }
}
