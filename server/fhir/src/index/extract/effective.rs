//! The bounds of `Observation.effective[x]` (<https://hl7.org/fhir/R4/search.html#date>).

use crate::{
    json::Value,
    temporal::{self, Range},
};

/// The range of a dateTime or instant.
pub(super) fn moment(value: Value<'_>) -> Option<Range> {
    value.string().and_then(|text| temporal::date_time(&text))
}

/// From the start of a Period's `start` to the end of its `end`; an end that is missing is open, both missing are no
/// range. A Period that ends before it starts counts as its start alone.
pub(super) fn period(value: Value<'_>) -> Option<Range> {
    let start = value.get("start").and_then(moment);
    let end = value.get("end").and_then(moment);
    if start.is_none() && end.is_none() {
        return None;
    }
    let low = start.map_or(Range::OPEN_LOW, |start| start.low);
    Some(match end.map_or(Range::OPEN_HIGH, |end| end.high) {
        high if high < low => start.unwrap_or(Range::at(low)),
        high => Range { low, high },
    })
}

/// The outer limits of a Timing: of its events, else of its `repeat.boundsPeriod`, else none, since the details of a
/// schedule say nothing about when it began.
pub(super) fn timing(value: Value<'_>) -> Option<Range> {
    let mut limits: Option<Range> = None;
    if let Some(events) = value.get("event") {
        for event in events.items().filter_map(moment) {
            let limits = limits.get_or_insert(event);
            limits.low = limits.low.min(event.low);
            limits.high = limits.high.max(event.high);
        }
    }
    limits.or_else(|| value.get("repeat")?.get("boundsPeriod").and_then(period))
}
