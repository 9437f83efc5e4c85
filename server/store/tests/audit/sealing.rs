//! Months that are taken out of the trail: receipts stand for them, and no more than what they held.

use std::{collections::HashMap, io};

use chrono::{DateTime, TimeDelta, Utc};
use vitals_access::{audit::AuditRecord, witness::Witness};
use vitals_store::{
    audit::{
        Afterwards, Appender, Durability, ExportRows, Exported, Head, Month, Reason, Seal, SealError, Sealed,
        Verification, Verify, seal, verify,
    },
    migrate, urls,
};

use crate::trail::{Trail, append, now, record};

const CHAIN: &str = "t_aaaaaaaaaaaaaaaaaaaaaaaaaa";
/// Of a tenant that did nothing since.
const QUIET: &str = "t_bbbbbbbbbbbbbbbbbbbbbbbbbb";

fn witness() -> Witness {
    Witness::derived(&[7; 32]).unwrap()
}

fn at(chain: &str, time: &str) -> AuditRecord {
    let time: DateTime<Utc> = time.parse().unwrap();
    record(chain, (time - now()).num_milliseconds())
}

async fn begun_in_july(name: &str) -> Trail {
    let mut trail = Trail::new(name).await;
    migrate::audit(&mut trail.superuser, "2026-07-10T00:00:00Z".parse().unwrap()).await.unwrap();
    trail
}

#[derive(Default)]
struct Lines {
    written: Vec<String>,
    ended: bool,
    full: bool,
}

impl ExportRows for Lines {
    fn row(&mut self, row: &Exported) -> io::Result<()> {
        self.written.push(row.line());
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.ended = true;
        if self.full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

async fn sealed(trail: &Trail, month: &str, afterwards: Afterwards) -> Result<(Sealed, Vec<String>), SealError> {
    let mut admin = urls::connect(&trail.urls.audit_admin().unwrap()).await.unwrap();
    let witness = witness();
    let what = Seal { month: month.parse::<Month>().unwrap(), witness: &witness, now: now(), afterwards };
    let mut lines = Lines::default();
    let done = seal(&mut admin, &what, &mut lines).await?;
    assert!(lines.ended);
    Ok((done, lines.written))
}

async fn verified(trail: &Trail, heads: &[Head]) -> Verification {
    let (names, keys) = (HashMap::new(), witness().keys());
    let what = Verify { heads, keys: Some(&keys), ..Verify::everything(&names) };
    verify(&trail.urls.audit_read, what).await.unwrap()
}

/// Records of three months by two writers, of which the second began behind the middle of the first; one whose clock
/// was behind lies in the month before. The heads of each time.
async fn written(trail: &Trail) -> (Appender, Vec<Head>) {
    let mut heads = Vec::new();
    let mut first = trail.appender(Durability::Strict);
    append(&mut first, &[at(CHAIN, "2026-08-03T08:00:00Z"), at(QUIET, "2026-08-04T08:00:00Z")]).await;
    heads.extend(first.take_heads());
    let mut second = trail.appender(Durability::Strict);
    append(&mut second, &[at(CHAIN, "2026-08-05T08:00:00Z")]).await;
    heads.extend(second.take_heads());
    let of_first = [
        at(CHAIN, "2026-08-06T08:00:00Z"),
        at(CHAIN, "2026-09-01T00:00:00.001Z"),
        at(CHAIN, "2026-08-31T23:59:59.999Z"),
        at(CHAIN, "2026-09-02T08:00:00Z"),
    ];
    append(&mut first, &of_first).await;
    heads.extend(first.take_heads());
    append(&mut second, &[at(CHAIN, "2026-10-06T08:00:00Z"), at(CHAIN, "2026-11-06T08:00:00Z")]).await;
    heads.extend(second.take_heads());
    append(&mut first, &[at(CHAIN, "2026-11-07T08:00:00Z")]).await;
    heads.extend(first.take_heads());
    assert_eq!(heads.len(), 6);
    (first, heads)
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_months_hold_and_chains_go_on_behind_them() {
    let mut trail = begun_in_july("audit_seal").await;
    let (mut first, heads) = written(&trail).await;
    let whole = verified(&trail, &heads).await;
    assert_eq!((whole.first_bad, whole.records, whole.sealed), (None, 10, 0));

    for (month, afterwards, records, receipts) in [
        ("2026-07", Afterwards::Keep, 0, 0),
        // Two stretches of the first writer: its clock was behind once.
        ("2026-08", Afterwards::Keep, 5, 4),
        ("2026-09", Afterwards::Drop, 2, 2),
    ] {
        let (done, exported) = sealed(&trail, month, afterwards).await.unwrap();
        assert_eq!((done.records, done.receipts.len(), exported.len()), (records, receipts, exported.len()), "{month}");
        assert_eq!(u64::try_from(exported.len()).unwrap(), records);
        assert!(exported.iter().all(|line| line.contains(r#""record":{"writer":"#)));
        assert!(done.receipts.iter().all(|line| witness().keys().judge(line).is_ok()));
        assert_eq!(verified(&trail, &heads).await.first_bad, None, "{month}");
    }
    let rest = verified(&trail, &heads).await;
    assert_eq!((rest.records, rest.sealed), (3, 7));

    // The old writer and new ones go on, in the chain that is sealed as a whole as well.
    append(&mut first, &[record(CHAIN, 0), record(QUIET, 0)]).await;
    let mut third = trail.appender(Durability::Strict);
    append(&mut third, &[record(CHAIN, 1), record(QUIET, 1)]).await;
    assert_eq!(verified(&trail, &heads).await.first_bad, None);
    // What stays in the database of the sealed months: one, in a schema that nobody serves from.
    assert_eq!(trail.tamper("UPDATE audit_sealed.record_2026_08 SET record = record").await, 5);

    // Without the keys nobody can know; a receipt that was changed or made by somebody else is none.
    let names = HashMap::new();
    let unchecked = verify(&trail.urls.audit_read, Verify::everything(&names)).await.unwrap();
    assert_eq!(unchecked.first_bad.map(|bad| bad.reason), Some(Reason::Receipt));
    for (statement, undo, sequence, reason) in [
        (
            "UPDATE audit.receipt SET line = replace(line, '\"last\":2', '\"last\":3') WHERE first = 1",
            "UPDATE audit.receipt SET line = replace(line, '\"last\":3', '\"last\":2') WHERE first = 1",
            1,
            Reason::Receipt,
        ),
        (
            "CREATE TABLE public.kept AS SELECT * FROM audit.receipt WHERE first = 4; \
             DELETE FROM audit.receipt WHERE first = 4",
            "INSERT INTO audit.receipt SELECT * FROM public.kept",
            4,
            Reason::Gap,
        ),
    ] {
        trail.tamper(statement).await;
        let bad = verified(&trail, &heads).await.first_bad.expect(statement);
        assert_eq!((bad.writer, bad.sequence, bad.reason), (first.writer(), sequence, reason), "{statement}");
        trail.tamper(undo).await;
        assert_eq!(verified(&trail, &heads).await.first_bad, None, "{undo}");
    }
    // A record behind a receipt is missed as any other.
    trail.tamper(&format!("DELETE FROM audit.record WHERE writer = {} AND sequence = 6", first.writer())).await;
    let bad = verified(&trail, &[]).await.first_bad.unwrap();
    assert_eq!((bad.sequence, bad.reason), (6, Reason::Gap));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_sealed_in_its_turn_and_once_and_only_if_it_holds() {
    let mut trail = begun_in_july("audit_seal_turn").await;
    written(&trail).await;
    for young in ["2026-10", "2026-11", "2027-01"] {
        assert!(matches!(sealed(&trail, young, Afterwards::Keep).await, Err(SealError::TooYoung(..))), "{young}");
    }
    assert!(matches!(sealed(&trail, "2026-09", Afterwards::Keep).await, Err(SealError::Earlier(_))));
    assert!(matches!(sealed(&trail, "2025-01", Afterwards::Keep).await, Err(SealError::NoMonth(_))));

    let spoiled = "UPDATE audit.record SET record = record || ' ' WHERE time = '2026-08-05 08:00+00'";
    assert_eq!(trail.tamper(spoiled).await, 1);
    assert!(matches!(sealed(&trail, "2026-08", Afterwards::Keep).await, Err(SealError::Broken { sequence: 1, .. })));
    trail.tamper("UPDATE audit.record SET record = rtrim(record)").await;

    // What cannot be exported is not sealed.
    let mut admin = urls::connect(&trail.urls.audit_admin().unwrap()).await.unwrap();
    let witness = witness();
    let what = Seal { month: "2026-08".parse().unwrap(), witness: &witness, now: now(), afterwards: Afterwards::Drop };
    let failed = seal(&mut admin, &what, &mut Lines { full: true, ..Lines::default() }).await;
    assert!(matches!(failed, Err(SealError::Export(_))), "{failed:?}");

    sealed(&trail, "2026-08", Afterwards::Keep).await.unwrap();
    assert!(matches!(sealed(&trail, "2026-08", Afterwards::Keep).await, Err(SealError::NoMonth(_))));
    // Partitions that setup makes do not bring it back.
    migrate::audit(&mut trail.superuser, now() + TimeDelta::days(40)).await.unwrap();
    assert_eq!(verified(&trail, &[]).await.first_bad, None);
}
