//! Chance that repeats: xorshift64* (Marsaglia, 2003; Vigna, 2016), enough for data that only has to look alive and
//! must come out the same each time. Not for anything secret.

/// A sequence of numbers that its seed decides.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        // SplitMix64's finish, so that neighbouring seeds begin far apart; zero would stay zero.
        let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((mixed ^ (mixed >> 31)).max(1))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A whole number from 0 up to, without, `limit`.
    pub(super) fn below(&mut self, limit: u32) -> i64 {
        // The high half of a product: the low bits of xorshift are its weakest.
        i64::try_from(((self.next() >> 32) * u64::from(limit)) >> 32).expect("smaller than a u32")
    }

    /// One of `choices`, which must not be empty.
    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = u32::try_from(choices.len()).expect("a short list");
        choices[usize::try_from(self.below(count)).expect("not negative")]
    }

    /// A number from `low` to `high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        let bits = u32::try_from(self.next() >> 32).expect("half of a u64");
        low + (high - low) * f64::from(bits) / f64::from(u32::MAX)
    }

    /// A number around zero, mostly within `spread` and never beyond three times that.
    pub(super) fn around(&mut self, spread: f64) -> f64 {
        // Twelve uniform numbers sum to variance one; four, scaled, are bell enough.
        let sum: f64 = (0..4).map(|_| self.between(-0.5, 0.5)).sum();
        (sum * 3.0_f64.sqrt()).clamp(-3.0, 3.0) * spread
    }
}
