//! Generates brokers that permanently reject producer ids and epochs, or assign unusual ones. They are generated separately
//! from other faults, so that the rest of a schedule is the same with and without them.

use kafka_protocol::messages::ApiKey;

use super::Scene;
use crate::Moment;
use crate::broker::identities::CODES;
use crate::broker::{HandOut, Intercept, Interceptor, RefusedIdentities};
use crate::contents::Recipe;
use crate::random::Random;
use crate::world::Action;

/// What makes the producer give up a sequence, so that it goes on under another epoch: a batch that is refused for good, or one
/// of which nothing is heard.
fn loss(random: &mut Random) -> Intercept {
    match random.below(3) {
        0 => Intercept::DropAnswer,
        1 => Intercept::DropRequest,
        _ => Intercept::Refuse { code: 87, all: random.percent(50) },
    }
}

pub(super) fn draw(scene: &Scene<'_>, random: &mut Random, actions: &mut Vec<(Moment, Action)>) {
    if !random.percent(20) {
        return;
    }
    let last = scene.span.as_millis() as u64;
    let brokers = scene.settings.releases.len() as u64;
    let every_broker = |api, after, what: Intercept| {
        let interceptor = Interceptor { api, after, what };
        (1..=brokers as i32).map(move |broker| Action::Intercept(broker, interceptor.clone()))
    };
    for _ in 0..random.between(1, 3) {
        let at = if random.percent(30) { Moment::ZERO } else { random.millis(0, last) };
        let which = *random.pick(&[RefusedIdentities::OwnEpochs, RefusedIdentities::Forgotten]);
        let broker = random.percent(40).then(|| random.between(1, brokers) as i32);
        actions.push((at, Action::RefuseIdentities(broker, which, *random.pick(&CODES))));
        // Batches that are in flight meanwhile, on several partitions.
        let (topic, partitions) = random.pick(&scene.targets).clone();
        for _ in 0..random.below(8) {
            let recipe = Recipe { records: random.between(1, 3) as u32, ..Recipe::default() };
            let partition = random.below(partitions as u64) as i32;
            let before = random.millis(0, 40);
            actions.push((at.saturating_sub(before), Action::Send { topic: topic.clone(), partition, recipe }));
        }
    }
    for _ in 0..random.below(4) {
        let (at, after) = (random.millis(0, last), random.below(4) as u32);
        actions.extend(every_broker(ApiKey::Produce, after, loss(random)).map(|action| (at, action)));
    }
    for _ in 0..random.below(4) {
        let how = *random.pick(&[
            HandOut::Again,
            HandOut::Again,
            HandOut::First,
            HandOut::LaterEpoch,
            HandOut::LateEpoch,
            HandOut::Invalid,
        ]);
        let (at, after) = (random.millis(0, last / 2), random.below(3) as u32);
        let what = Intercept::HandOut(how);
        actions.extend(every_broker(ApiKey::InitProducerId, after, what).map(|action| (at, action)));
    }
}
