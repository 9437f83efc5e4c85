//! Every attack of this issue has a row: a text in the sources of the tests that begins with its number, or a test whose
//! name does. Comments do not count.

use std::{collections::BTreeSet, path::Path};

/// The attacks, as ranges of their numbers.
/// D05 (a revocation while an export runs) has no case yet: there is no export; `attacks_delegated` says so in its list.
const NUMBERS: [(char, u32, u32); 15] = [
    ('A', 1, 16),
    ('D', 1, 14),
    ('H', 1, 14),
    ('J', 1, 36),
    ('O', 1, 26),
    ('P', 1, 11),
    ('P', 17, 20),
    ('P', 22, 34),
    ('P', 37, 37),
    ('P', 40, 42),
    ('R', 1, 12),
    ('U', 1, 8),
    ('X', 1, 16),
    ('X', 22, 27),
    ('X', 30, 34),
];

/// The numbers that a line of source has rows for: at the beginning of its texts and of names of its functions.
fn rows_of(line: &str) -> Vec<String> {
    let line = line.trim_start();
    if line.starts_with("//") {
        return Vec::new();
    }
    if let Some((_, name)) = line.split_once("fn ") {
        let numbers = name.split(['_', '(', '<']).map(str::to_ascii_uppercase);
        return numbers.take_while(|part| is_number(part)).collect();
    }
    let texts = line.split('"').skip(1).step_by(2);
    texts.filter_map(|text| text.split(' ').next().filter(|word| is_number(word)).map(str::to_owned)).collect()
}

fn is_number(word: &str) -> bool {
    word.len() == 3
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word[1..].bytes().all(|byte| byte.is_ascii_digit())
}

/// All numbers of rows in the sources of the tests.
pub fn all_rows() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["it", "bench", "../server/src/limit"] {
        gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    found
}

fn gather(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the sources are here") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("text");
            found.extend(text.lines().flat_map(rows_of));
        }
    }
}

#[test]
fn every_attack_has_a_row_with_its_number() {
    let found = all_rows();
    let numbers =
        NUMBERS.iter().flat_map(|(family, first, last)| (*first..=*last).map(move |n| format!("{family}{n:02}")));
    let missing: Vec<String> = numbers.filter(|number| !found.contains(number)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

#[test]
fn comments_and_mentions_are_no_rows() {
    for (line, numbers) in [
        ("// P01 is elsewhere", vec![]),
        ("/// X09: as text", vec![]),
        ("get(\"P01 read\", \"Patient/{}\"),", vec!["P01"]),
        ("    (\"X01 a\", 1), (\"X02 b\", 2),", vec!["X01", "X02"]),
        ("async fn p23_p24_no_observation_moves() {", vec!["P23", "P24"]),
        ("async fn filters_hold_p09() {", vec![]),
        ("let what = \"see P09\";", vec![]),
    ] {
        assert_eq!(rows_of(line), numbers, "{line}");
    }
}
