//! What a record says about its own place. Everything else in it is covered by the hash alone, so no more of it is read
//! than that, which stands at its beginning.

use serde::Deserialize;

/// Writer, number, id, chain and time, as the text has them.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Said<'a> {
    pub(super) writer: i64,
    pub(super) sequence: i64,
    pub(super) record: &'a str,
    pub(super) chain: &'a str,
    pub(super) time: &'a str,
}

impl<'a> Said<'a> {
    /// Reads a record; none where it is none.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        Self::canonical(text).or_else(|| serde_json::from_str(text).ok())
    }

    /// From the members that a record of ours begins with, in their order.
    fn canonical(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(r#"{"writer":"#)?;
        let (writer, rest) = rest.split_once(r#","sequence":"#)?;
        let (sequence, rest) = rest.split_once(r#","record":""#)?;
        let (record, rest) = rest.split_once(r#"","chain":""#)?;
        let (chain, rest) = rest.split_once(r#"","origin":""#)?;
        let (_, rest) = rest.split_once(r#"","time":""#)?;
        let (time, _) = rest.split_once('"')?;
        let is_plain = |text: &str| !text.contains(['"', '\\']);
        let said = Self { writer: writer.parse().ok()?, sequence: sequence.parse().ok()?, record, chain, time };
        [record, chain, time].into_iter().all(is_plain).then_some(said)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use vitals_access::audit::{AuditRecord, Origin};

    use super::*;

    #[test]
    fn both_ways_of_reading_a_record_understand_the_same() {
        let mut record = AuditRecord::new(Origin::Http, "read", DateTime::from_timestamp_millis(0).unwrap());
        record.reason = Some(r#"a "time":"x" in a reason"#.to_owned());
        let text = record.canonical(5, 17);
        let said = Said::canonical(&text).unwrap();
        assert_eq!(Some(&said), serde_json::from_str(&text).ok().as_ref());
        assert_eq!((said.writer, said.sequence, said.chain, said.time), (5, 17, "server", "1970-01-01T00:00:00.000Z"));

        // Of another order, or with a chain that nobody has: read in full, or not at all.
        let other = r#"{"sequence":1,"writer":2,"record":"r","chain":"c","time":"t"}"#;
        assert_eq!((Said::canonical(other), Said::read(other).map(|said| said.writer)), (None, Some(2)));
        let escaped = text.replace(r#""chain":"server""#, r#""chain":"ser\"ver""#);
        assert_eq!(Said::canonical(&escaped), None);
        assert_eq!(Said::read("{"), None);
    }
}
