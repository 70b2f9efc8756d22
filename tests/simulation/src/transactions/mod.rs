//! Transactional producers in the simulation: applications with real producers, which are told the outcome of each transaction, and
//! laws that compare this with what consumers of committed records read from the brokers' logs.
//!
//! The producer is the whole one, with its handle, driver and machine (`kafka-batch-simulated`). Processes are killed at any time,
//! with all that their producer has not sent yet; what is in transit still arrives. Several processes have the same transactional
//! id. A seed determines everything, also which of the two applications runs:
//!
//! - `writers`: processes that write transactions to several partitions, and commit, abort or drop them;
//! - `pipeline`: a group of processes that consume, transform and produce (KIP-447).

mod chance;
mod laws;
mod pipeline;
mod plan;
mod process;
mod settle;
mod told;
mod writers;

use std::cell::RefCell;
use std::rc::Rc;

use kafka_batch_simulated::{Failure, FaultAction, ScheduledFault, World};

pub use self::plan::{Application, Plan};
pub use self::told::Counts;

/// The number of seeds that have the same brokers and application.
pub const RUNS_OF_A_PLAN: u64 = 64;

/// Runs the schedules of a plan, one after the other. Returns what happened in them, summed up. The seeds are
/// `plan * RUNS_OF_A_PLAN` and those that follow.
///
/// # Errors
/// A law is violated. The failure has the seed, the faults that are needed for it, and the dialogue.
pub fn check_plan(plan: u64) -> Result<Counts, Box<Failure>> {
    let first = plan * RUNS_OF_A_PLAN;
    check(first..first + RUNS_OF_A_PLAN, true)
}

/// Runs the schedules of these seeds, which are of one plan.
///
/// # Errors
/// As [`check_plan`]. Unless `shortens`, the failure has all faults of the seed.
pub fn check(seeds: std::ops::Range<u64>, shortens: bool) -> Result<Counts, Box<Failure>> {
    let plan = Plan::draw(seeds.start / RUNS_OF_A_PLAN);
    let simulation = plan.simulation().max_reruns(if shortens { 400 } else { 0 });
    let counts = Rc::new(RefCell::new(Counts::default()));
    let application = |world: World| {
        let (mut plan, counts) = (plan.clone(), Rc::clone(&counts));
        let changes_level = |fault: &ScheduledFault| matches!(fault.action, FaultAction::SetTransactionVersion { .. });
        plan.has_level_changes = simulation.draw_faults(world.seed()).faults.iter().any(changes_level);
        async move {
            let of_run = match plan.application {
                Application::Writers => writers::run(world, plan).await?,
                Application::Pipeline(_) => pipeline::run(world, plan).await?,
            };
            *counts.borrow_mut() += of_run;
            Ok::<(), String>(())
        }
    };
    match simulation.find_failure(seeds, application) {
        None => Ok(counts.take()),
        Some(failure) => Err(Box::new(failure)),
    }
}
