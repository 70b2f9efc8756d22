//! Generates brokers that permanently reject producer ids and epochs, or assign unusual ones. They are generated separately
//! from other faults, so that the rest of a schedule is the same with and without them.

use kafka_batch_testing::simulated::{REJECTION_CODES, Random};
use kafka_batch_testing::{ApiKey, AssignedProducerId, Fault, FaultKind, RejectedProducerIds};

use super::ScheduleContext;
use crate::Moment;
use crate::contents::BatchSpec;
use crate::world::Action;

/// Generates a fault that makes the producer give up a sequence and continue under another epoch: a batch that is
/// rejected for good, or one without a response.
fn lost_sequence(random: &mut Random) -> FaultKind {
    match random.below(3) {
        0 => FaultKind::DropResponse,
        1 => FaultKind::DropRequest,
        _ => FaultKind::Refuse { code: 87, all: random.percent(50) },
    }
}

pub(super) fn draw(scene: &ScheduleContext<'_>, random: &mut Random, actions: &mut Vec<(Moment, Action)>) {
    if !random.percent(20) {
        return;
    }
    let last = scene.span.as_millis() as u64;
    let brokers = scene.settings.releases.len() as u64;
    let every_broker = |api, after, what: FaultKind| {
        let fault = Fault::new(what).api(api).after(after);
        (1..=brokers as i32).map(move |broker| Action::Inject(broker, fault.clone()))
    };
    for _ in 0..random.between(1, 3) {
        let at = if random.percent(30) { Moment::ZERO } else { random.millis(0, last) };
        let which = *random.pick(&[RejectedProducerIds::OwnEpochs, RejectedProducerIds::Forgotten]);
        let broker = random.percent(40).then(|| random.between(1, brokers) as i32);
        actions.push((at, Action::RejectIdentities(broker, which, *random.pick(&REJECTION_CODES))));
        // Batches that are in flight meanwhile, in several partitions.
        let (topic, partitions) = random.pick(&scene.targets).clone();
        for _ in 0..random.below(8) {
            let spec = BatchSpec { records: random.between(1, 3) as u32, ..BatchSpec::default() };
            let partition = random.below(partitions as u64) as i32;
            let before = random.millis(0, 40);
            actions.push((at.saturating_sub(before), Action::Send { topic: topic.clone(), partition, spec }));
        }
    }
    for _ in 0..random.below(4) {
        let (at, after) = (random.millis(0, last), random.below(4) as u32);
        actions.extend(every_broker(ApiKey::Produce, after, lost_sequence(random)).map(|action| (at, action)));
    }
    for _ in 0..random.below(4) {
        let how = *random.pick(&[
            AssignedProducerId::Again,
            AssignedProducerId::Again,
            AssignedProducerId::First,
            AssignedProducerId::LaterEpoch,
            AssignedProducerId::LateEpoch,
            AssignedProducerId::Invalid,
        ]);
        let (at, after) = (random.millis(0, last / 2), random.below(3) as u32);
        let what = FaultKind::AssignedProducerId(how);
        actions.extend(every_broker(ApiKey::InitProducerId, after, what).map(|action| (at, action)));
    }
}
