//! Estimates the number of distinct states over any number of runs, in bounded memory.

/// Counts different hashes, nearly: each sets one bit of a map, and from the bits that are still free follows how many there
/// were (linear counting, Whang et al. 1990). Up to some hundred million it is right to a fraction of a percent.
#[derive(Debug)]
pub struct Distinct {
    map: Vec<u64>,
    free: u64,
}

/// Bits in the map: 16 MiB of them.
const BITS: u64 = 1 << 27;

impl Default for Distinct {
    fn default() -> Self {
        Self { map: vec![0; (BITS / 64) as usize], free: BITS }
    }
}

impl Distinct {
    /// Takes hashes in.
    pub fn extend(&mut self, hashes: impl IntoIterator<Item = u64>) {
        for hash in hashes {
            let bit = hash % BITS;
            let word = &mut self.map[(bit / 64) as usize];
            self.free -= u64::from(*word >> (bit % 64) & 1 == 0);
            *word |= 1 << (bit % 64);
        }
    }

    /// How many different ones there were, nearly.
    #[must_use]
    pub fn count(&self) -> u64 {
        let share = self.free.max(1) as f64 / BITS as f64;
        (-(BITS as f64) * share.ln()).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn it_counts_each_once_and_nearly_right() {
        let mut distinct = Distinct::default();
        assert_eq!(distinct.count(), 0);
        for _ in 0..2 {
            let mut random = Random::new(7);
            distinct.extend((0..1_000_000).map(|_| random.draw()));
        }
        assert!((999_000..=1_001_000).contains(&distinct.count()), "{}", distinct.count());
    }
}
