//! Transactions, by requests written by hand: each answer is that of Apache Kafka 4.4.0 (or 3.9.2, where the release is set).

#[path = "../common/mod.rs"]
mod common;

mod coordinators;
mod ending;
mod fencing;
mod levels;
mod offsets;
mod producer;
mod producing;
mod reading;
