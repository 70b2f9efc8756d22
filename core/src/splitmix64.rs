//! The pseudo-random number generator of this crate. The same seed gives the same numbers.

/// A SplitMix64 generator (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
///
/// Not cryptographically secure: the seed can be calculated from the numbers.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// Creates a generator with this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a number from 0 to `bound` − 1; 0 if `bound` is 0.
    pub(crate) const fn below(&mut self, bound: usize) -> usize {
        let next = self.next();
        if bound == 0 { 0 } else { (next % bound as u64) as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the reference implementation (`splitmix64.c` by Sebastiano Vigna).
    #[test]
    fn numbers_are_those_of_the_reference() {
        let mut random = SplitMix64::new(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn bounds_0_and_1_give_0() {
        assert_eq!([0, 1].map(|bound| SplitMix64::new(3).below(bound)), [0, 0]);
    }
}
