//! Random numbers, which keep brokers of different runs apart.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

/// Returns a random number. The standard library has no source of random numbers, but seeds the hasher of each map with
/// one.
pub(crate) fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Returns a new cluster id: 16 bytes in URL-safe base64, as Kafka requires. It consists of hexadecimal digits,
/// so that it does not start with a dash, which the storage tool would take for an option.
pub(crate) fn cluster_id() -> String {
    let mut id = format!("{:016x}{:016x}", number(), number());
    id.truncate(21);
    // The last of 22 characters has only 2 bits, so it is one of A, Q, g and w.
    id.push('A');
    id
}

/// Returns a broker id from 1 to 1000, the default of `reserved.broker.max.id`.
pub(crate) fn broker_id() -> u16 {
    u16::try_from(number() % 1_000).unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_ids_are_in_the_range() {
        assert!((0..2_000).map(|_| broker_id()).all(|id| (1..=1_000).contains(&id)));
    }

    #[test]
    fn cluster_ids_are_22_characters_and_differ() {
        let (one, other) = (cluster_id(), cluster_id());
        assert_eq!((one.len(), other.len()), (22, 22));
        assert_ne!(one, other);
    }
}
