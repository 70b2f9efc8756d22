//! Generates faults.

use kafka_batch_core::protocol::Acks;
use kafka_batch_testing::simulated::Random;
use kafka_batch_testing::{ApiKey, FalseMetadata, Fault, FaultKind, Garbage};

use super::ScheduleContext;
use super::settings::next_release;
use crate::Moment;
use crate::contents::BatchSpec;
use crate::world::Action;

/// The error codes that Produce is documented to return, and those of the rules for sequences.
const PRODUCE: [i16; 30] =
    [-1, 2, 3, 5, 6, 7, 8, 9, 10, 13, 17, 18, 19, 21, 29, 31, 32, 42, 43, 45, 47, 48, 49, 53, 56, 59, 72, 74, 76, 87];
/// Error codes that are returned after the batch was appended.
const PRODUCE_DONE: [i16; 6] = [-1, 7, 13, 20, 46, 56];
const METADATA: [i16; 13] = [-1, 3, 5, 6, 9, 17, 29, 56, 72, 75, 100, 103, 129];
const INIT_PRODUCER_ID: [i16; 13] = [-1, 7, 14, 15, 16, 31, 42, 48, 49, 51, 53, 90, 120];
const API_VERSIONS: [i16; 4] = [35, -1, 42, 129];
const SASL: [i16; 4] = [33, 34, 58, -1];

/// The number of kinds of faults: eight of links and brokers; the others are faults of requests.
const KINDS: u64 = 22;

pub(super) fn draw(scene: &ScheduleContext<'_>, random: &mut Random, actions: &mut Vec<(Moment, Action)>) {
    let count = *random.pick(&[0, 1, 2, 4, 8, 12, 20, 40]);
    // Most runs have one kind of fault that occurs repeatedly.
    let weakness = random.below(KINDS);
    let last = scene.span.as_millis() as u64;
    for _ in 0..count {
        let at = if random.percent(30) { random.millis(0, last.min(300)) } else { random.millis(0, last) };
        let kind = if random.percent(40) { weakness } else { random.below(KINDS) };
        let action = one(kind, scene, random);
        actions.push((at, action));
    }
    if random.percent(40) {
        related_faults(scene, random, actions);
    }
}

/// Generates related faults, which would rarely occur so close to each other and to the batches by chance.
fn related_faults(scene: &ScheduleContext<'_>, random: &mut Random, actions: &mut Vec<(Moment, Action)>) {
    let begin = random.millis(100, scene.span.as_millis() as u64 + 100);
    let (topic, partitions) = random.pick(&scene.targets).clone();
    let partition = random.below(partitions as u64) as i32;
    let brokers = 1..=scene.settings.releases.len() as i32;
    let gap = random.millis(1, *random.clone().pick(&[5, 60, 400]));
    let step = random.below(4);
    let mut at = begin;
    // Batches that are in flight meanwhile.
    for _ in 0..random.between(2, 8) {
        let spec = BatchSpec { records: random.between(1, 3) as u32, ..BatchSpec::default() };
        actions.push((at, Action::Send { topic: topic.clone(), partition, spec }));
        at += gap / 2;
    }
    let mut at = begin + gap;
    for turn in 0..random.between(1, 6) as u32 {
        let everywhere = |what: FaultKind, after| {
            let fault = Fault::new(what).api(ApiKey::Produce).after(after);
            brokers.clone().map(move |broker| Action::Inject(broker, fault.clone()))
        };
        match step {
            // The leader changes and returns, the old leader's responses are late, and metadata is requested meanwhile.
            0 => {
                let pause = random.millis(20, 700);
                let delay = pause * random.below(8) as u32;
                let to = || (topic.clone(), partition);
                actions.extend(everywhere(FaultKind::DelayRequest(delay), 0).map(|action| (at, action)));
                for _ in 0..2 {
                    let spec = BatchSpec { records: 1, ..BatchSpec::default() };
                    actions.push((at, Action::Send { topic: to().0, partition, spec }));
                }
                actions.push((at + pause / 3, Action::RemoveLeader(to().0, to().1, Moment::from_millis(1))));
                actions.push((at + pause / 2, Action::LookupTopic(format!("unheard-of-{turn}"))));
                at += pause;
            }
            // One batch may be written, and the next one is rejected.
            1 => {
                let done = FaultKind::ExecuteAndRefuse { code: code_after_doing(scene, random) };
                let refused = FaultKind::Refuse { code: *random.pick(&[10, 19, 45, 87]), all: true };
                let second = if random.percent(50) { refused } else { FaultKind::DropResponse };
                actions.extend(everywhere(done, turn).map(|action| (at, action)));
                actions.extend(everywhere(second, turn + 1).map(|action| (at, action)));
            }
            // The delivery timeout expires while batches are in flight.
            2 => {
                let delivery = scene.settings.producer.delivery_timeout.min(Moment::from_secs(20));
                let until = delivery.saturating_sub(random.millis(0, 900));
                actions.extend(brokers.clone().map(|broker| (at, Action::Stall(broker, until, turn % 2 == 0))));
                at += until;
            }
            // All brokers stop, one after the other.
            _ => {
                for (broker, release) in brokers.clone().zip(&scene.settings.releases) {
                    let away = random.millis(1, 3_000);
                    let release = next_release(*release, random);
                    actions.push((at, Action::Down(broker, away, random.millis(0, 50), release)));
                    at += gap;
                }
            }
        }
        at += gap;
    }
}

fn one(kind: u64, scene: &ScheduleContext<'_>, random: &mut Random) -> Action {
    let broker = random.between(1, scene.settings.releases.len() as u64) as i32;
    let (topic, partitions) = random.pick(&scene.targets).clone();
    let partition = random.below(partitions as u64) as i32;
    let short = [5, 200, 2_000, 12_000, 40_000];
    let time = random.millis(1, *random.clone().pick(&short));
    let soon = random.millis(0, 400);
    match kind {
        0 => Action::RemoveLeader(topic, partition, if random.percent(70) { soon } else { time }),
        1 => Action::Down(broker, time, soon, next_release(scene.settings.releases[broker as usize - 1], random)),
        2 => Action::Cut(broker),
        3 => Action::CutAfter(broker, random.below(600) as usize, random.percent(50)),
        4 => Action::Stall(broker, time, random.percent(50)),
        5 => Action::Refuse(broker, time, random.percent(40)),
        6 => Action::Freeze(topic, partition, time),
        7 if random.percent(40) => Action::Expire(topic, partition),
        7 if random.percent(40) => Action::Recreate(topic),
        7 => Action::AddPartition(topic),
        _ => {
            let api = match random.below(10) {
                0 if scene.settings.sasl => {
                    *random.pick(&[ApiKey::ApiVersions, ApiKey::SaslHandshake, ApiKey::SaslAuthenticate])
                }
                0 => ApiKey::ApiVersions,
                1 => ApiKey::InitProducerId,
                2 | 3 => ApiKey::Metadata,
                _ => ApiKey::Produce,
            };
            let after = *random.pick(&[0, 0, 0, 1, 2, 5]);
            Action::Inject(broker, Fault::new(fault(api, scene, random)).api(api).after(after))
        }
    }
}

fn fault(api: ApiKey, scene: &ScheduleContext<'_>, random: &mut Random) -> FaultKind {
    let time = random.millis(1, *random.clone().pick(&[50, 500, 3_000, 35_000]));
    match random.below(14) {
        0..4 => FaultKind::Refuse { code: code(api, random), all: random.percent(50) },
        4 if api == ApiKey::Produce => FaultKind::ExecuteAndRefuse { code: code_after_doing(scene, random) },
        4 | 5 => FaultKind::DropResponse,
        6 => FaultKind::DropRequest,
        7 => FaultKind::DelayRequest(time),
        8 => FaultKind::DelayResponse(time),
        9 => FaultKind::RespondTwice,
        10 => FaultKind::CloseConnection { executed: random.percent(60) },
        11 => FaultKind::Garbage(*random.pick(&[
            Garbage::Body,
            Garbage::Correlation,
            Garbage::Short,
            Garbage::Long,
            Garbage::Negative,
            Garbage::Huge,
            Garbage::Empty,
        ])),
        12 => match random.between(1, 3_000) as i32 {
            2_951.. => FaultKind::Throttle(i32::MAX), // no broker would do that
            millis => FaultKind::Throttle(millis),
        },
        _ => match api {
            ApiKey::Metadata if random.percent(50) => FaultKind::StaleMetadata,
            ApiKey::Metadata => FaultKind::FalseMetadata(*random.pick(&[
                FalseMetadata::WrongLeader,
                FalseMetadata::UnlistedLeader,
                FalseMetadata::NoBrokers,
                FalseMetadata::FewerPartitions,
                FalseMetadata::NoTopics,
            ])),
            ApiKey::Produce if random.percent(50) => {
                FaultKind::RejectRecords { positions: (0..6).filter(|_| random.percent(30)).collect() }
            }
            ApiKey::Produce => FaultKind::OmitFirst,
            _ => FaultKind::DropResponse,
        },
    }
}

fn code(api: ApiKey, random: &mut Random) -> i16 {
    if random.percent(10) {
        // Any code, also future ones, except for the two that report the batch as written.
        let any = random.between(1, 140) as i16;
        return if any == 46 { 999 } else { any };
    }
    match api {
        ApiKey::Produce => *random.pick(&PRODUCE),
        ApiKey::Metadata => *random.pick(&METADATA),
        ApiKey::InitProducerId => *random.pick(&INIT_PRODUCER_ID),
        ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => *random.pick(&SASL),
        _ => *random.pick(&API_VERSIONS),
    }
}

fn code_after_doing(scene: &ScheduleContext<'_>, random: &mut Random) -> i16 {
    if scene.settings.producer.acks == Acks::All && random.percent(50) {
        return *random.pick(&[3, 6]);
    }
    *random.pick(&PRODUCE_DONE)
}
