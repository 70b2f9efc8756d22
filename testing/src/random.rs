//! Pseudo-random numbers from one seed: equal seeds produce equal runs.

use std::time::Duration;

/// A SplitMix64 sequence.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Creates the sequence of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns an independent sequence for one purpose, so that draws for one purpose do not affect others.
    #[must_use]
    pub fn fork(&mut self, purpose: u64) -> Self {
        Self(self.draw() ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    /// Returns any number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a number below `end`, which is not 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// Returns a number from `first` to `last`, inclusive.
    pub const fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// Returns true with this probability in percent.
    pub const fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns one of the items.
    ///
    /// # Panics
    /// There are no items.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Returns a duration of at most this many milliseconds, in microseconds.
    pub const fn millis(&mut self, first: u64, last: u64) -> Duration {
        let micros = self.below(1_000);
        Duration::from_micros(self.between(first, last) * 1_000 + micros)
    }
}
