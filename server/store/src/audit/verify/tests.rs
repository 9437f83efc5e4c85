use super::{
    Reason,
    link::{Fault, Link, Links},
};
use crate::audit::row::{Hash, NOTHING};

fn hash(writer: i64, sequence: i64) -> Hash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&writer.to_be_bytes());
    hash[8..16].copy_from_slice(&sequence.to_be_bytes());
    hash
}

/// The record of this writer and number that follows the one before it, or the given hash if it is the first.
fn link(writer: i64, sequence: i64, first: Hash) -> Link {
    let previous = if sequence == 1 { first } else { hash(writer, sequence - 1) };
    Link { writer, sequence, through: sequence, previous, hash: hash(writer, sequence) }
}

fn first_fault(first: &[(i64, Hash)], links: impl IntoIterator<Item = Link>) -> Option<Fault> {
    let mut chain = Links::new(first.iter().copied());
    links.into_iter().for_each(|link| chain.add(link));
    chain.finish().0
}

#[test]
fn a_chain_of_two_writers_holds_in_any_order_of_times() {
    let first = [(1, NOTHING), (2, hash(1, 3))];
    let mut links: Vec<Link> =
        (1..=5).map(|n| link(1, n, NOTHING)).chain((1..=5).map(|n| link(2, n, hash(1, 3)))).collect();
    assert_eq!(first_fault(&first, links.clone()), None);
    links.reverse();
    assert_eq!(first_fault(&first, links.clone()), None);
    links.rotate_left(3);
    assert_eq!(first_fault(&first, links), None);
}

#[test]
fn each_kind_of_damage_is_named_at_the_record_it_was_done_to() {
    let whole = || (1..=6).map(|n| link(1, n, NOTHING)).collect::<Vec<_>>();
    let first = [(1, NOTHING)];
    let fault = |sequence, reason| Some(Fault { writer: 1, sequence, reason });

    let mut removed = whole();
    removed.remove(2);
    assert_eq!(first_fault(&first, removed), fault(3, Reason::Gap));

    let mut beheaded = whole();
    beheaded.remove(0);
    assert_eq!(first_fault(&first, beheaded), fault(1, Reason::Gap));

    let mut twice = whole();
    twice.push(link(1, 4, NOTHING));
    assert_eq!(first_fault(&first, twice), fault(4, Reason::Duplicate));

    let mut relinked = whole();
    relinked[3].previous = [9; 32];
    assert_eq!(first_fault(&first, relinked), fault(4, Reason::Link));

    assert_eq!(first_fault(&[(1, [7; 32])], whole()), fault(1, Reason::Beginning));
    // Its own record does not count as one that stood before it.
    assert_eq!(first_fault(&[(1, hash(1, 6))], whole()), fault(1, Reason::Beginning));
}

#[test]
fn a_receipt_stands_for_a_stretch_and_for_no_more() {
    let stretch = |first, last| Link { through: last, hash: hash(1, last), ..link(1, first, NOTHING) };
    let rest = |from: i64| (from..=9).map(|n| link(1, n, NOTHING)).collect::<Vec<_>>();
    let with = |mut links: Vec<Link>, stretch: Link| {
        links.insert(0, stretch);
        links
    };
    let fault = |sequence, reason| Some(Fault { writer: 1, sequence, reason });

    assert_eq!(first_fault(&[], with(rest(6), stretch(1, 5))), None);
    // It may come after what follows it.
    assert_eq!(first_fault(&[], rest(6).into_iter().chain([stretch(1, 5)])), None);
    assert_eq!(first_fault(&[], with(rest(7), stretch(1, 5))), fault(6, Reason::Gap));
    assert_eq!(first_fault(&[], with(rest(5), stretch(1, 5))), fault(5, Reason::Duplicate));
    assert_eq!(first_fault(&[], rest(5).into_iter().chain([stretch(1, 5)])), fault(5, Reason::Duplicate));
    let other = Link { hash: [9; 32], ..stretch(1, 5) };
    assert_eq!(first_fault(&[], with(rest(6), other)), fault(6, Reason::Link));

    // A writer that began behind a record of the stretch.
    let first = [(2, hash(1, 3))];
    let follower = link(2, 1, hash(1, 3));
    let mut chain = Links::new(first);
    chain.add(stretch(1, 5));
    chain.add(follower);
    assert_eq!(chain.finish().0, Some(Fault { writer: 2, sequence: 1, reason: Reason::Beginning }));
    let mut chain = Links::new(first);
    chain.add(stretch(1, 5));
    chain.stood(1, &hash(1, 3));
    chain.add(follower);
    assert_eq!(chain.finish().0, None);
}

#[test]
fn a_record_that_does_not_come_can_be_given_up() {
    let mut chain = Links::new([(1, NOTHING)]);
    chain.add(link(1, 1, NOTHING));
    for sequence in 3..=5 {
        chain.add(link(1, sequence, NOTHING));
    }
    assert_eq!((chain.waiting(1), chain.awaited(1)), (3, 2));
    chain.give_up(1);
    assert_eq!((chain.waiting(1), chain.awaited(1)), (0, 6));
    assert_eq!(chain.finish().0, Some(Fault { writer: 1, sequence: 2, reason: Reason::Gap }));
}
