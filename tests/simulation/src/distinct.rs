//! Estimates the number of distinct states over any number of runs, in bounded memory.

/// Estimates the number of distinct hashes: each sets one bit of a map, and the number follows from the bits that are
/// still 0 (linear counting, Whang et al. 1990). Up to some hundred million hashes the error is below a percent.
#[derive(Debug)]
pub struct Distinct {
    map: Vec<u64>,
    free: u64,
}

/// The number of bits in the map (16 MiB).
const BITS: u64 = 1 << 27;

impl Default for Distinct {
    fn default() -> Self {
        Self { map: vec![0; (BITS / 64) as usize], free: BITS }
    }
}

impl Distinct {
    /// Adds hashes.
    pub fn extend(&mut self, hashes: impl IntoIterator<Item = u64>) {
        for hash in hashes {
            let bit = hash % BITS;
            let word = &mut self.map[(bit / 64) as usize];
            self.free -= u64::from(*word >> (bit % 64) & 1 == 0);
            *word |= 1 << (bit % 64);
        }
    }

    /// Returns the estimated number of distinct hashes.
    #[must_use]
    pub fn count(&self) -> u64 {
        let share = self.free.max(1) as f64 / BITS as f64;
        (-(BITS as f64) * share.ln()).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_batch_testing::simulated::Random;

    #[test]
    fn the_estimate_ignores_repetitions_and_is_accurate() {
        let mut distinct = Distinct::default();
        assert_eq!(distinct.count(), 0);
        for _ in 0..2 {
            let mut random = Random::new(7);
            distinct.extend((0..1_000_000).map(|_| random.draw()));
        }
        assert!((999_000..=1_001_000).contains(&distinct.count()), "{}", distinct.count());
    }
}
