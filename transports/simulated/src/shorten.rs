//! Shortens the schedule of a failure: leaves out what it does not need.

use std::future::Future;

use crate::failure::{Cause, Failure};
use crate::faults::FaultSchedule;
use crate::simulation::{Outcome, Simulation};
use crate::world::World;

/// Returns the failure with the shortest schedule that is found: parts of the schedule are left out, ever smaller ones, as
/// long as the run fails for the same reason.
pub(crate) fn shorten<F: Future<Output: Outcome> + 'static>(
    simulation: &Simulation,
    seed: u64,
    drawn: &FaultSchedule,
    cause: &Cause,
    function: &impl Fn(World) -> F,
) -> Failure {
    let mut reruns = 0;
    let mut fails = |schedule: &FaultSchedule| {
        reruns += 1;
        let result = simulation.run_once(seed, schedule, false, function).0;
        result.is_err_and(|other| other.is_like(cause))
    };
    let mut shortest = drawn.clone();
    let mut left = simulation.max_reruns;
    let mut attempt = |shorter: FaultSchedule, shortest: &mut FaultSchedule| {
        let is_shorter = left > 0 && fails(&shorter);
        left = left.saturating_sub(1);
        if is_shorter {
            *shortest = shorter;
        }
        is_shorter
    };
    if !attempt(FaultSchedule::none(), &mut shortest) {
        let calm = FaultSchedule { faults: shortest.faults.clone(), ..FaultSchedule::none() };
        attempt(calm, &mut shortest);
        loop {
            let before = shortest.faults.len();
            let mut size = before.div_ceil(2);
            while size > 0 {
                let mut start = 0;
                while start < shortest.faults.len() {
                    let mut shorter = shortest.clone();
                    shorter.faults.drain(start..(start + size).min(shortest.faults.len()));
                    if !attempt(shorter, &mut shortest) {
                        start += size;
                    }
                }
                size /= 2;
            }
            // What was left out later may have needed what could not be left out before.
            if shortest.faults.len() == before {
                break;
            }
        }
    }
    let (result, report) = simulation.run_once(seed, &shortest, true, function);
    let cause = match result {
        Err(again) if again.is_like(cause) => again,
        _ => Cause::NotDeterministic,
    };
    let drawn_faults = drawn.faults.len();
    Failure { seed, cause, schedule: shortest, drawn_faults, reruns, dialogue: report.dialogue }
}
