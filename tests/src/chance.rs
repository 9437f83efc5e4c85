//! Numbers that look random and are the same in each run.

/// A generator (SplitMix64), begun with a number.
pub struct Chance(pub u64);

impl Chance {
    /// A number from 0 up to, not including, this one.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// One of several.
    pub fn of<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        let place = self.below(items.len() as u64);
        &items[usize::try_from(place).expect("a place in memory")]
    }
}
