//! The pages of a merge, against one list of everything in its order.

use super::*;

/// Numbers that look like chance, the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides
    }
}

/// The rows of one tenant, in the order of the search.
struct Tenant {
    number: i32,
    rows: Vec<Cut>,
}

const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];
/// Ids whose order is not that of their lengths; several tenants have the same ones.
const IDS: [&str; 12] = ["-", ".", "0", "00", "A", "a", "a-", "a.", "a0", "aa", "b", "z"];

fn tenants(dice: &mut Dice, direction: Direction) -> Vec<Tenant> {
    let count = 1 + dice.roll(6);
    (0..count)
        .map(|place| {
            let number = i32::try_from(place).unwrap() * 3 + 1;
            let mut rows = Vec::new();
            for id in IDS {
                let mark = Mark::Number(i64::try_from(dice.roll(4)).unwrap());
                if dice.roll(3) > 0 {
                    rows.push(Cut { mark, id: id.to_owned(), tenant: number });
                }
            }
            rows.sort_by(|one, two| compare(direction, one, two));
            Tenant { number, rows }
        })
        .collect()
}

impl Tenant {
    /// What the database does: rows behind a position, by the value and then the id.
    fn page(&self, direction: Direction, after: Option<&Position>, count: usize) -> (Vec<(Position, Cut)>, bool) {
        let follows = |row: &&Cut| {
            after.is_none_or(|after| {
                let place = Cut { mark: after.mark.clone(), id: after.id.clone(), tenant: row.tenant };
                compare(direction, &place, row) == Ordering::Less
            })
        };
        let all: Vec<&Cut> = self.rows.iter().filter(follows).collect();
        let rows = all.iter().take(count);
        let rows = rows.map(|row| (Position { mark: row.mark.clone(), id: row.id.clone() }, (*row).clone()));
        (rows.collect(), all.len() > count)
    }
}

/// One page; tenants for which `answers` says no are silent.
fn page(
    direction: Direction,
    count: usize,
    all: &[Tenant],
    places: Vec<(i32, Place)>,
    mut answers: impl FnMut(i32) -> bool,
) -> Merged<Cut> {
    let mut merge = Merge::new(direction, count, places);
    loop {
        let wanted = merge.wanting();
        if wanted.is_empty() {
            return merge.finish();
        }
        for want in wanted {
            let tenant = all.iter().find(|tenant| tenant.number == want.tenant).unwrap();
            if answers(want.tenant) {
                assert!(want.count > 0);
                let (rows, more) = tenant.page(direction, want.after.as_ref(), want.count);
                merge.answered(want.tenant, rows, more);
            } else {
                merge.silent(want.tenant);
            }
        }
    }
}

fn sorted(direction: Direction, rows: impl IntoIterator<Item = Cut>) -> Vec<Cut> {
    let mut rows: Vec<Cut> = rows.into_iter().collect();
    rows.sort_by(|one, two| compare(direction, one, two));
    rows
}

#[test]
fn pages_of_several_tenants_are_those_of_one_list() {
    let mut dice = Dice(1);
    for round in 0..600 {
        let direction = DIRECTIONS[round % 2];
        let all = tenants(&mut dice, direction);
        let expected = sorted(direction, all.iter().flat_map(|tenant| tenant.rows.clone()));
        let count = 1 + dice.roll(9);
        let mut places: Vec<_> = all.iter().map(|tenant| (tenant.number, Place::Beginning)).collect();
        let mut found = Vec::new();
        loop {
            let merged = page(direction, count, &all, places, |_| true);
            assert!(merged.rows.iter().all(|(tenant, row)| *tenant == row.tenant));
            let more = merged.next.is_some();
            assert!(merged.rows.len() == count || !more, "round {round}: a page that is not full has none behind it");
            found.extend(merged.rows.into_iter().map(|(_, row)| row));
            let Some(next) = merged.next else { break };
            places = next;
        }
        assert_eq!(found, expected, "round {round}");
    }
}

#[test]
fn what_does_not_answer_for_a_while_is_told_later_and_once() {
    let mut dice = Dice(2);
    for round in 0..600 {
        let direction = DIRECTIONS[round % 2];
        let all = tenants(&mut dice, direction);
        let expected = sorted(direction, all.iter().flat_map(|tenant| tenant.rows.clone()));
        let mut places: Vec<_> = all.iter().map(|tenant| (tenant.number, Place::Beginning)).collect();
        let mut found = Vec::new();
        let mut pages = 0;
        while !places.is_empty() {
            pages += 1;
            let before = places.clone();
            // The first one always answers, so that there is a page to follow as long as it has something.
            let merged = page(direction, 2, &all, places, |tenant| pages > 3 || tenant == 1 || dice.roll(2) > 0);
            found.extend(merged.rows.into_iter().map(|(_, row)| row));
            // Where no page follows, who was silent is asked again by a search that goes on where it stood.
            places = merged.next.unwrap_or_else(|| if pages > 3 { Vec::new() } else { before_or_end(&before, &found) });
        }
        assert_eq!(sorted(direction, found), expected, "round {round}");
    }
}

/// Places from which everything that was not found follows.
fn before_or_end(places: &[(i32, Place)], found: &[Cut]) -> Vec<(i32, Place)> {
    let of = |tenant: i32| found.iter().rev().find(|row| row.tenant == tenant).cloned();
    places.iter().map(|(tenant, place)| (*tenant, of(*tenant).map_or_else(|| place.clone(), Place::Behind))).collect()
}

#[test]
fn nothing_stands_between_an_id_and_what_is_just_before_it() {
    for id in IDS {
        let (up, down) = (just_before(id, Direction::Descending), just_before(id, Direction::Ascending));
        assert!(up.as_str() < id && id < down.as_str(), "{id}");
        for other in IDS.into_iter().filter(|other| *other != id) {
            assert_eq!(other < up.as_str(), other < id, "{other} and {id}");
            assert_eq!(other < down.as_str(), other < id, "{other} and {id}");
        }
    }
}

#[test]
fn a_tenant_that_never_answers_makes_no_page_follow() {
    let mut merge: Merge<()> = Merge::new(Direction::Descending, 5, [(1, Place::Beginning), (2, Place::Beginning)]);
    merge.wanting();
    merge.silent(1);
    merge.answered(2, [(Position { mark: Mark::Number(1), id: "a".to_owned() }, ())], false);
    assert!(merge.wanting().is_empty());
    let merged = merge.finish();
    assert_eq!((merged.rows.len(), merged.next), (1, None));
}

#[test]
fn a_page_asks_for_a_share_of_each_and_for_the_rest_of_one() {
    let beginnings = |count: i32| (0..count).map(|tenant| (tenant, Place::Beginning));
    let first = |merge: &mut Merge<()>| merge.wanting().first().map(|want| want.count);
    assert_eq!(first(&mut Merge::new(Direction::Descending, 50, beginnings(1))), Some(50));
    assert_eq!(first(&mut Merge::new(Direction::Descending, 50, beginnings(10))), Some(9));
    assert_eq!(first(&mut Merge::new(Direction::Descending, 1, beginnings(10))), Some(1));
    assert_eq!(first(&mut Merge::new(Direction::Descending, 0, beginnings(10))), None);
    assert_eq!(first(&mut Merge::new(Direction::Descending, 50, [(1, Place::End)])), None);
}
