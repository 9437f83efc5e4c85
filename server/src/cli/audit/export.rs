//! `vitals audit export`: the records of one tenant, for others to keep, read and verify.

use std::io::{self, BufWriter, Write};

use chrono::{DateTime, Utc};
use vitals_access::audit::AuditRecord;
use vitals_store::audit::{self, Exported};

use super::{Reading, chain, names, seal::create_private};
use crate::cli::{
    CommandError, Exit, Opened,
    args::{AuditExportArgs, ExportFormat},
    print,
};

/// The columns of the table.
const COLUMNS: [&str; 24] = [
    "time",
    "tenant",
    "acting_tenant",
    "origin",
    "subject",
    "client",
    "unverified",
    "address",
    "action",
    "type",
    "id",
    "version",
    "patient",
    "patients",
    "count",
    "decision",
    "reason",
    "status",
    "scopes",
    "used",
    "grant",
    "request_id",
    "writer",
    "sequence",
];

pub(super) async fn run(opened: &Opened<'_>, args: &AuditExportArgs) -> Result<Exit, CommandError> {
    let names = names(opened).await?;
    let chain = chain(&names, &args.tenant)?.to_owned();
    let to_stdout = args.out.as_os_str() == "-";
    let mut out: Box<dyn Write> = if to_stdout {
        Box::new(BufWriter::new(io::stdout()))
    } else {
        Box::new(BufWriter::new(create_private(&args.out)?))
    };
    // Before the first of them is out. How many there are nobody knows yet.
    let mut reading = Reading::open(opened, &names).await;
    reading.of("audit.export", &[(chain.clone(), 0)]).await;

    let (from, to) = (args.from.unwrap_or(DateTime::UNIX_EPOCH), args.to.unwrap_or_else(|| opened.clock.now()));
    let format = args.format;
    let begun = if format == ExportFormat::Csv { writeln!(out, "{}", COLUMNS.join(",")) } else { Ok(()) };
    let written = match begun {
        Ok(()) => {
            let write = |row: &Exported| write(&mut *out, format, row);
            audit::export(&opened.urls.audit_read, &chain, (from, to), write).await?
        }
        Err(error) => Err(error),
    };
    let written = written.and_then(|records| out.flush().map(|()| records));
    match written {
        Err(error) if to_stdout && error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(CommandError::new(format!("cannot write the records: {error}"))),
        Ok(records) => {
            print::note(&format!("{records} records of {} {}", args.tenant, span(from, to)));
            Ok(Exit::Success)
        }
    }
}

fn span(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let text = |time: DateTime<Utc>| vitals_fhir::temporal::instant(time.timestamp_millis());
    if from == DateTime::UNIX_EPOCH {
        format!("to {}", text(to))
    } else {
        format!("from {} to {}", text(from), text(to))
    }
}

fn write(out: &mut dyn Write, format: ExportFormat, row: &Exported) -> io::Result<()> {
    match format {
        ExportFormat::Ndjson => writeln!(out, "{}", row.line()),
        ExportFormat::Csv => {
            let cells = cells(&row.record)?;
            writeln!(out, "{}", cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(","))
        }
    }
}

/// The values of the columns, as texts; lists parted by spaces.
fn cells(record: &str) -> io::Result<Vec<String>> {
    // Read as a record first: what is none is not shown as one.
    serde_json::from_str::<AuditRecord>(record)?;
    let members: serde_json::Value = serde_json::from_str(record)?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let cell = |name: &&str| match &members[*name] {
        serde_json::Value::Null => String::new(),
        serde_json::Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        other => text(other),
    };
    Ok(COLUMNS.iter().map(cell).collect())
}

/// A cell as RFC 4180 has it. What a spreadsheet would take for a formula gets a sign before it: the text may be what a
/// stranger's token claimed.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use vitals_access::audit::Origin;

    use super::*;

    #[test]
    fn a_cell_stays_in_its_cell_and_is_no_formula() {
        for (cell, written) in [
            ("nurse", "nurse"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("@sum", "'@sum"),
            ("-1", "'-1"),
            ("=a,b", "\"'=a,b\""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }

    #[test]
    fn a_row_has_the_members_of_the_record() {
        let mut record = AuditRecord::new(Origin::Http, "search-type", DateTime::from_timestamp_millis(0).unwrap());
        record.patients = vec!["p1".to_owned(), "p2".to_owned()];
        record.allowed(200);
        let mut out = Vec::new();
        let row = Exported { previous: [0; 32], hash: [1; 32], record: record.canonical(5, 17) };
        write(&mut out, ExportFormat::Csv, &row).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert_eq!(line.matches(',').count(), COLUMNS.len() - 1);
        assert!(line.starts_with("1970-01-01T00:00:00.000Z,,,http,"), "{line}");
        assert!(line.contains(",p1 p2,") && line.ends_with(",5,17\n"), "{line}");
        assert!(write(&mut Vec::new(), ExportFormat::Csv, &Exported { record: "{}".to_owned(), ..row }).is_err());
    }
}
