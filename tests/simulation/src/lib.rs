//! A deterministic simulation in one thread with a simulated clock: the sans-IO producer of `kafka-batch`, the brokers and
//! links of `kafka-batch-testing`, and faults, all generated from one seed.
//!
//! ```text
//! schedule ──commands, faults──▶ world ──┬── machine (under test)
//!                                        ├── links: latency, stalls, cuts, refused connections
//!                                        ├── brokers: one file per API, interceptors, sequence checks
//!                                        └── history: reported outcomes, compared with the logs
//! ```

pub mod contents;
pub mod credentials;
pub mod distinct;
pub mod laws;
pub mod machine;
pub mod run;
pub mod schedule;
pub mod transactions;
pub mod wire;
pub mod world;

pub use kafka_batch_testing::Moment;
