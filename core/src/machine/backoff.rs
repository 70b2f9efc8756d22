//! Exponential backoff with jitter, drawn from a seed.

use core::fmt;
use core::time::Duration;

use crate::splitmix64::SplitMix64;

/// The seed of all random numbers. With SCRAM it must be unpredictable, so `Debug` does not show it.
#[derive(Clone, Copy)]
pub(super) struct Seed(pub(super) u64);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(not shown)")
    }
}

/// The random numbers of one connection. They are independent of those of the machine and of other connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionRng {
    pub(super) seed: Seed,
    pub(super) connection: u64,
    /// How many times the connection has authenticated before: no nonce is used twice.
    pub(super) authentications: u32,
}

impl ConnectionRng {
    /// Returns a generator for this connection. Its numbers must not be disclosed: the seed can be calculated from
    /// them.
    pub(super) const fn random(self) -> SplitMix64 {
        SplitMix64::new(self.seed.0.rotate_left(32) ^ self.connection)
    }
}

/// A backoff that doubles from `first` up to `most`, with a jitter of ±20 %, as the Java client's `ExponentialBackoff`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) most: Duration,
}

impl Backoff {
    /// Returns how long to wait after this number of consecutive failures.
    pub(super) fn after(&self, failures: u32, random: &mut SplitMix64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(30));
        let nanos = doubled.min(self.most).as_nanos().min(u128::from(u64::MAX / 2)) as u64;
        // 0.8 to 1.2, in steps of 0.001; without floating point, so that every platform computes the same.
        let thousandths = 800 + random.below(401) as u64;
        let jittered = u128::from(nanos) * u128::from(thousandths) / 1000;
        Duration::from_nanos(jittered as u64).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

    #[test]
    fn it_doubles_within_the_jitter_and_never_exceeds_the_maximum() {
        let mut random = SplitMix64::new(7);
        for (failures, middle) in
            [(0, 100), (1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (40, 1000), (u32::MAX, 1000)]
        {
            for _ in 0..200 {
                let wait = BACKOFF.after(failures, &mut random).as_micros();
                assert!((middle * 800..=middle * 1200).contains(&wait), "{failures}: {wait}");
                assert!(wait <= 1_000_000);
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits_and_another_seed_others() {
        let waits =
            |seed| [1, 2, 3].map(|failures| BACKOFF.after(failures, &mut SplitMix64::new(seed + failures as u64)));
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(1000));
    }

    #[test]
    fn nothing_overflows() {
        let endless = Backoff { first: Duration::MAX, most: Duration::MAX };
        assert!(endless.after(99, &mut SplitMix64::new(0)) > Duration::from_secs(1 << 32));
    }
}
