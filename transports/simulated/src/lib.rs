//! Tests of code that uses `kafka-batch`, in a simulation: the code runs with a real producer, and time, network, brokers and
//! their faults are simulated, all from one seed.
//!
//! ```
//! use kafka_batch_simulated::simulate;
//!
//! simulate(4711, |world| async move {
//!     let producer = world.producer(); // as over tokio: connections break, brokers restart, responses get lost
//!     let outcome = producer.send("orders", "three books").await;
//!     let stored = world.cluster().logs("orders").iter().map(|log| log.batches().len()).sum::<usize>();
//!     match outcome {
//!         Ok(_) => assert_eq!(stored, 1),
//!         Err(error) => world.note(format!("not confirmed: {error}")), // printed if the run fails
//!     }
//! });
//! ```
//!
//! # What is simulated
//! The producer is the one of every transport: the same handle, driver and state machine. This crate is its runtime: streams
//! over simulated links, timers on a simulated clock, and an executor of one thread that runs one task at a time, in an order
//! that the seed determines. The brokers are those of [`kafka_batch_testing`]. Simulated time passes at once, so that a run
//! with timeouts of minutes takes about as long as one without: a program that sends ten messages to three brokers runs thousands
//! of times a second (the example `speed` measures it).
//!
//! # Faults
//! A seed draws a [`FaultSchedule`]: brokers restart, leaders change, connections break or stall, requests are refused,
//! delayed, executed without a response, and so on. [`Simulation::faults`] sets how many. [`World::cluster`] has faults by name,
//! at a time that the test chooses.
//!
//! # Failures
//! A run fails if the code panics, returns an error, waits for ever or does not end. Then faults are left out as long as it
//! still fails, and the report has the faults that are left, and what happened: requests, responses, what was stored, and the
//! lines of [`World::note`], each with its time.
//!
//! # What the code under test must not do
//! Use a runtime (`tokio::spawn`, `tokio::time::sleep`), another clock or source of randomness, threads, or the order of a
//! `HashMap`. Take tasks and time as parameters, or use [`World`]. If two runs of a failing seed differ, the report says so.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cluster;
mod dialogue;
mod executor;
mod failure;
mod faults;
mod network;
#[cfg(feature = "proptest")]
pub mod proptest;
mod runtime;
mod shorten;
mod simulation;
mod state;
mod transaction_faults;
mod transactions;
mod world;

pub use cluster::SimulatedCluster;
pub use failure::{Cause, Failure};
pub use faults::{FaultAction, FaultIntensity, FaultSchedule, ScheduledFault};
pub use kafka_batch_transport::{ProducerBuilder, ProducerConfig};
pub use runtime::{Simulated, SimulatedProducer, SimulatedStream, Timer};
pub use simulation::{Outcome, RunReport, SEED_VARIABLE, Simulation, simulate};
pub use world::{JoinHandle, Sleep, TimedOut, World};
