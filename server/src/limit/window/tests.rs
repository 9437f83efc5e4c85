use std::collections::VecDeque;

use super::*;

const MINUTE: u64 = 60_000;
/// 2026-03-01T00:00:00Z.
const START: u64 = 1_772_323_200_000;

/// Numbers that look random and are the same in every run (xorshift64*).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }
}

/// The moment of every unit that was admitted.
#[derive(Default)]
struct Log(VecDeque<u64>);

impl Log {
    fn used(&mut self, now: u64, length: u64) -> u64 {
        while self.0.front().is_some_and(|at| at + length <= now) {
            self.0.pop_front();
        }
        u64::try_from(self.0.len()).unwrap()
    }
}

fn admit(window: &mut Window, now: u64, length: u64, limit: u64, units: u64) -> bool {
    window.used(now, length);
    let fits = window.wait(length, limit, units).is_none();
    if fits {
        window.add(length, limit, units);
    }
    fits
}

/// R01: N pass, the next does not, and what is said about when it will is true to the second.
#[test]
fn r01_the_limit_passes_and_the_wait_is_true() {
    let mut chance = Chance(7);
    for limit in [1, 2, 3, 16, 17, 100, 1_000] {
        for units in [1, 2, 5] {
            let mut window = Window::default();
            let mut now = START + chance.below(MINUTE);
            let mut passed = 0;
            loop {
                window.used(now, MINUTE);
                if let Some(wait) = window.wait(MINUTE, limit, units) {
                    let seconds = wait.div_ceil(1_000);
                    let mut early = window.clone();
                    assert!(!admit(&mut early, now + (seconds - 1) * 1_000, MINUTE, limit, units), "{limit} {units}");
                    let mut late = window.clone();
                    assert!(admit(&mut late, now + seconds * 1_000, MINUTE, limit, units), "{limit} {units}");
                    let mut exact = window.clone();
                    assert!(!admit(&mut exact, now + wait - 1, MINUTE, limit, units), "{limit} {units}");
                    assert!(admit(&mut exact, now + wait, MINUTE, limit, units), "{limit} {units}");
                    break;
                }
                window.add(MINUTE, limit, units);
                passed += units.min(limit);
                now += chance.below(20);
            }
            assert!(passed <= limit && passed + units > limit, "{passed} of {limit} by {units}");
        }
    }
}

/// R02: whatever comes when, no window holds more than a tenth above the limit.
#[test]
fn r02_no_sliding_window_holds_more_than_a_tenth_above_the_limit() {
    let mut chance = Chance(11);
    for limit in [10, 100, 1_000] {
        // The worst that is known: a lonely unit, then a burst, so that a bucket's middle is not where its units are.
        let shapes: [&dyn Fn(&mut Chance) -> u64; 4] = [
            &|_| 1,
            &|chance| if chance.below(50) == 0 { 15_000 } else { 0 },
            &|chance| if chance.below(limit) == 0 { MINUTE - 1 } else { 0 },
            &|chance| if chance.below(7) == 0 { 1_870 } else { 1 },
        ];
        for (number, gap) in shapes.iter().enumerate() {
            let (mut window, mut log) = (Window::default(), Log::default());
            let (mut now, mut most) = (START, 0);
            for _ in 0..60_000 {
                now += gap(&mut chance);
                if admit(&mut window, now, MINUTE, limit, 1) {
                    log.0.push_back(now);
                    most = most.max(log.used(now, MINUTE));
                }
            }
            assert!(most * 10 <= limit * 11, "shape {number}: {most} in a minute, of {limit}");
        }
    }
}

/// R03: of 100,000 random arrivals as many are admitted as an exact log admits, to 1 in 100, and the counts that decisions
/// are made on are no more than 1 in 100 of the limit beside the truth, taken together.
#[test]
fn r03_random_arrivals_are_counted_to_one_in_a_hundred() {
    for (limit, mean_gap) in [(1_000, 120), (1_000, 60), (1_000, 40), (1_000, 6), (100, 500), (6_000, 9)] {
        let mut chance = Chance(limit * 31 + mean_gap);
        let (mut window, mut own, mut exact) = (Window::default(), Log::default(), Log::default());
        let (mut now, mut admitted, mut should, mut beside) = (START, 0_u64, 0_u64, 0_u64);
        for _ in 0..100_000 {
            now += chance.below(2 * mean_gap + 1);
            beside += window.used(now, MINUTE).abs_diff(own.used(now, MINUTE));
            if admit(&mut window, now, MINUTE, limit, 1) {
                own.0.push_back(now);
                admitted += 1;
            }
            if exact.used(now, MINUTE) < limit {
                exact.0.push_back(now);
                should += 1;
            }
        }
        let case = format!("{limit} a minute, one in {mean_gap} ms");
        assert!(admitted.abs_diff(should) * 100 <= should, "{case}: {admitted} admitted, {should} by the log");
        assert!(beside * 100 <= limit * 100_000, "{case}: counts were {beside} beside the truth, together");
    }
}

#[test]
fn a_clock_that_jumps_neither_blocks_nor_refills_twice() {
    let mut window = Window::default();
    for _ in 0..10 {
        assert!(admit(&mut window, START, MINUTE, 10, 1));
    }
    assert!(!admit(&mut window, START - 3_600_000, MINUTE, 10, 1), "an hour back nothing has passed");
    assert_eq!(window.wait(MINUTE, 10, 1), Some(MINUTE));
    assert!(admit(&mut window, START - 3_600_000 + MINUTE, MINUTE, 10, 1), "a minute later it has");
    assert!(admit(&mut window, START + 3_600_000, MINUTE, 10, 10), "an hour ahead it is empty");
}

#[test]
fn what_costs_more_than_the_limit_takes_an_empty_window() {
    let mut window = Window::default();
    assert!(admit(&mut window, START, MINUTE, 10, 100));
    assert!(!admit(&mut window, START + 1, MINUTE, 10, 1));
    assert!(!admit(&mut window, START + MINUTE - 1, MINUTE, 10, 100));
    assert!(admit(&mut window, START + MINUTE, MINUTE, 10, 100));
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut window = Window::default();
    let mut chance = Chance(3);
    let mut now = START;
    for _ in 0..200_000 {
        now += chance.below(12);
        admit(&mut window, now, MINUTE, 100_000, 1);
        assert!(u64::try_from(window.buckets.len()).unwrap() <= PARTS + SPANS + 2);
    }
}
