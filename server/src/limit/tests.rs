use chrono::DateTime;
use vitals_access::{
    limits::Limits,
    settings::Settings,
    tenant::{TenantRole, TenantStatus},
};

use super::*;

const NOW: i64 = 1_772_323_200_000;
const READ: Charge = Charge { category: Category::Read, units: 1 };

fn sustained(units: u64) -> Limits {
    let quotas = Quotas { sustained: Some(units), ..Quotas::NONE };
    Limits { tenant: [(Category::Read, quotas)].into(), ..Limits::default() }
}

fn tenant(name: &str, tier: &str) -> Tenant {
    Tenant {
        role: TenantRole::generate(),
        number: 1,
        name: name.parse().expect("a tenant name"),
        login: 0,
        status: TenantStatus::Active,
        version: 1,
        tier: tier.to_owned(),
        display: name.to_owned(),
        created: DateTime::UNIX_EPOCH,
        settings: Settings::default(),
    }
}

fn limiter() -> Limiter {
    let tiers = [("bronze".to_owned(), sustained(5)), ("gold".to_owned(), sustained(50))].into();
    Limiter::new(LimitSettings { tiers, ..LimitSettings::default() })
}

async fn admitted(limiter: &Limiter, tenant: &Tenant, claimed: Option<&str>) -> usize {
    let mut count = 0;
    while limiter.decide(tenant, claimed, "client", READ, NOW).await.is_ok() {
        count += 1;
        assert!(count < 1_000, "there is a limit");
    }
    count
}

#[tokio::test]
async fn r10_the_table_wins_over_what_a_token_claims() {
    let cases = [
        ("bronze", None, 5),
        ("bronze", Some("gold"), 5),
        ("bronze", Some("platinum"), 5),
        ("gold", None, 50),
        ("gold", Some("bronze"), 5),
        ("default", Some("bronze"), 5),
    ];
    for (tier, claimed, count) in cases {
        let tenant = tenant("ward", tier);
        assert_eq!(admitted(&limiter(), &tenant, claimed).await, count, "{tier} {claimed:?}");
    }
}

#[tokio::test]
async fn a_token_of_a_lower_tier_leaves_the_rest_to_others() {
    let (limiter, tenant) = (limiter(), tenant("ward", "gold"));
    assert_eq!(admitted(&limiter, &tenant, Some("bronze")).await, 5);
    assert_eq!(admitted(&limiter, &tenant, None).await, 45);
}

#[tokio::test]
async fn what_is_set_for_a_tenant_stands_in_place_of_its_tiers() {
    let mut tenant = tenant("ward", "bronze");
    tenant.settings.limits = sustained(7);
    assert_eq!(admitted(&limiter(), &tenant, None).await, 7);
}

#[tokio::test]
async fn who_has_no_quotas_is_not_counted() {
    let (limiter, tenant) = (limiter(), tenant("ward", "default"));
    for _ in 0..10_000 {
        assert_eq!(limiter.decide(&tenant, None, "client", READ, NOW).await, Ok(Admitted::unlimited()));
    }
}

#[tokio::test]
async fn a_refusal_names_the_limit_and_when_to_come_again() {
    let (limiter, tenant) = (limiter(), tenant("ward", "bronze"));
    admitted(&limiter, &tenant, None).await;
    let Err(Denied::Limited(refused)) = limiter.decide(&tenant, None, "client", READ, NOW + 10_500).await else {
        panic!("over the limit");
    };
    assert_eq!((refused.name.as_str(), refused.retry_after), ("ward:read:sustained", 50));
    assert!(limiter.decide(&tenant, None, "client", READ, NOW + 60_000).await.is_ok());
}

#[test]
fn names_are_cut_between_characters() {
    assert_eq!(cut("client"), "client");
    assert_eq!(cut(&"é".repeat(200)).len(), LONGEST_NAME);
    assert_eq!(cut(&format!("x{}", "é".repeat(200))).len(), LONGEST_NAME + 1);
}
