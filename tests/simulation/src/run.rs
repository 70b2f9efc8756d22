//! Runs a schedule, and shrinks a failing one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kafka_batch_core::Fate;
use kafka_batch_core::machine::CloseMode;

use crate::Moment;
use crate::broker::release::Release;
use crate::contents::{Recipe, Serial};
use crate::laws::Breach;
use crate::laws::ledger::Outcome;
use crate::laws::logs::{Strictness, check};
use crate::laws::tap::LONGEST_THROTTLE;
use crate::schedule::{Ending, Schedule};
use crate::world::{Action, Counts, World};

/// How a run went.
#[derive(Debug, Default)]
pub struct Report {
    /// The law that was broken.
    pub breach: Option<Breach>,
    /// What happened, if the run was traced.
    pub trace: Vec<String>,
    /// Stands for all that the machine put out.
    pub digest: u64,
    /// What was counted.
    pub counts: Counts,
    /// Batches that were accepted.
    pub accepted: u64,
    /// Of these: delivered.
    pub delivered: u64,
    /// Of these: not written.
    pub not_written: u64,
    /// Of these: unknown.
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
    let breach = match outcome {
        Ok(outcome) => outcome.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(Breach { law: "nothing panics", what: text.unwrap_or_default() })
        }
    };
    let mut report = Report { breach, digest: world.digest(), ..Report::default() };
    for promise in world.ledger.promises.values() {
        report.accepted += 1;
        match &promise.outcome {
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

/// Runs a schedule twice: as it is, and with received bytes cut anywhere. The outputs must be the same. (This holds
/// for the same seed and the same inputs, too.)
#[must_use]
pub fn run_twice(schedule: &Schedule) -> Report {
    let mut first = run(schedule, false, false);
    if first.breach.is_none() {
        let second = run(schedule, true, false);
        if second.breach.is_some() {
            first.breach = second.breach;
        } else if second.digest != first.digest {
            let what = "the outputs differ from those of the same run with its bytes in one piece".into();
            first.breach = Some(Breach { law: "received bytes cut anywhere give the same outputs", what });
        }
    }
    first
}

fn play(schedule: &Schedule, world: &mut World) -> Result<(), Breach> {
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
            world.act(&Action::Relent)?;
            // Whatever was begun comes to its end: delays, stalls, brokers that are away, time-outs, back-offs, throttling.
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
            return Breach::of("a closed producer comes to its end", format!("not within {patience:?}"));
        }
    }
    // What the machine gave up may still arrive somewhere.
    let end = world.now + Moment::from_secs(600);
    while !world.is_quiet() {
        if !world.step(end)? {
            break;
        }
    }
    let sent = world.ledger.promises.iter().find(|(_, promise)| !promise.attempts.is_empty());
    if let Some((serial, promise)) = sent.filter(|_| world.is_locked_out()) {
        return Breach::of("who is locked out sends nothing", format!("{serial:?}: {promise:?}"));
    }
    let idempotent = producer.is_idempotent() && schedule.settings.releases.iter().all(|each| *each >= Release::V0_11);
    check(&world.ledger, &world.cluster, Strictness { acks: world.acks(), idempotent })
}

/// A batch for each partition, which has to get through. Returns whether some are in doubt for good: an answer came too late, or a
/// former leader was asked first, and then the broker refused the identity. Those behind them have to get through.
fn probe(world: &mut World, patience: Moment, is_second: bool) -> Result<bool, Breach> {
    let recipe = Recipe { records: 1, ..Recipe::default() };
    if world.is_locked_out() {
        return Ok(false);
    }
    let mut probes: Vec<(Serial, String)> = Vec::new();
    // A broker before 2.5 that has forgotten a producer refuses it (UNKNOWN_PRODUCER_ID), and a batch that an old leader
    // may have taken before stays unknown then.
    let refuses = world.settings().releases.iter().any(|release| release.rules().unknown.is_some());
    for (topic, partition) in world.cluster.all_partitions() {
        let forgotten = world.cluster.partition(&topic, partition).is_some_and(|found| found.log.has_forgotten());
        if refuses && forgotten {
            continue;
        }
        if let Some(serial) = world.send(&topic, partition, recipe)? {
            probes.push((serial, format!("{topic}-{partition}")));
        }
    }
    world.note(|| format!("== probes: {probes:?}"));
    world.run_until(world.now + patience + Moment::from_secs(1))?;
    let mut in_doubt = false;
    for (serial, to) in probes {
        match &world.ledger.promises[&serial].outcome {
            Some(Outcome::Delivered(_)) => {}
            Some(Outcome::Failed(fates, _))
                if !is_second && world.refuses_identities() && fates.contains(&Fate::Unknown) =>
            {
                in_doubt = true;
            }
            // In so little time not everything can be set up anew.
            _ if patience < Moment::from_secs(5) => {}
            outcome => {
                return Breach::of("when faults cease, all gets through", format!("{serial:?} to {to}: {outcome:?}"));
            }
        }
    }
    Ok(in_doubt)
}

/// Leaves out of a failing schedule what it does not need to break the same law.
#[must_use]
pub fn shorten(schedule: &Schedule, law: &str) -> Schedule {
    let fails = |schedule: &Schedule| run(schedule, false, false).breach.is_some_and(|breach| breach.law == law);
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
