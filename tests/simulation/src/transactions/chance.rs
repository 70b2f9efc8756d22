//! Random choices of an application, which the seed determines.

use std::time::Duration;

use kafka_batch_simulated::World;

/// Random choices.
pub(super) trait Chance {
    /// Returns a number below `end`, which is not 0.
    fn below(&self, end: u64) -> u64;

    /// Returns true with this probability in percent.
    fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns one of the items, of which there is at least one.
    fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Returns a time of up to this many milliseconds.
    fn millis(&self, most: u64) -> Duration {
        Duration::from_micros(self.below(most * 1_000 + 1))
    }
}

impl Chance for World {
    fn below(&self, end: u64) -> u64 {
        self.random() % end
    }
}
