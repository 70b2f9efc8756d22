//! A whole world in one thread, on a clock that only the test moves: the sans-IO producer of `kafka-batch`, a cluster of
//! fake brokers, the links between them, and everything that can go wrong, from one seed.
//!
//! ```text
//! schedule ──commands, faults──▶ world ──┬── machine (under test)
//!                                        ├── links: latency, stalls, cuts, refusals
//!                                        ├── brokers: one file an API, interceptors, rules for sequences
//!                                        └── ledger: what was promised, compared with what is in the logs
//! ```

pub mod broker;
pub mod cluster;
pub mod contents;
pub mod distinct;
pub mod laws;
pub mod link;
pub mod machine;
pub mod random;
pub mod run;
pub mod schedule;
pub mod wire;
pub mod world;

/// A point in time: how long after the beginning of the world.
pub type Moment = std::time::Duration;
