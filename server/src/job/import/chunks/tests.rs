use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::*;

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Every line with its number, and how many chunks there are.
fn read(bytes: &[u8]) -> (Vec<(u64, String)>, usize) {
    let mut chunks = Chunks::of(Cursor::new(bytes.to_vec())).unwrap();
    let (mut lines, mut count) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().unwrap() {
        assert_eq!(usize::try_from(chunk.number), Ok(count));
        count += 1;
        lines.extend(chunk.lines.iter().map(|line| {
            let text = match chunk.content(line) {
                Content::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                Content::TooLong(most) => format!("over {most}"),
                Content::BreaksOff => "breaks off".to_owned(),
            };
            (line.number, text)
        }));
    }
    (lines, count)
}

fn lines(bytes: &[u8]) -> Vec<(u64, String)> {
    read(bytes).0
}

#[test]
fn a_file_is_lines_or_one_document_and_its_content_tells_which() {
    let cases: [(&str, &[(u64, &str)]); 15] = [
        ("", &[]),
        ("\n \r\n\n", &[]),
        ("{\"a\":1}", &[(1, "{\"a\":1}")]),
        ("\u{feff}{\"a\":1}\n", &[(1, "{\"a\":1}")]),
        ("{\"a\":1}\r\n\n  {\"b\":2}  \n", &[(1, "{\"a\":1}"), (3, "{\"b\":2}")]),
        ("\n{\n\"a\": [\n1]}\n\n", &[(2, "{\n\"a\": [\n1]}")]),
        (
            "{\"type\":\"collection\",\"entry\":[\n{\"resource\":{}},\n{}]}",
            &[(1, "{\"type\":\"collection\",\"entry\":[\n{\"resource\":{}},\n{}]}")],
        ),
        ("{\"type\":\"collection\",\n\"entry\":[]}", &[(1, "{\"type\":\"collection\",\n\"entry\":[]}")]),
        // Broken lines are lines.
        ("{\"a\":{\n{\"resourceType\":\"X\"}", &[(1, "{\"a\":{"), (2, "{\"resourceType\":\"X\"}")]),
        ("{\"a\":[1,\n\n{ \"resourceType\":\"X\"}", &[(1, "{\"a\":[1,"), (3, "{ \"resourceType\":\"X\"}")]),
        ("{\"a\":1\n{\"b\":2}", &[(1, "{\"a\":1"), (2, "{\"b\":2}")]),
        ("no,\n{\"b\":2}", &[(1, "no,"), (2, "{\"b\":2}")]),
        // A line that opens and nothing behind it.
        ("{\n", &[(1, "{")]),
        ("[\n{}]", &[(1, "["), (2, "{}]")]),
        ("{\"a\":1}\n{\n\"b\":2}", &[(1, "{\"a\":1}"), (2, "{"), (3, "\"b\":2}")]),
    ];
    for (text, expected) in cases {
        let expected: Vec<(u64, String)> = expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect();
        assert_eq!(lines(text.as_bytes()), expected, "{text:?}");
        assert_eq!(lines(&packed(text.as_bytes())), expected, "packed: {text:?}");
    }
}

#[test]
fn several_members_of_gzip_are_one_text_and_what_breaks_off_is_read_up_to_there() {
    let mut two = packed(b"{\"a\":1}\n{\"b\"");
    two.extend(packed(b":2}\n"));
    let whole = vec![(1, "{\"a\":1}".to_owned()), (2, "{\"b\":2}".to_owned())];
    assert_eq!(lines(&two), whole);

    let broken = |line| (line, "breaks off".to_owned());
    // Its checksum is missing, and then all of the second member but two bytes.
    assert_eq!(lines(&two[..two.len() - 1]), [whole.as_slice(), &[broken(3)]].concat());
    let first = packed(b"{\"a\":1}\n{\"b\"").len();
    assert_eq!(lines(&two[..first + 2]), [whole[0].clone(), broken(2)]);
    // Nothing but the head.
    assert_eq!(lines(&two[..10]), [broken(1)]);
    // A document is not read at all.
    let document = packed(b"{\n\"a\": [1,\n2]}");
    assert_eq!(lines(&document[..document.len() - 4]), [broken(1)]);
}

#[test]
fn what_is_too_long_is_told_and_the_rest_read() {
    let long = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
    let longest = long(MOST_OF_LINE - 1);
    let text = format!("{{\"b\":1}}\n{longest}\n{}\n{{\"c\":1}}\n", long(MOST_OF_LINE + 1));
    let expected =
        vec![(1, "{\"b\":1}".to_owned()), (2, longest), (3, "over 5".to_owned()), (4, "{\"c\":1}".to_owned())];
    assert_eq!(lines(text.as_bytes()), expected);
    assert_eq!(lines(&packed(text.as_bytes())), expected);

    // The first line may be longer, if it is the only one.
    let only = long(MOST_OF_LINE + 1);
    assert_eq!(lines(format!("{only}\n\n").as_bytes()), [(1, only.clone())]);
    assert_eq!(
        lines(format!("{only}\n{{\"c\":1}}").as_bytes()),
        [(1, "over 5".to_owned()), (2, "{\"c\":1}".to_owned())]
    );
    for text in [long(MOST_OF_DOCUMENT + 1), long(MOST_OF_DOCUMENT).replacen('{', "{\n", 1)] {
        assert_eq!(lines(text.as_bytes()), [(1, "over 50".to_owned())]);
    }
}

#[test]
fn chunks_end_by_lines_or_bytes() {
    let many = "{\"a\":1}\n\n".repeat(2 * LINES + 1);
    let (found, chunks) = read(many.as_bytes());
    assert_eq!((found.len(), found.last().unwrap().0, chunks), (2 * LINES + 1, 4 * LINES as u64 + 1, 3));
    let large = format!("{{\"a\":\"{}\"}}\n", "x".repeat(BYTES / 4)).repeat(6);
    assert_eq!(read(large.as_bytes()).1, 2);
    assert_eq!(read(&packed(large.as_bytes())), read(large.as_bytes()));
}
