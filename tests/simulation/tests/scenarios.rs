//! Scripted worlds, which read like a dialogue with times: what the application does, what breaks, what must come of it.

use std::time::Duration;

use kafka_batch_core::producer::{CloseMode, ProducerConfig};
use kafka_batch_simulation::broker::release::Release;
use kafka_batch_simulation::broker::{Intercept, Interceptor, host};
use kafka_batch_simulation::cluster::ClusterSettings;
use kafka_batch_simulation::contents::{Recipe, Serial};
use kafka_batch_simulation::laws::ledger::Outcome;
use kafka_batch_simulation::laws::logs::{Strictness, check};
use kafka_batch_simulation::link::LinkSettings;
use kafka_batch_simulation::world::{Action, Settings, World};
use kafka_protocol::messages::ApiKey;

struct Scenario(World);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A producer and so many brokers, of this release; topic `t` has one partition.
fn with(release: Release, brokers: i32, change: impl FnOnce(&mut ProducerConfig)) -> Scenario {
    let mut producer = ProducerConfig::new((1..=brokers).map(|id| (host(id), 9092)));
    change(&mut producer);
    Scenario(World::new(Settings {
        producer,
        cluster: ClusterSettings {
            auto_create: true,
            default_partitions: 1,
            max_message_bytes: 10_000,
            replication_ms: 0,
        },
        releases: vec![release; brokers as usize],
        topics: vec![("t".into(), 1)],
        links: LinkSettings { latency_ms: 0, pieces_percent: 0 },
        seed: 11,
        cut_anywhere: false,
        traced: true,
    }))
}

impl Scenario {
    /// Lets the world run until then.
    fn at(&mut self, millis: u64) -> &mut Self {
        self.0.run_until(ms(millis)).unwrap();
        self
    }

    fn sends(&mut self, topic: &str, records: u32) -> Serial {
        let recipe = Recipe { records, padding: 10, gzip: false, magic: None };
        self.0.send(topic, 0, recipe).unwrap().expect("there is room")
    }

    fn happens(&mut self, action: &Action) -> &mut Self {
        self.0.act(action).unwrap();
        self
    }

    fn broker_answers(&mut self, what: Intercept) -> &mut Self {
        let leader = self.leader();
        self.happens(&Action::Intercept(leader, Interceptor { api: ApiKey::Produce, after: 0, what }))
    }

    fn leader(&self) -> i32 {
        self.0.cluster.partition("t", 0).and_then(|partition| partition.leader).expect("it has a leader")
    }

    /// What was said of a batch, as the first words of it.
    fn said_of(&self, serial: Serial) -> String {
        match &self.0.ledger.promises[&serial].outcome {
            None => "nothing".into(),
            Some(Outcome::Delivered(offsets)) => format!("delivered at {:?}", offsets[0]),
            Some(Outcome::Failed(fates, _)) => fates[0].to_string(),
        }
    }

    /// The batches in the log of `t`, with their sequence numbers.
    fn log(&self) -> Vec<(u64, i32)> {
        let stored = self.0.cluster.partition("t", 0).unwrap().log.stored();
        stored
            .iter()
            .map(|each| (each.identity.serial.0, each.identity.stamp.map_or(-1, |stamp| stamp.sequence)))
            .collect()
    }

    /// The end: the laws are looked at.
    fn closes(&mut self) {
        self.happens(&Action::Close(CloseMode::Flushing));
        self.0.run_until(self.0.now + Duration::from_secs(300)).unwrap();
        assert!(self.0.is_closed(), "{}", self.0.trace.join("\n"));
        let acks = self.0.acks();
        check(&self.0.ledger, &self.0.cluster, Strictness { acks, idempotent: acks == -1 }).unwrap();
    }
}

#[test]
fn two_batches_are_delivered_in_order() {
    let mut scenario = with(Release::V4_1, 1, |_| {});
    let [first, second] = [scenario.at(10).sends("t", 3), scenario.sends("t", 2)];
    assert_eq!(scenario.at(1_000).log(), [(0, 0), (1, 3)]);
    assert_eq!(scenario.said_of(first), "delivered at Some(0)");
    assert_eq!(scenario.said_of(second), "delivered at Some(3)");
    scenario.closes();
}

#[test]
fn a_lost_answer_is_made_good_by_the_same_sequence_again() {
    let mut scenario = with(Release::V3_9, 1, |config| config.request_timeout = ms(500));
    scenario.at(10).broker_answers(Intercept::DropAnswer);
    let batch = scenario.sends("t", 3);
    assert_eq!(scenario.at(400).log(), [(0, 0)]);
    assert_eq!(scenario.said_of(batch), "nothing");
    assert_eq!(scenario.at(3_000).said_of(batch), "delivered at Some(0)");
    assert_eq!(scenario.log(), [(0, 0)]);
    scenario.closes();
}

#[test]
fn without_an_answer_in_time_the_truth_is_that_nobody_knows() {
    let mut scenario = with(Release::V2_8, 1, |config| {
        config.request_timeout = ms(500);
        config.delivery_timeout = ms(600);
    });
    scenario.at(10).broker_answers(Intercept::DropAnswer);
    let batch = scenario.sends("t", 3);
    assert_eq!(scenario.at(2_000).said_of(batch), "unknown, perhaps written");
    let next = scenario.sends("t", 1);
    scenario.at(4_000);
    assert!(scenario.said_of(next).starts_with("delivered"), "{}", scenario.said_of(next));
    scenario.closes();
}

#[test]
fn without_anybody_to_talk_to_it_is_known_that_nothing_was_written() {
    let mut scenario = with(Release::V4_0, 1, |config| config.delivery_timeout = Duration::from_secs(31));
    scenario.at(6).happens(&Action::Refuse(1, Duration::from_secs(60), false));
    let batch = scenario.sends("t", 1);
    assert_eq!(scenario.at(40_000).said_of(batch), "not written");
    scenario.closes();
}

#[test]
fn a_deposed_leader_does_not_know_and_the_next_one_does_not_write_twice() {
    let mut scenario = with(Release::V4_1, 2, |_| {});
    let _ = scenario.at(10).sends("t", 1);
    scenario.at(500).happens(&Action::Freeze("t".into(), 0, ms(300)));
    let batch = scenario.sends("t", 1);
    scenario.at(600).happens(&Action::Depose("t".into(), 0, ms(50)));
    assert!(scenario.at(5_000).said_of(batch).starts_with("delivered"));
    assert_eq!(scenario.log(), [(0, 0), (1, 1)]);
    scenario.closes();
}

#[test]
fn a_topic_that_does_not_exist_yet_is_made_and_written_to() {
    let mut scenario = with(Release::V3_9, 1, |_| {});
    let batch = scenario.at(10).sends("new", 1);
    assert_eq!(scenario.at(5_000).said_of(batch), "delivered at Some(0)");
    scenario.closes();
}

#[test]
fn the_oldest_broker_hangs_up_and_is_spoken_to_in_its_own_version() {
    let mut scenario = with(Release::V0_9, 1, |config| {
        config.broker_version_fallback = Some(Release::V0_9.version().parse().unwrap());
    });
    let batch = scenario.at(10).sends("t", 2);
    assert_eq!(scenario.at(5_000).said_of(batch), "delivered at Some(0)");
    assert_eq!(scenario.log(), [(0, -1)]);
}

#[test]
fn a_throttled_producer_is_silent_for_so_long() {
    let mut scenario = with(Release::V4_1, 1, |_| {});
    scenario.at(10).broker_answers(Intercept::Throttle(2_000));
    let [first, second] = [scenario.sends("t", 1), scenario.sends("t", 1)];
    assert_eq!(scenario.at(1_000).said_of(first), "delivered at Some(0)");
    assert_eq!(scenario.said_of(second), "nothing");
    assert_eq!(scenario.at(3_000).said_of(second), "delivered at Some(1)");
    scenario.closes();
}
