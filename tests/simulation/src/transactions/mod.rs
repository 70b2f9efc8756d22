//! Transactional producers in the simulation: applications with real producers, which are told the outcome of each transaction, and
//! laws that compare this with what consumers of committed records read from the brokers' logs.
//!
//! The producer is the whole one, with its handle, driver and machine (`kafka-batch-simulated`). Processes are killed at any time,
//! with all that their producer has not sent yet; what is in transit still arrives. Several processes have the same transactional
//! id. A seed determines everything, also which of the two applications runs:
//!
//! - [`writers`]: processes that write transactions to several partitions, and commit, abort or drop them;
//! - [`pipeline`]: a group of processes that consume, transform and produce (KIP-447).

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

use kafka_batch_simulated::{Failure, FaultAction, Simulation, World};

pub use self::plan::{Application, Plan};
pub use self::told::Counts;

/// Runs the schedules of these seeds, one after the other. Returns what happened in them, summed up.
///
/// # Errors
/// A law is violated. The failure has the seed, the faults that are needed for it, and the dialogue.
pub fn check(seeds: impl IntoIterator<Item = u64>) -> Result<Counts, Box<Failure>> {
    let mut counts = Counts::default();
    for seed in seeds {
        counts += run(seed)?;
    }
    Ok(counts)
}

fn run(seed: u64) -> Result<Counts, Box<Failure>> {
    let plan = Plan::draw(seed);
    let simulation = plan.simulation();
    let faults = simulation.draw_faults(seed).faults;
    let mut plan = plan;
    plan.has_level_changes = faults.iter().any(|fault| matches!(fault.action, FaultAction::SetTransactionVersion { .. }));
    let counts = Rc::new(RefCell::new(Counts::default()));
    let application = |world: World| {
        let (plan, counts) = (plan.clone(), Rc::clone(&counts));
        async move {
            *counts.borrow_mut() = match plan.application {
                Application::Writers => writers::run(world, plan).await?,
                Application::Pipeline(_) => pipeline::run(world, plan).await?,
            };
            Ok::<(), String>(())
        }
    };
    match one(&simulation, seed, application) {
        None => Ok(counts.take()),
        Some(failure) => Err(Box::new(failure)),
    }
}

/// Runs one seed, without the second run by which [`Simulation::find_failure`] checks that the code is deterministic, except for
/// some of the seeds.
fn one<F: Future<Output = Result<(), String>> + 'static>(
    simulation: &Simulation,
    seed: u64,
    application: impl Fn(World) -> F,
) -> Option<Failure> {
    simulation.find_failure([seed], application)
}
