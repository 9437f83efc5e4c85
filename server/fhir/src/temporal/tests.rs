//! Tables of dates and the ranges they stand for.

use super::*;

/// The range from the start of `low` to the start of `high`, both instants.
fn between(low: &str, high: &str) -> Range {
    let millis = |text: &str| DateTime::parse_from_rfc3339(text).expect("a test's own instant").timestamp_millis();
    Range { low: millis(low), high: millis(high) }
}

#[test]
fn a_date_is_all_the_time_it_may_mean() {
    let cases = [
        ("2026", "2026-01-01T00:00:00.000Z", "2026-12-31T23:59:59.999Z"),
        ("0001", "0001-01-01T00:00:00.000Z", "0001-12-31T23:59:59.999Z"),
        ("9999", "9999-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
        ("2026-03", "2026-03-01T00:00:00.000Z", "2026-03-31T23:59:59.999Z"),
        ("2026-12", "2026-12-01T00:00:00.000Z", "2026-12-31T23:59:59.999Z"),
        ("2024-02", "2024-02-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000Z", "2024-02-29T23:59:59.999Z"),
        ("1969-12-31", "1969-12-31T00:00:00.000Z", "1969-12-31T23:59:59.999Z"),
        ("2026-03-01T10:20:30Z", "2026-03-01T10:20:30.000Z", "2026-03-01T10:20:30.999Z"),
        ("2026-03-01T10:20:30+02:00", "2026-03-01T08:20:30.000Z", "2026-03-01T08:20:30.999Z"),
        ("2026-03-01T10:20:30-05:30", "2026-03-01T15:50:30.000Z", "2026-03-01T15:50:30.999Z"),
        ("2026-03-01T00:00:00-00:00", "2026-03-01T00:00:00.000Z", "2026-03-01T00:00:00.999Z"),
        ("2026-03-01T00:00:00+14:00", "2026-02-28T10:00:00.000Z", "2026-02-28T10:00:00.999Z"),
        ("2026-03-01T10:20:30.5Z", "2026-03-01T10:20:30.500Z", "2026-03-01T10:20:30.500Z"),
        ("2026-03-01T10:20:30.05Z", "2026-03-01T10:20:30.050Z", "2026-03-01T10:20:30.050Z"),
        ("2026-03-01T10:20:30.1239999Z", "2026-03-01T10:20:30.123Z", "2026-03-01T10:20:30.123Z"),
        ("2026-03-01T10:20:30.000000000000Z", "2026-03-01T10:20:30.000Z", "2026-03-01T10:20:30.000Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z", "2016-12-31T23:59:59.999Z"),
        ("2016-12-31T23:59:60.7Z", "2016-12-31T23:59:59.999Z", "2016-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:59.999-14:00", "+10000-01-01T13:59:59.999Z", "+10000-01-01T13:59:59.999Z"),
    ];
    for (text, low, high) in cases {
        let expected = if low.starts_with('+') {
            Range::at(253_402_351_199_999) // chrono reads no years of five digits
        } else {
            between(low, high)
        };
        assert_eq!(date_time(text), Some(expected), "{text}");
        assert_eq!(search_date(text), Some(expected), "{text}");
    }
}

#[test]
fn a_search_value_may_leave_out_seconds_and_zone() {
    let cases = [
        ("2026-03-01T10:20", "2026-03-01T10:20:00.000Z", "2026-03-01T10:20:59.999Z"),
        ("2026-03-01T10:20Z", "2026-03-01T10:20:00.000Z", "2026-03-01T10:20:59.999Z"),
        ("2026-03-01T10:20+01:00", "2026-03-01T09:20:00.000Z", "2026-03-01T09:20:59.999Z"),
        ("2026-03-01T10:20:30", "2026-03-01T10:20:30.000Z", "2026-03-01T10:20:30.999Z"),
        ("2026-03-01T10:20:30.25", "2026-03-01T10:20:30.250Z", "2026-03-01T10:20:30.250Z"),
    ];
    for (text, low, high) in cases {
        assert_eq!(search_date(text), Some(between(low, high)), "{text}");
        assert_eq!(date_time(text), None, "{text}");
    }
}

#[test]
fn what_is_no_date_is_refused() {
    let cases = [
        "",
        "0000",
        "0000-01-01",
        "10000",
        "999",
        "12026-01-01",
        "-2026",
        "+2026",
        "2026-",
        "2026-1",
        "2026-00",
        "2026-13",
        "9999-99-99",
        "2026-02-29",
        "2100-02-29",
        "2026-04-31",
        "2026-01-00",
        "2026-01-32",
        "2026-01-1",
        "2026/01/01",
        "20260101",
        "2026-01-01T",
        "2026-01-01T10",
        "2026-01-01T24:00:00Z",
        "2026-01-01T10:60:00Z",
        "2026-01-01T10:00:61Z",
        "2026-01-01T10:00:00.Z",
        "2026-01-01T10:00:00,5Z",
        "2026-01-01t10:00:00Z",
        "2026-01-01T10:00:00z",
        "2026-01-01 10:00:00Z",
        "2026-01-01T10:00:00+14:01",
        "2026-01-01T10:00:00+15:00",
        "2026-01-01T10:00:00-14:30",
        "2026-01-01T10:00:00+1:00",
        "2026-01-01T10:00:00+0100",
        "2026-01-01T10:00:00 02:00",
        "2026-01-01T10:00:00+01",
        "2026-01-01T10:00:00+01:60",
        "2026-01-01T10:00:00ZZ",
        "2026-01-01T10:00:00Z ",
        " 2026",
        "2026 ",
        "２０２６",
        "2026-01-01Z",
        "2026-01-01T1\u{660}:00:00Z",
        "today",
        "NaN",
    ];
    for text in cases {
        assert_eq!(date_time(text), None, "{text}");
        assert_eq!(search_date(text), None, "{text}");
    }
}

#[test]
fn every_cut_of_a_date_is_read_without_panic() {
    let text = "2026-03-01T10:20:30.123456+02:00é";
    for (end, _) in text.char_indices() {
        for (start, _) in text.char_indices().take_while(|(start, _)| *start <= end) {
            date_time(&text[start..end]);
            search_date(&text[start..end]);
        }
    }
}

#[test]
fn open_ends_and_absence_lie_outside_of_every_date() {
    let first = date_time("0001-01-01T00:00:00+14:00").expect("a date");
    let last = date_time("9999-12-31T23:59:59.999-14:00").expect("a date");
    const { assert!(Range::ABSENT.high < Range::OPEN_LOW) };
    assert!(Range::OPEN_LOW < first.low);
    assert!(last.high < Range::OPEN_HIGH);
    let day = |year| NaiveDate::from_ymd_opt(year, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0));
    let millis = |year| day(year).map(|time| time.and_utc().timestamp_millis());
    assert_eq!(millis(-4712), Some(Range::ABSENT.low));
    assert_eq!(millis(-3999), Some(Range::OPEN_LOW));
    assert_eq!(millis(12000), Some(Range::OPEN_HIGH));
}

#[test]
fn an_instant_has_milliseconds_and_is_utc() {
    let cases = [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_795_380_914_123, "2026-11-22T20:55:14.123Z"),
        (i64::MAX, "9999-12-31T23:59:59.999Z"),
        (i64::MIN, "0001-01-01T00:00:00.000Z"),
    ];
    for (millis, text) in cases {
        assert_eq!(instant(millis), text);
        assert_eq!(date_time(text), Some(Range::at(millis.clamp(-62_135_596_800_000, 253_402_300_799_999))));
    }
}
