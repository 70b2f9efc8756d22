//! A deterministic simulation in one thread with a simulated clock: the sans-IO producer of `kafka-batch`, a cluster of
//! fake brokers, the links between them, and faults, all generated from one seed.
//!
//! ```text
//! schedule ──commands, faults──▶ world ──┬── machine (under test)
//!                                        ├── links: latency, stalls, cuts, refused connections
//!                                        ├── brokers: one file per API, interceptors, sequence checks
//!                                        └── history: reported outcomes, compared with the logs
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

/// A point in time, as the duration since the start of the simulation.
pub type Moment = std::time::Duration;
