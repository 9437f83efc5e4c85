//! How a record is shown to whoever may see its tenant's trail: as it stands, but for the chain's inner name; as JSON or
//! as a line of a table.

use serde_json::{Map, Value};
use vitals_access::audit::AuditRecord;
use vitals_store::audit::Position;

/// The columns of the table, in their order: the members of a record.
const COLUMNS: [&str; 31] = [
    "record",
    "writer",
    "sequence",
    "time",
    "origin",
    "tenant",
    "acting_tenant",
    "issuer",
    "subject",
    "client",
    "unverified",
    "certificate",
    "scopes",
    "used",
    "action",
    "type",
    "id",
    "version",
    "query",
    "patient",
    "patients",
    "count",
    "encounter",
    "decision",
    "reason",
    "status",
    "request_id",
    "address",
    "grant",
    "purpose",
    "entries",
];

/// The first line of the table.
pub const CSV_HEAD: &str = "record,writer,sequence,time,origin,tenant,acting_tenant,issuer,subject,client,unverified,\
    certificate,scopes,used,action,type,id,version,query,patient,patients,count,encounter,decision,reason,status,\
    request_id,address,grant,purpose,entries\r\n";

/// A record with its place.
pub fn shown(position: Position, record: &AuditRecord) -> Map<String, Value> {
    let mut all = Map::new();
    all.insert("writer".to_owned(), position.writer.into());
    all.insert("sequence".to_owned(), position.sequence.into());
    if let Ok(Value::Object(said)) = serde_json::to_value(record) {
        // What the chain is called inside is nobody's business; whose it is stands in `tenant`.
        all.extend(said.into_iter().filter(|(name, _)| name != "chain"));
    }
    all
}

/// The record as a line of the table (RFC 4180). A cell that a spreadsheet would take for a formula begins with an
/// apostrophe: what a caller is called is the caller's own choice.
pub fn csv_line(record: &Map<String, Value>) -> String {
    let cells: Vec<String> = COLUMNS.iter().map(|column| record.get(*column).map_or_else(String::new, cell)).collect();
    format!("{}\r\n", cells.join(","))
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    let harmless = match text.trim_start().chars().next() {
        Some('=' | '+' | '-' | '@' | '|' | '%') => false,
        _ => !text.starts_with(['\t', '\r', '\n']),
    };
    let text = if harmless { text } else { format!("'{text}") };
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_names_the_columns() {
        assert_eq!(CSV_HEAD.trim_end(), COLUMNS.join(","));
    }

    #[test]
    fn no_cell_is_a_formula_or_breaks_out_of_its_place() {
        let cases = [
            ("dr-who", "dr-who"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "'  =1"),
            ("\t=1", "'\t=1"),
            ("\r\n=1", "\"'\r\n=1\""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
        ];
        for (text, written) in cases {
            assert_eq!(cell(&Value::from(text)), written, "{text:?}");
        }
        assert_eq!(cell(&Value::from(7)), "7");
        assert_eq!(cell(&serde_json::json!(["a/b.rs", "c"])), "a/b.rs c");
    }
}
