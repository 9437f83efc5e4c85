//! The merge of one search over several tenants: each tenant's rows come in the order of the search, and the page is
//! made of the least of them. Pure: who asks the tenants is [`super::delegated`].
//!
//! Where the next page goes on in each tenant follows from the last row of this one: what a tenant has before it was
//! taken. So a place is a value, an id and whose row it was, and tenants share it; only one that did not answer keeps
//! the place it had, so that nothing of it is passed over.

use std::{cmp::Ordering, collections::VecDeque};

use serde::{Deserialize, Serialize};
use vitals_fhir::search::Direction;
use vitals_store::rows::{Mark, Position};

/// A place in the order over all tenants: behind this row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The value sorted by.
    pub mark: Mark,
    /// The logical id.
    pub id: String,
    /// The number of the tenant whose row it is.
    pub tenant: i32,
}

/// Where a tenant goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At its beginning.
    Beginning,
    /// Behind this place.
    Behind(Cut),
    /// Nowhere: all of it was told.
    End,
}

/// Rows that a tenant has to give before the merge can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The tenant's number.
    pub tenant: i32,
    /// Where its rows go on.
    pub after: Option<Position>,
    /// How many are worth asking for.
    pub count: usize,
}

/// A page of all tenants.
#[derive(Debug)]
pub struct Merged<T> {
    /// The rows in their order, each with the number of its tenant.
    pub rows: Vec<(i32, T)>,
    /// Where each tenant goes on, if a page follows.
    pub next: Option<Vec<(i32, Place)>>,
}

struct Row<T> {
    cut: Cut,
    item: T,
}

struct Source<T> {
    tenant: i32,
    place: Place,
    /// The last row that it gave.
    given: Option<Position>,
    waiting: VecDeque<Row<T>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There may be more than it gave.
    More,
    /// It gave all it has.
    Whole,
    /// It does not answer.
    Silent,
}

/// A page in the making.
pub struct Merge<T> {
    direction: Direction,
    count: usize,
    sources: Vec<Source<T>>,
    taken: Vec<Row<T>>,
}

impl<T> Merge<T> {
    /// A page of so many rows, of these tenants from these places on.
    pub fn new(direction: Direction, count: usize, tenants: impl IntoIterator<Item = (i32, Place)>) -> Self {
        let sources = tenants.into_iter().map(|(tenant, place)| Source {
            tenant,
            state: if place == Place::End { State::Whole } else { State::More },
            place,
            given: None,
            waiting: VecDeque::new(),
        });
        Self { direction, count, sources: sources.collect(), taken: Vec::new() }
    }

    /// Takes what can be taken; then whose rows are needed to go on. Of none, where the page is made.
    pub fn wanting(&mut self) -> Vec<Want> {
        loop {
            if self.taken.len() >= self.count {
                return Vec::new();
            }
            let hungry = self.hungry();
            if !hungry.is_empty() {
                return hungry;
            }
            let Some(least) = self.least() else { return Vec::new() };
            let source = &mut self.sources[least];
            if let Some(row) = source.waiting.pop_front() {
                source.place = Place::Behind(row.cut.clone());
                self.taken.push(row);
            }
        }
    }

    /// Every tenant that may have more and has nothing waiting: until it says what comes next, nobody knows the least.
    fn hungry(&self) -> Vec<Want> {
        let live = self.sources.iter().filter(|source| source.state == State::More).count().max(1);
        let left = self.count - self.taken.len();
        // Its share and half as much again, so that one round is enough where the rows are evenly spread.
        let count = (left * 3 / (2 * live) + 2).min(left);
        let empty = self.sources.iter().filter(|source| source.state == State::More && source.waiting.is_empty());
        empty.map(|source| Want { tenant: source.tenant, after: self.after(source), count }).collect()
    }

    fn after(&self, source: &Source<T>) -> Option<Position> {
        source.given.clone().or_else(|| match &source.place {
            Place::Behind(cut) => Some(cut.position(source.tenant, self.direction)),
            Place::Beginning | Place::End => None,
        })
    }

    fn least(&self) -> Option<usize> {
        let firsts = self.sources.iter().enumerate();
        let firsts = firsts.filter_map(|(place, source)| Some((place, &source.waiting.front()?.cut)));
        firsts.min_by(|(_, one), (_, two)| compare(self.direction, one, two)).map(|(place, _)| place)
    }

    /// A tenant gives rows, in order, and says whether more follow.
    pub fn answered(&mut self, tenant: i32, rows: impl IntoIterator<Item = (Position, T)>, more: bool) {
        let Some(source) = self.sources.iter_mut().find(|source| source.tenant == tenant) else { return };
        let before = source.waiting.len();
        source.waiting.extend(rows.into_iter().map(|(position, item)| {
            source.given = Some(position.clone());
            Row { cut: Cut { mark: position.mark, id: position.id, tenant }, item }
        }));
        // Who gives nothing has nothing, whatever it says of more: else it would be asked for ever.
        let gave = source.waiting.len() > before;
        source.state = if more && gave { State::More } else { State::Whole };
    }

    /// A tenant does not answer. What it gave before counts; the rest of it is left for a later page.
    pub fn silent(&mut self, tenant: i32) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.tenant == tenant) {
            source.state = State::Silent;
        }
    }

    /// The page.
    pub fn finish(self) -> Merged<T> {
        let Self { direction, sources, taken, .. } = self;
        let last = taken.last().map(|row| row.cut.clone());
        let goes_on = |source: &Source<T>| !source.waiting.is_empty() || source.state == State::More;
        // Not for who does not answer alone: a client that follows links would never come to their end.
        let follows = sources.iter().any(goes_on);
        let places = sources.into_iter().map(|source| {
            let place = match (source.state, goes_on(&source)) {
                (State::Silent, _) => source.place,
                (_, false) => Place::End,
                (_, true) => furthest(direction, source.place, last.as_ref()),
            };
            (source.tenant, place)
        });
        let next = follows.then(|| places.collect());
        Merged { rows: taken.into_iter().map(|row| (row.cut.tenant, row.item)).collect(), next }
    }
}

/// The place of a tenant that has told all it had up to `last`.
fn furthest(direction: Direction, place: Place, last: Option<&Cut>) -> Place {
    match (place, last) {
        (Place::Beginning, Some(last)) => Place::Behind(last.clone()),
        (Place::Behind(cut), Some(last)) if compare(direction, &cut, last) == Ordering::Less => {
            Place::Behind(last.clone())
        }
        (place, _) => place,
    }
}

/// The order over all tenants: that of each tenant's own rows, and of equal ones by the tenant's number.
fn compare(direction: Direction, one: &Cut, two: &Cut) -> Ordering {
    let marks = match (&one.mark, &two.mark) {
        (Mark::Number(one), Mark::Number(two)) => one.cmp(two),
        (Mark::Text(one), Mark::Text(two)) => one.cmp(two),
        (Mark::Number(_), Mark::Text(_)) => Ordering::Less,
        (Mark::Text(_), Mark::Number(_)) => Ordering::Greater,
    };
    // Ids run against the values, as they do in each tenant.
    let ids = one.id.cmp(&two.id);
    let order = match direction {
        Direction::Ascending => marks.then(ids.reverse()),
        Direction::Descending => marks.reverse().then(ids),
    };
    order.then(one.tenant.cmp(&two.tenant))
}

impl Cut {
    /// The same place in one tenant's rows. A row of the same value and id is behind it or before it, by the tenant.
    fn position(&self, tenant: i32, direction: Direction) -> Position {
        let told = tenant <= self.tenant;
        let id = if told { self.id.clone() } else { just_before(&self.id, direction) };
        Position { mark: self.mark.clone(), id }
    }
}

/// A text directly before an id in the order of ids: no id, and none is between them. Ids are made of `-`, `.`, digits
/// and letters, all of which stand between `!` and `~`.
fn just_before(id: &str, direction: Direction) -> String {
    match direction {
        Direction::Ascending => format!("{id}!"),
        Direction::Descending => {
            let mut bytes = id.as_bytes().to_vec();
            if let Some(last) = bytes.last_mut() {
                *last = last.saturating_sub(1);
            }
            bytes.push(b'~');
            String::from_utf8(bytes).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests;
