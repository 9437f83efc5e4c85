//! Refusals by the address limit, as the trail has them: one record for each network and minute, with a count. Whoever
//! floods us must not make us write as much.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use vitals_access::audit::AuditRecord;

/// Networks and minutes that are counted at once; what goes beyond is counted under the first of its chain.
const MOST: usize = 10_000;
const MINUTE: i64 = 60_000;

/// What was refused, by chain, network and minute.
#[derive(Debug, Default)]
pub struct Tally {
    counted: Mutex<HashMap<(String, String, i64), AuditRecord>>,
}

impl Tally {
    /// Adds a refusal that is told by this record.
    pub fn add(&self, mut record: AuditRecord, network: String) {
        let minute = record.time.timestamp_millis().div_euclid(MINUTE);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (record.chain.clone(), network, minute);
        if counted.len() >= MOST && !counted.contains_key(&key) {
            "elsewhere".clone_into(&mut key.1);
        }
        let many = counted.get(&key).and_then(|record| record.count).unwrap_or(0);
        if many == 0 {
            // It stands for many requests: what only one of them said is left out.
            record.address = Some(key.1.clone());
            record.request_id = None;
            record.certificate = None;
            "request".clone_into(&mut record.action);
            record.resource_type = None;
            record.resource_id = None;
            record.count = Some(1);
            counted.insert(key, record);
        } else if let Some(record) = counted.get_mut(&key) {
            record.count = Some(many + 1);
        }
    }

    /// Takes what was counted in minutes that are over.
    pub fn over(&self, now: i64) -> Vec<AuditRecord> {
        let minute = now.div_euclid(MINUTE);
        self.take(|of| of < minute)
    }

    /// Takes everything, for a server that stops.
    pub fn all(&self) -> Vec<AuditRecord> {
        self.take(|_| true)
    }

    fn take(&self, which: impl Fn(i64) -> bool) -> Vec<AuditRecord> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.extract_if(|(_, _, minute), _| which(*minute)).map(|(_, record)| record).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use vitals_access::audit::Origin;

    use super::*;

    #[test]
    fn a_network_leaves_one_record_a_minute() {
        let tally = Tally::default();
        let at = |seconds: i64| DateTime::from_timestamp(1_772_323_200 + seconds, 0).unwrap();
        let refuse = |seconds, network: &str| {
            let mut record = AuditRecord::new(Origin::Http, "read", at(seconds));
            record.request_id = Some("id".to_owned());
            record.denied(429, "address limit");
            tally.add(record, network.to_owned());
        };
        for seconds in [0, 1, 59, 60, 61] {
            refuse(seconds, "192.0.2.0/24");
        }
        refuse(3, "198.51.100.0/24");
        assert!(tally.over(at(59).timestamp_millis()).is_empty());
        let mut first = tally.over(at(60).timestamp_millis());
        first.sort_by(|one, two| one.address.cmp(&two.address));
        let told: Vec<_> = first.iter().map(|record| (record.address.as_deref().unwrap(), record.count)).collect();
        assert_eq!(told, [("192.0.2.0/24", Some(3)), ("198.51.100.0/24", Some(1))]);
        assert_eq!(first[0].request_id, None);
        assert_eq!(tally.all().iter().map(|record| record.count).collect::<Vec<_>>(), [Some(2)]);
        assert!(tally.all().is_empty());
    }
}
