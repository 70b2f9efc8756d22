//! Strategies for records and their parts.

use alloc::string::String;
use alloc::vec::Vec;

use ::proptest::collection::{SizeRange, vec};
use ::proptest::option;
use ::proptest::prelude::*;
use ::proptest::sample::select;

use crate::proptest::{OwnedHeader, OwnedRecord};
use crate::time::Timestamp;

/// Generates byte strings: short ones, some of the lengths at which the length field becomes longer, repetitive ones that
/// compress well, and noise that does not. They shrink towards few zeros.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => vec(any::<u8>(), 0..12),
        2 => (any::<u8>(), 0..400_usize).prop_map(|(byte, len)| alloc::vec![byte; len]),
        1 => (any::<u8>(), select(&[63, 64, 127, 128, 8_191, 8_192][..])).prop_map(|(byte, len)| alloc::vec![byte; len]),
        2 => (any::<u64>(), 0..300_usize).prop_map(|(seed, len)| noise(seed, len)),
    ]
}

/// Returns bytes that no codec makes shorter: a xorshift sequence.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    core::iter::repeat_with(draw).take(len).collect()
}

/// Generates timestamps: most close to each other and not in order, some before 1970, and some extreme ones.
pub fn timestamps() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => 1_700_000_000_000..1_700_000_100_000_i64,
        3 => -200..200_i64,
        1 => any::<i64>(),
        1 => select(&[i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX][..]),
    ]
    .prop_map(Timestamp::from_millis)
}

/// Generates headers. Most names are from a small set, so that they repeat. Values may be null or empty.
pub fn headers() -> impl Strategy<Value = OwnedHeader> {
    let known = ["", "a", "b", "content-type", "correlation_id", "reply_to"];
    let name = prop_oneof![
        4 => select(known.map(String::from).to_vec()),
        1 => "\\PC{0,6}",
    ];
    let value = prop_oneof![
        6 => vec(any::<u8>(), 0..6),
        1 => vec(Just(7), 60..70),
    ];
    (name, option::weighted(0.8, value)).prop_map(|(name, value)| OwnedHeader { name, value })
}

/// Generates lists of headers, with repeated names.
pub fn header_lists() -> impl Strategy<Value = Vec<OwnedHeader>> {
    prop_oneof![1 => Just(Vec::new()), 2 => vec(headers(), 0..6)]
}

/// Generates records: key and value null, empty or not, any headers, with or without a timestamp.
pub fn record() -> impl Strategy<Value = OwnedRecord> {
    let field = || option::weighted(0.8, bytes());
    (field(), field(), header_lists(), option::weighted(0.7, timestamps()))
        .prop_map(|(key, value, headers, timestamp)| OwnedRecord { key, value, headers, timestamp })
}

/// Generates lists of `count` records.
pub fn records(count: impl Into<SizeRange>) -> impl Strategy<Value = Vec<OwnedRecord>> {
    vec(record(), count)
}
