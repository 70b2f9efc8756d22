//! Compares the reported outcomes with the logs at the end of a run.

use std::collections::BTreeMap;

use kafka_batch_core::Fate;
use kafka_batch_testing::StoredBatch;
use kafka_batch_testing::simulated::Cluster;

use super::Violation;
use super::history::{BatchHistory, Outcome};
use crate::contents::{Serial, identify};

/// The guarantees of the settings.
#[derive(Clone, Copy, Debug)]
pub struct Guarantees {
    /// `acks`.
    pub acks: i16,
    /// True if nothing may be written twice, and the order is kept.
    pub idempotent: bool,
}

/// The location of a record.
#[derive(Clone, Copy, Debug)]
struct Place {
    position: u32,
    offset: i64,
    /// It was lost with the uncommitted end of a log when the leader changed.
    lost: bool,
}

/// Compares the outcomes with the logs.
pub fn check(history: &BatchHistory, cluster: &Cluster, strictness: Guarantees) -> Result<(), Violation> {
    let places = places(history, cluster)?;
    let nowhere = Vec::new();
    for (serial, accepted) in &history.accepted_batches {
        let Some(outcome) = &accepted.outcome else {
            return Violation::of("each accepted batch has exactly one outcome", format!("none for {serial:?}"));
        };
        let places = places.get(serial).unwrap_or(&nowhere);
        for position in 0..accepted.records {
            let here: Vec<&Place> = places.iter().filter(|place| place.position == position).collect();
            let stored = here.iter().filter(|place| !place.lost).count();
            let about = || format!("record {position} of {serial:?} ({outcome:?}) is at {here:?}");
            if strictness.idempotent && stored > 1 {
                return Violation::of("idempotent: nothing is written twice", about());
            }
            match outcome {
                Outcome::Delivered(offsets) => {
                    let offset = offsets[position as usize];
                    // Brokers before 2.x return DUPLICATE_SEQUENCE_NUMBER, without an offset, before the replicas have
                    // the batch.
                    let safe = strictness.acks == -1 && (offset.is_some() || accepted.proven);
                    let there =
                        |place: &&Place| offset.is_none_or(|offset| offset == place.offset) && !(safe && place.lost);
                    if strictness.acks != 0 && !here.iter().copied().any(|place| there(&place)) {
                        return Violation::of("delivered records are in the log at the reported offsets", about());
                    }
                    if strictness.acks == 0 && offset.is_some() {
                        return Violation::of("with acks=0 no offsets are reported", about());
                    }
                }
                Outcome::Failed(fates, _) => match fates[position as usize] {
                    Fate::NotWritten if !here.is_empty() => {
                        return Violation::of("records reported as not written are in no log", about());
                    }
                    // With acks=1, written records can be lost when the leader changes.
                    Fate::Written if stored == 0 && (strictness.acks == -1 || here.is_empty()) => {
                        return Violation::of("records reported as written are in the log", about());
                    }
                    _ => {}
                },
            }
        }
    }
    in_order(history, cluster, strictness)
}

fn places(history: &BatchHistory, cluster: &Cluster) -> Result<BTreeMap<Serial, Vec<Place>>, Violation> {
    let mut places: BTreeMap<Serial, Vec<Place>> = BTreeMap::new();
    let mut add = |to: (String, i32), stored: &StoredBatch, lost| {
        let identity =
            identify(&stored.bytes).or_else(|error| Violation::of("batches in logs can be decoded", error))?;
        if history.accepted_batches.get(&identity.serial).is_none_or(|accepted| accepted.to != to) {
            return Violation::of(
                "a batch is only in the log of its partition",
                format!("{:?} is in {to:?}", identity.serial),
            );
        }
        places.entry(identity.serial).or_default().extend((0..identity.records).map(|record| Place {
            position: identity.first + record,
            offset: stored.base_offset + i64::from(record),
            lost,
        }));
        Ok(())
    };
    for (topic, partition) in cluster.all_partitions() {
        let found = cluster.partition(&topic, partition).into_iter().flat_map(|partition| partition.log.stored());
        for stored in found {
            add((topic.clone(), partition), stored, false)?;
        }
    }
    for (topic, partition, stored) in &cluster.lost {
        add((topic.clone(), *partition), stored, true)?;
    }
    Ok(places)
}

/// Checks that the batches delivered to a partition have offsets in the order of acceptance. With acks=1 a change of
/// leader can reassign offsets, with acks=0 there are none; see also
/// [`has_forgotten`](kafka_batch_testing::simulated::Log::has_forgotten).
fn in_order(history: &BatchHistory, cluster: &Cluster, strictness: Guarantees) -> Result<(), Violation> {
    let mut ends: BTreeMap<&(String, i32), (i64, Serial)> = BTreeMap::new();
    for (serial, accepted) in history.accepted_batches.iter().filter(|_| strictness.acks == -1) {
        let Some(Outcome::Delivered(offsets)) = &accepted.outcome else { continue };
        if cluster.partition(&accepted.to.0, accepted.to.1).is_some_and(|partition| partition.log.has_forgotten()) {
            continue;
        }
        for offset in offsets.iter().flatten() {
            if let Some((last, other)) = ends.get(&accepted.to).filter(|(last, _)| last >= offset) {
                let what =
                    format!("{serial:?} is at {offset} in {:?}, {other:?}, sent earlier, is at {last}", accepted.to);
                return Violation::of("the order in the log is the order of acceptance", what);
            }
            ends.insert(&accepted.to, (*offset, *serial));
        }
    }
    Ok(())
}
