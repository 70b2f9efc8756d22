//! Compares the reported outcomes with the logs at the end of a run.

use std::collections::BTreeMap;

use kafka_batch_core::Fate;

use super::Breach;
use super::ledger::{Ledger, Outcome};
use crate::cluster::Cluster;
use crate::contents::Serial;

/// Which promises the settings make.
#[derive(Clone, Copy, Debug)]
pub struct Strictness {
    /// `acks`.
    pub acks: i16,
    /// Nothing is written twice, and order is kept.
    pub idempotent: bool,
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
struct Place {
    position: u32,
    offset: i64,
    /// It went with the tail of a log when the leader changed.
    lost: bool,
}

/// Compares.
pub fn check(ledger: &Ledger, cluster: &Cluster, strictness: Strictness) -> Result<(), Breach> {
    let places = places(ledger, cluster)?;
    let nowhere = Vec::new();
    for (serial, promise) in &ledger.promises {
        let Some(outcome) = &promise.outcome else {
            return Breach::of("each accepted batch ends in exactly one event", format!("none for {serial:?}"));
        };
        let places = places.get(serial).unwrap_or(&nowhere);
        for position in 0..promise.records {
            let here: Vec<&Place> = places.iter().filter(|place| place.position == position).collect();
            let stored = here.iter().filter(|place| !place.lost).count();
            let about = || format!("record {position} of {serial:?} ({outcome:?}) is at {here:?}");
            if strictness.idempotent && stored > 1 {
                return Breach::of("idempotent: nothing is written twice", about());
            }
            match outcome {
                Outcome::Delivered(offsets) => {
                    let offset = offsets[position as usize];
                    // Brokers before 2.x answer DUPLICATE_SEQUENCE_NUMBER, without an offset, before the replicas have it.
                    let safe = strictness.acks == -1 && (offset.is_some() || promise.proven);
                    let there =
                        |place: &&Place| offset.is_none_or(|offset| offset == place.offset) && !(safe && place.lost);
                    if strictness.acks != 0 && !here.iter().copied().any(|place| there(&place)) {
                        return Breach::of("what is delivered is in the log where it is said to be", about());
                    }
                    if strictness.acks == 0 && offset.is_some() {
                        return Breach::of("acks=0 knows no offsets", about());
                    }
                }
                Outcome::Failed(fates, _) => match fates[position as usize] {
                    Fate::NotWritten if !here.is_empty() => {
                        return Breach::of("what is not written is in no log", about());
                    }
                    // With acks=1 a change of leaders can take back what was written.
                    Fate::Written if stored == 0 && (strictness.acks == -1 || here.is_empty()) => {
                        return Breach::of("what is written is in the log", about());
                    }
                    _ => {}
                },
            }
        }
    }
    in_order(ledger, cluster, strictness)
}

fn places(ledger: &Ledger, cluster: &Cluster) -> Result<BTreeMap<Serial, Vec<Place>>, Breach> {
    let mut places: BTreeMap<Serial, Vec<Place>> = BTreeMap::new();
    let mut add = |to: (String, i32), stored: &crate::cluster::log::Stored, lost| {
        let identity = stored.identity;
        if ledger.promises.get(&identity.serial).is_none_or(|promise| promise.to != to) {
            return Breach::of("a batch is where it was sent", format!("{:?} is in {to:?}", identity.serial));
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

/// Among what was delivered to a partition, the order of offsets is that of acceptance. With acks=1 a change of leaders
/// can take offsets back, with acks=0 there are none; and see [`has_forgotten`](crate::cluster::log::Log::has_forgotten).
fn in_order(ledger: &Ledger, cluster: &Cluster, strictness: Strictness) -> Result<(), Breach> {
    let mut ends: BTreeMap<&(String, i32), (i64, Serial)> = BTreeMap::new();
    for (serial, promise) in ledger.promises.iter().filter(|_| strictness.acks == -1) {
        let Some(Outcome::Delivered(offsets)) = &promise.outcome else { continue };
        if cluster.partition(&promise.to.0, promise.to.1).is_some_and(|partition| partition.log.has_forgotten()) {
            continue;
        }
        for offset in offsets.iter().flatten() {
            if let Some((last, other)) = ends.get(&promise.to).filter(|(last, _)| last >= offset) {
                let what = format!("{serial:?} is at {offset} in {:?}, {other:?}, sent before, at {last}", promise.to);
                return Breach::of("order of acceptance is order in the log", what);
            }
            ends.insert(&promise.to, (*offset, *serial));
        }
    }
    Ok(())
}
