//! Runs a schedule, and shrinks a failing one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kafka_batch_core::Fate;
use kafka_batch_core::machine::CloseMode;
use kafka_batch_testing::Release;

use crate::Moment;
use crate::contents::{BatchSpec, Serial};
use crate::laws::Violation;
use crate::laws::history::Outcome;
use crate::laws::logs::{Guarantees, check};
use crate::laws::tap::LONGEST_THROTTLE;
use crate::schedule::{Ending, Schedule};
use crate::world::{Action, Counts, World};

/// The result of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// The violation, if there is one.
    pub violation: Option<Violation>,
    /// The trace, if the run was traced.
    pub trace: Vec<String>,
    /// A hash of all outputs of the machine.
    pub digest: u64,
    /// The statistics.
    pub counts: Counts,
    /// Accepted batches.
    pub accepted: u64,
    /// Delivered batches.
    pub delivered: u64,
    /// Batches reported as not written.
    pub not_written: u64,
    /// Batches reported as unknown.
    pub unknown: u64,
}

/// Runs a schedule.
#[must_use]
pub fn run(schedule: &Schedule, cut_anywhere: bool, traced: bool) -> Report {
    let mut settings = schedule.settings.clone();
    settings.cut_anywhere = cut_anywhere;
    settings.traced = traced;
    let mut world = World::new(settings);
    let outcome = catch_unwind(AssertUnwindSafe(|| play(schedule, &mut world)));
    let violation = match outcome {
        Ok(outcome) => outcome.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(Violation { law: "nothing panics", what: text.unwrap_or_default() })
        }
    };
    let mut report = Report { violation, digest: world.digest(), ..Report::default() };
    for accepted in world.history.accepted_batches.values() {
        report.accepted += 1;
        match &accepted.outcome {
            Some(Outcome::Delivered(_)) => report.delivered += 1,
            Some(Outcome::Failed(fates, _)) if fates.contains(&Fate::Unknown) => report.unknown += 1,
            Some(Outcome::Failed(..)) => report.not_written += 1,
            None => {}
        }
    }
    report.counts = std::mem::take(&mut world.counts);
    report.trace = std::mem::take(&mut world.trace);
    report
}

/// Runs a schedule twice: as it is, and with received bytes split anywhere. The outputs must be the same. (So they must
/// be for the same seed and the same inputs.)
#[must_use]
pub fn run_twice(schedule: &Schedule) -> Report {
    let mut first = run(schedule, false, false);
    if first.violation.is_none() {
        let second = run(schedule, true, false);
        if second.violation.is_some() {
            first.violation = second.violation;
        } else if second.digest != first.digest {
            let what = "the outputs differ from those of the same run with its bytes in one piece".into();
            first.violation = Some(Violation { law: "outputs do not depend on how received bytes are split", what });
        }
    }
    first
}

fn play(schedule: &Schedule, world: &mut World) -> Result<(), Violation> {
    for (at, action) in &schedule.actions {
        world.run_until(*at)?;
        world.act(action)?;
    }
    world.run_until(schedule.over_at)?;
    let producer = &schedule.settings.producer;
    let patience = producer.delivery_timeout + producer.request_timeout + Moment::from_secs(30);
    match schedule.ending {
        Ending::Closed(mode) => world.act(&Action::Close(mode))?,
        Ending::Healed => {
            world.act(&Action::EndFaults)?;
            // Longer than anything that was started can take: delays, stalls, brokers that are down, timeouts,
            // back-offs, throttling.
            let time_outs = producer.request_timeout * 2 + producer.socket_connection_setup_timeout;
            let calm = Moment::from_secs(45) + time_outs + LONGEST_THROTTLE;
            world.run_until(world.now + calm)?;
            let again = probe(world, producer.delivery_timeout, false)?;
            if again {
                probe(world, producer.delivery_timeout, true)?;
            }
            world.act(&Action::Flush)?;
            world.act(&Action::Close(CloseMode::Graceful))?;
        }
    }
    let end = world.now + patience;
    while !world.is_closed() {
        if !world.step(end)? && !world.is_closed() {
            return Violation::of("a closed producer ends", format!("not within {patience:?}"));
        }
    }
    // Batches that the machine gave up may still arrive.
    let end = world.now + Moment::from_secs(600);
    while !world.is_quiet() {
        if !world.step(end)? {
            break;
        }
    }
    let sent = world.history.accepted_batches.iter().find(|(_, accepted)| !accepted.attempts.is_empty());
    if let Some((serial, accepted)) = sent.filter(|_| world.lacks_credentials()) {
        return Violation::of("an unauthenticated client sends no batches", format!("{serial:?}: {accepted:?}"));
    }
    let idempotent = producer.is_idempotent() && schedule.settings.releases.iter().all(|each| *each >= Release::V0_11);
    check(&world.history, &world.cluster, Guarantees { acks: world.acks(), idempotent })
}

/// Sends a batch to each partition, which must be delivered. Returns whether some remain unknown: a response was too
/// late, or a former leader was tried first, and then the broker rejected the identity. The batches after them must be
/// delivered.
fn probe(world: &mut World, patience: Moment, is_second: bool) -> Result<bool, Violation> {
    let spec = BatchSpec { records: 1, ..BatchSpec::default() };
    if world.lacks_credentials() {
        return Ok(false);
    }
    let mut probes: Vec<(Serial, String)> = Vec::new();
    // A broker before 2.5 that has forgotten a producer rejects it (UNKNOWN_PRODUCER_ID). A batch that a former leader
    // may have accepted before remains unknown then.
    let rejection_code = world.settings().releases.iter().any(|release| release.rules().unknown.is_some());
    for (topic, partition) in world.cluster.all_partitions() {
        let forgotten = world.cluster.partition(&topic, partition).is_some_and(|found| found.log.has_forgotten());
        if rejection_code && forgotten {
            continue;
        }
        if let Some(serial) = world.send(&topic, partition, spec)? {
            probes.push((serial, format!("{topic}-{partition}")));
        }
    }
    world.note(|| format!("== probes: {probes:?}"));
    world.run_until(world.now + patience + Moment::from_secs(1))?;
    let mut in_doubt = false;
    for (serial, to) in probes {
        match &world.history.accepted_batches[&serial].outcome {
            Some(Outcome::Delivered(_)) => {}
            Some(Outcome::Failed(fates, _))
                if !is_second && world.rejects_identities() && fates.contains(&Fate::Unknown) =>
            {
                in_doubt = true;
            }
            // The time is too short to set up everything again.
            _ if patience < Moment::from_secs(5) => {}
            outcome => {
                return Violation::of(
                    "after the faults end, every batch is delivered",
                    format!("{serial:?} to {to}: {outcome:?}"),
                );
            }
        }
    }
    Ok(in_doubt)
}

/// Removes the actions of a failing schedule that are not needed to violate the same law.
#[must_use]
pub fn shorten(schedule: &Schedule, law: &str) -> Schedule {
    let fails =
        |schedule: &Schedule| run(schedule, false, false).violation.is_some_and(|violation| violation.law == law);
    let mut shortest = schedule.clone();
    let mut size = shortest.actions.len().max(1);
    while size > 0 {
        let mut start = 0;
        while start < shortest.actions.len() {
            let mut shorter = shortest.clone();
            shorter.actions.drain(start..(start + size).min(shortest.actions.len()));
            if fails(&shorter) {
                shortest = shorter;
            } else {
                start += size;
            }
        }
        size /= 2;
    }
    shortest
}
