//! Every fault has a row, as attacks have: a text that begins with its number, or a test whose name does.

use crate::attacks_covered::all_rows;

/// The faults, by their numbers.
const NUMBERS: [u32; 13] = [1, 2, 5, 13, 14, 15, 16, 17, 20, 21, 22, 30, 31];

#[test]
fn every_fault_has_a_row_with_its_number() {
    let found = all_rows();
    let missing: Vec<u32> = NUMBERS.into_iter().filter(|number| !found.contains(&format!("E{number:02}"))).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}
