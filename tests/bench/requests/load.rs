//! Loading: by transactions of 100, which shows what an Observation takes on disk, and by `vitals import` beside COPY.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{ENTRIES, Place, Reach, Report, TENANT, data};
use crate::{
    connection::{Connection, request},
    postgres::As,
    program::Serving,
    table::Samples,
};

/// The tenant that is loaded by transactions.
const BY_BUNDLES: &str = "bench-bundles";
/// Bundles on their way at a time.
const AT_ONCE: u32 = 4;
/// How long records of writes may take until they have left the outbox.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// Loads a tenant by transactions of 100, and says what that takes on disk: the tenant's tables with indexes and what
/// is kept beside them, and the records of the audit trail with theirs.
pub async fn by_bundles(place: &Place<'_>, server: &Serving, report: &mut Report) {
    place.program.run(place.folder, &["tenant", "create", BY_BUNDLES]);
    let (_, token) = place.program.run(place.folder, &["token", "--tenant", BY_BUNDLES, "--scope", "system/*.cruds"]);
    let token = format!("Bearer {token}");
    let base = format!("/t/{BY_BUNDLES}/fhir");
    let mut connection = Connection::open(server.public).await;
    let answer = connection.ask(&request("POST", &base, &token, Some(&data::patients()))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // Each entry's address holds the id: Patient/{id}/_history/1.
    let patients: Vec<String> = answer.body.split("Patient/").skip(1).map(id_of).collect();
    assert_eq!(patients.len(), data::PATIENTS as usize, "{}", answer.body);
    let patients = Arc::new(patients);
    let role = place.role(BY_BUNDLES);
    place.settled(&role).await;
    let (tables_before, audit_before) = (place.tables(&role), place.audit());

    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|task| {
            let (token, base, address, patients) = (token.clone(), base.clone(), server.public, Arc::clone(&patients));
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                for bundle in (task..data::OBSERVATIONS / ENTRIES).step_by(AT_ONCE as usize) {
                    let id_of = |number| patients[number as usize].clone();
                    let body = data::transaction(bundle, ENTRIES, &id_of);
                    let answer = connection.ask(&request("POST", &base, &token, Some(&body))).await;
                    assert_eq!(answer.status, 200, "{}", answer.body);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("the Bundles are taken");
    }
    place.settled(&role).await;
    assert_eq!(place.rows(&role), u64::from(data::OBSERVATIONS), "every Observation is there");

    let each = |bytes: f64| bytes / f64::from(data::OBSERVATIONS);
    let all_of_one = format!("{base}/Observation?patient={}&_count=1000", patients[0]);
    let answer = connection.ask(&request("GET", &all_of_one, &token, None)).await;
    let length = mean_length(&answer.body);
    let (tables, audit) = (place.tables(&role), place.audit());
    report.figure("bytes of an Observation as it is read", length, None, "", Reach::None);
    let mut total = each(audit - audit_before);
    for (name, bytes) in &tables {
        let before = tables_before.iter().find(|(other, _)| other == name).map_or(0.0, |(_, bytes)| *bytes);
        let grown = each(bytes - before);
        total += grown;
        if grown >= 0.5 {
            report.figure(&format!("  on disk: {name}"), grown, None, "", Reach::None);
        }
    }
    report.figure("  on disk: audit trail", each(audit - audit_before), None, "", Reach::None);
    report.figure("bytes on disk, each Observation", total, None, "", Reach::Most(1_600.0));
}

/// How long the resources of a searchset are on average: all that there are of one patient.
fn mean_length(searchset: &str) -> f64 {
    let searchset: serde_json::Value = serde_json::from_str(searchset).expect("a Bundle");
    let entries = searchset["entry"].as_array().expect("with entries");
    assert_eq!(entries.len(), (data::OBSERVATIONS / data::PATIENTS) as usize, "all are found");
    // Digits and order are kept, so that this is as long as what was answered.
    let lengths = entries.iter().map(|entry| entry["resource"].to_string().len());
    let sum = u32::try_from(lengths.sum::<usize>()).expect("some hundred thousand bytes");
    f64::from(sum) / f64::from(data::OBSERVATIONS / data::PATIENTS)
}

/// The id at the beginning of what follows the type in an address.
fn id_of(rest: &str) -> String {
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// Loads tenants by import, and the same rows into the same tables by COPY.
pub fn by_import(place: &Place<'_>, report: &mut Report) {
    let file = place.folder.path().join("bench.ndjson");
    std::fs::write(&file, data::ndjson()).expect("the data can be written");
    let (mut imports, mut copies) = (Samples::default(), Samples::default());
    let mut columns = String::new();
    let rows = place.folder.path().join("rows.copy");
    // In turn, and the first is the tenant that requests go to.
    for (round, tenant) in [TENANT, "bench-again"].into_iter().enumerate() {
        place.program.run(place.folder, &["tenant", "create", tenant]);
        let (took, _) = place.program.run(place.folder, &["import", "--tenant", tenant, &file.to_string_lossy()]);
        imports.add(took);
        let role = place.role(tenant);
        assert_eq!(place.rows(&role), u64::from(data::OBSERVATIONS), "every Observation was imported");
        if round == 0 {
            columns = place.columns(&role);
            let of = format!("\\copy (SELECT {columns} FROM {role}.observation ORDER BY id) TO '{}'\n", rows.display());
            place.postgres.psql(&As::Admin, &of);
        }
        let other = format!("bench-copy-{round}");
        place.program.run(place.folder, &["tenant", "create", &other]);
        let into = format!("\\timing on\n\\copy observation ({columns}) FROM '{}'\n", rows.display());
        let took = place.postgres.timed(&As::Tenant(&place.role(&other)), &into);
        for took in took {
            copies.add(took);
        }
        place.program.run(place.folder, &["tenant", "delete", &other, "--confirm", &other]);
    }
    let rate = |samples: &Samples| f64::from(data::OBSERVATIONS * samples.count()) / samples.total().as_secs_f64();
    report.figure("import of 100,000", rate(&imports), Some(rate(&copies)), "/s", Reach::Ratio(0.35));
    for gone in [rows, file] {
        std::fs::remove_file(gone).expect("a file of ours can be removed");
    }
}

impl Place<'_> {
    /// Waits until the records of writes have left the outbox.
    async fn settled(&self, role: &str) {
        let began = Instant::now();
        let waiting = format!("SELECT count(*) FROM {role}.audit_outbox;");
        while self.postgres.psql(&As::Admin, &waiting).trim() != "0" {
            assert!(began.elapsed() < SETTLED_WITHIN, "records leave the outbox");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The relations of a tenant with their bytes.
    fn tables(&self, role: &str) -> Vec<(String, f64)> {
        let sizes = format!(
            "SELECT c.relname, CASE c.relkind WHEN 'r' THEN pg_table_size(c.oid) ELSE pg_relation_size(c.oid) END \
             FROM pg_class c WHERE c.relnamespace = '{role}'::regnamespace AND c.relkind IN ('r', 'i') ORDER BY 2 DESC;"
        );
        let printed = self.postgres.psql(&As::Admin, &sizes);
        let rows = printed.lines().filter_map(|line| line.split_once('|'));
        rows.map(|(name, bytes)| (name.to_owned(), bytes.parse().expect("a size"))).collect()
    }

    /// Bytes of the audit trail.
    fn audit(&self) -> f64 {
        let printed = self.postgres.psql(
            &As::Audit,
            "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('audit.record') WHERE isleaf;",
        );
        printed.trim().parse().expect("a size")
    }

    /// The columns of an Observation's row, without the tenant, which each tenant has its own of.
    fn columns(&self, role: &str) -> String {
        let names = format!(
            "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute \
             WHERE attrelid = '{role}.observation'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'tenant';"
        );
        self.postgres.psql(&As::Admin, &names).trim().to_owned()
    }
}
