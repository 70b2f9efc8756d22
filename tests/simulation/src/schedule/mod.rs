//! Schedules: the actions of a run, generated from a seed. A schedule is a plain list, so that it can be shrunk.

mod faults;
mod identities;
mod settings;

use kafka_batch_core::Magic;
use kafka_batch_core::machine::CloseMode;
use kafka_batch_testing::simulated::Random;

use crate::Moment;
use crate::contents::{BatchSpec, CompressionKind};
use crate::world::{Action, Settings};

/// Derives a seed from another one, for faults that were added later, so that they do not change other draws.
const OF_IDENTITIES: u64 = 0x1de7_7171_e500_0001;

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The faults end, and then everything must be delivered: new batches to each partition, a flush, the close.
    Healed,
    /// The producer is closed at some time, during the faults.
    Closed(CloseMode),
}

/// A run.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The seed of the schedule.
    pub seed: u64,
    /// The initial world.
    pub settings: Settings,
    /// The actions and their times, in order.
    pub actions: Vec<(Moment, Action)>,
    /// The end of the actions.
    pub over_at: Moment,
    /// What follows the actions.
    pub ending: Ending,
}

/// What a generator of actions needs to know.
pub(crate) struct ScheduleContext<'a> {
    pub(crate) settings: &'a Settings,
    /// The topics of the batches; the last may not exist yet.
    pub(crate) targets: Vec<(String, usize)>,
    pub(crate) span: Moment,
}

impl Schedule {
    /// Generates the schedule of a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let settings = settings::draw(seed, &mut random);
        let span = random.millis(20, *random.clone().pick(&[500, 4_000, 20_000, 60_000]));
        let mut targets = settings.topics.clone();
        if settings.cluster.auto_create && random.percent(50) {
            targets.push(("later".into(), settings.cluster.default_partitions));
        }
        let scene = ScheduleContext { settings: &settings, targets, span };
        let mut actions = Vec::new();
        commands(&scene, &mut random, &mut actions);
        faults::draw(&scene, &mut random, &mut actions);
        identities::draw(&scene, &mut Random::new(seed ^ OF_IDENTITIES), &mut actions);
        actions.sort_by_key(|(at, _)| *at);
        let ending = match random.below(10) {
            0 => Ending::Closed(CloseMode::Immediate),
            1 => Ending::Closed(CloseMode::Graceful),
            _ => Ending::Healed,
        };
        Self { seed, settings, actions, over_at: span + Moment::from_millis(10), ending }
    }
}

/// Generates the actions of the application: it sends, in bursts or evenly, and sometimes flushes.
fn commands(scene: &ScheduleContext<'_>, random: &mut Random, actions: &mut Vec<(Moment, Action)>) {
    let bursts = random.between(1, 12);
    let legacy = scene.settings.releases[0].magic() != Magic::V2;
    let large = random.percent(20);
    let newest = if cfg!(feature = "zstd") { CompressionKind::Zstd } else { CompressionKind::Gzip };
    let codec = *random.pick(&[CompressionKind::Gzip, CompressionKind::Gzip, newest]);
    // Often most batches are for one partition, so that many of them are in flight at once.
    let hot = random.pick(&scene.targets).clone();
    let hot = (hot.0, random.below(hot.1 as u64) as i32);
    let heat = *random.pick(&[0, 70, 100]);
    for _ in 0..bursts {
        let mut at = random.millis(6, scene.span.as_millis() as u64 + 6);
        for _ in 0..random.between(1, 10) {
            let (topic, partition) = if random.percent(heat) {
                hot.clone()
            } else {
                let (topic, partitions) = random.pick(&scene.targets).clone();
                (topic, random.below(partitions as u64) as i32)
            };
            let compression = if random.percent(10) { codec } else { CompressionKind::Plain };
            let pinned = legacy && compression != CompressionKind::Zstd && random.percent(50);
            let spec = BatchSpec {
                records: random.between(1, 6) as u32,
                padding: if large { random.below(2_000) as usize } else { random.below(60) as usize },
                compression,
                headers: !pinned && random.percent(5),
                magic: pinned.then(|| scene.settings.releases[0].magic()),
            };
            actions.push((at, Action::Send { topic, partition, spec }));
            if random.percent(30) {
                at += random.millis(0, 30);
            }
        }
    }
    for _ in 0..random.below(3) {
        actions.push((random.millis(6, scene.span.as_millis() as u64 + 6), Action::Flush));
    }
    if random.percent(20) {
        let (topic, _) = random.pick(&scene.targets).clone();
        actions.push((random.millis(6, scene.span.as_millis() as u64 + 6), Action::LookupTopic(topic)));
    }
}
