//! Scripted worlds, written as a sequence of times: what the application does, which faults occur, and what must
//! result.

use std::time::Duration;

use kafka_batch_core::machine::{CloseMode, MachineConfig};
use kafka_batch_simulation::contents::{BatchSpec, Serial, identify};
use kafka_batch_simulation::credentials::{PASSWORD, credentials};
use kafka_batch_simulation::laws::history::Outcome;
use kafka_batch_simulation::laws::logs::{Guarantees, check};
use kafka_batch_simulation::world::{Action, Settings, World};
use kafka_batch_testing::simulated::{ClusterSettings, LeaderChoice, LinkSettings, REJECTION_CODES, TopicConfig, host};
use kafka_batch_testing::{ApiKey, AssignedProducerId, Fault, FaultKind, RejectedProducerIds, Release};

struct Scenario(World);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A producer and this many brokers of this release; topic `t` has one partition.
fn with(release: Release, brokers: i32, change: impl FnOnce(&mut MachineConfig)) -> Scenario {
    within(release, brokers, false, change)
}

/// The same, optionally with authentication.
fn within(release: Release, brokers: i32, sasl: bool, change: impl FnOnce(&mut MachineConfig)) -> Scenario {
    let mut producer = MachineConfig::new((1..=brokers).map(|id| (host(id), 9092)));
    change(&mut producer);
    Scenario(World::new(Settings {
        producer,
        cluster: ClusterSettings {
            topic: TopicConfig::default().max_message_bytes(10_000),
            replication_ms: Some(0),
            leaders: LeaderChoice::Random,
            ..ClusterSettings::default()
        },
        sasl,
        releases: vec![release; brokers as usize],
        topics: vec![("t".into(), 1)],
        links: LinkSettings { latency_ms: 0, pieces_percent: 0 },
        seed: 11,
        cut_anywhere: false,
        traced: true,
    }))
}

impl Scenario {
    /// Runs the world until this time.
    fn run_until(&mut self, millis: u64) -> &mut Self {
        self.0.run_until(ms(millis)).unwrap();
        self
    }

    fn send(&mut self, topic: &str, records: u32) -> Serial {
        self.send_batch(topic, BatchSpec { records, padding: 10, ..BatchSpec::default() })
    }

    fn send_batch(&mut self, topic: &str, spec: BatchSpec) -> Serial {
        self.0.send(topic, 0, spec).unwrap().expect("accepted")
    }

    /// Returns how many lines of the trace, from this one on, contain all of these words.
    fn lines_with(&self, from: usize, words: &[&str]) -> usize {
        self.0.trace[from..].iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }

    fn happens(&mut self, action: &Action) -> &mut Self {
        self.0.act(action).unwrap();
        self
    }

    fn broker_answers(&mut self, what: FaultKind) -> &mut Self {
        let leader = self.leader();
        self.happens(&Action::Inject(leader, Fault::new(what).api(ApiKey::Produce)))
    }

    fn leader(&self) -> i32 {
        self.0.cluster.partition("t", 0).and_then(|partition| partition.leader).expect("a leader")
    }

    /// Makes this broker the leader, with this epoch.
    fn set_leader(&mut self, leader: i32, epoch: i32) -> &mut Self {
        let partition = self.0.cluster.partition_mut("t", 0).expect("an existing partition");
        (partition.leader, partition.epoch) = (Some(leader), epoch);
        self
    }

    /// Returns the reported outcome of a batch, abbreviated.
    fn outcome_of(&self, serial: Serial) -> String {
        match &self.0.history.accepted_batches[&serial].outcome {
            None => "nothing".into(),
            Some(Outcome::Delivered(offsets)) => format!("delivered at {:?}", offsets[0]),
            Some(Outcome::Failed(fates, _)) => fates[0].to_string(),
        }
    }

    /// Returns the batches in the log of `t`, with their sequence numbers.
    fn log(&self) -> Vec<(u64, i32)> {
        let stored = self.0.cluster.partition("t", 0).unwrap().log.stored();
        stored
            .iter()
            .map(|each| (identify(&each.bytes).unwrap().serial.0, each.info.stamp.map_or(-1, |stamp| stamp.sequence)))
            .collect()
    }

    /// Ends the world and checks the laws.
    fn close(&mut self) {
        self.happens(&Action::Close(CloseMode::Graceful));
        self.0.run_until(self.0.now + Duration::from_secs(300)).unwrap();
        assert!(self.0.is_closed(), "{}", self.0.trace.join("\n"));
        let acks = self.0.acks();
        check(&self.0.history, &self.0.cluster, Guarantees { acks, idempotent: acks == -1 }).unwrap();
    }
}

#[test]
fn two_batches_are_delivered_in_order() {
    let mut scenario = with(Release::V4_1, 1, |_| {});
    let [first, second] = [scenario.run_until(10).send("t", 3), scenario.send("t", 2)];
    assert_eq!(scenario.run_until(1_000).log(), [(0, 0), (1, 3)]);
    assert_eq!(scenario.outcome_of(first), "delivered at Some(0)");
    assert_eq!(scenario.outcome_of(second), "delivered at Some(3)");
    scenario.close();
}

#[test]
fn after_a_lost_response_the_batch_is_sent_again_with_the_same_sequence() {
    let mut scenario = with(Release::V3_9, 1, |config| config.request_timeout = ms(500));
    scenario.run_until(10).broker_answers(FaultKind::DropResponse);
    let batch = scenario.send("t", 3);
    assert_eq!(scenario.run_until(400).log(), [(0, 0)]);
    assert_eq!(scenario.outcome_of(batch), "nothing");
    assert_eq!(scenario.run_until(3_000).outcome_of(batch), "delivered at Some(0)");
    assert_eq!(scenario.log(), [(0, 0)]);
    scenario.close();
}

#[test]
fn without_a_response_in_time_the_outcome_is_unknown() {
    let mut scenario = with(Release::V2_8, 1, |config| {
        config.request_timeout = ms(500);
        config.delivery_timeout = ms(600);
    });
    scenario.run_until(10).broker_answers(FaultKind::DropResponse);
    let batch = scenario.send("t", 3);
    assert_eq!(scenario.run_until(2_000).outcome_of(batch), "unknown, perhaps written");
    let next = scenario.send("t", 1);
    scenario.run_until(4_000);
    assert!(scenario.outcome_of(next).starts_with("delivered"), "{}", scenario.outcome_of(next));
    scenario.close();
}

#[test]
fn without_a_connection_nothing_is_written() {
    let mut scenario = with(Release::V4_0, 1, |config| config.delivery_timeout = Duration::from_secs(31));
    scenario.run_until(6).happens(&Action::Refuse(1, Duration::from_secs(60), false));
    let batch = scenario.send("t", 1);
    assert_eq!(scenario.run_until(40_000).outcome_of(batch), "not written");
    scenario.close();
}

#[test]
fn a_replaced_leader_does_not_know_the_outcome_and_the_next_one_does_not_write_twice() {
    let mut scenario = with(Release::V4_1, 2, |_| {});
    let _ = scenario.run_until(10).send("t", 1);
    scenario.run_until(500).happens(&Action::Freeze("t".into(), 0, ms(300)));
    let batch = scenario.send("t", 1);
    scenario.run_until(600).happens(&Action::RemoveLeader("t".into(), 0, ms(50)));
    assert!(scenario.run_until(5_000).outcome_of(batch).starts_with("delivered"));
    assert_eq!(scenario.log(), [(0, 0), (1, 1)]);
    scenario.close();
}

#[test]
fn a_missing_topic_is_created_and_written_to() {
    let mut scenario = with(Release::V3_9, 1, |_| {});
    let batch = scenario.run_until(10).send("new", 1);
    assert_eq!(scenario.run_until(5_000).outcome_of(batch), "delivered at Some(0)");
    scenario.close();
}

#[test]
fn the_oldest_broker_closes_the_connection_and_is_used_in_its_version() {
    let mut scenario = with(Release::V0_9, 1, |config| {
        config.broker_version_fallback = Some(Release::V0_9.version().parse().unwrap());
    });
    let batch = scenario.run_until(10).send("t", 2);
    assert_eq!(scenario.run_until(5_000).outcome_of(batch), "delivered at Some(0)");
    assert_eq!(scenario.log(), [(0, -1)]);
}

#[test]
fn a_throttled_producer_sends_nothing_for_the_requested_time() {
    let mut scenario = with(Release::V4_1, 1, |_| {});
    scenario.run_until(10).broker_answers(FaultKind::Throttle(2_000));
    let [first, second] = [scenario.send("t", 1), scenario.send("t", 1)];
    assert_eq!(scenario.run_until(1_000).outcome_of(first), "delivered at Some(0)");
    assert_eq!(scenario.outcome_of(second), "nothing");
    assert_eq!(scenario.run_until(3_000).outcome_of(second), "delivered at Some(1)");
    scenario.close();
}

#[test]
fn each_release_is_used_in_its_newest_versions() {
    for release in Release::ALL {
        let mut scenario = with(release, 1, |config| {
            config.broker_version_fallback = Some(release.version().parse().unwrap());
        });
        let batch = scenario.run_until(10).send("t", 2);
        assert_eq!(scenario.run_until(5_000).outcome_of(batch), "delivered at Some(0)", "{release:?}");
        let (_, newest) = release.lists(ApiKey::Produce).unwrap();
        assert_eq!(scenario.lines_with(0, &["->", &format!("Produce v{newest} ")]), 1, "{release:?}");
    }
}

#[test]
fn a_hint_is_followed_without_requesting_metadata() {
    for release in [Release::V3_7, Release::V4_0, Release::V4_1] {
        let mut hinted = 0;
        // The number of earlier batches is the number of the run, so that the broker, which gives no hint in some
        // cases, draws another number.
        for run in 1..=12_u64 {
            let mut scenario = with(release, 2, |_| {});
            for serial in 0..run {
                let _ = scenario.run_until(10 + serial * 10).send("t", 1);
            }
            scenario.run_until(2_000);
            let partition = scenario.0.cluster.partition_mut("t", 0).unwrap();
            (partition.leader, partition.epoch) = (partition.leader.map(|leader| 3 - leader), partition.epoch + 1);
            let before = scenario.0.trace.len();
            let batch = scenario.send("t", 1);
            assert!(scenario.run_until(2_500).outcome_of(batch).starts_with("delivered"), "{release:?}");
            hinted += u64::from(scenario.lines_with(before, &["-> Metadata"]) == 0);
            scenario.close();
        }
        assert!((4..12).contains(&hinted), "{release:?}: {hinted} hints were given");
    }
}

#[test]
fn when_all_known_brokers_are_lost_the_bootstrap_servers_are_used() {
    let mut scenario = with(Release::V4_1, 3, |config| {
        config.bootstrap_servers = vec![(host(1), 9092), (host(3), 9092)];
    });
    let forever = Duration::from_secs(1_000_000);
    scenario.happens(&Action::Down(3, ms(1_500), ms(0), Release::V4_1));
    let first = scenario.run_until(10).send("t", 1);
    assert!(scenario.run_until(1_000).outcome_of(first).starts_with("delivered"));
    scenario.happens(&Action::Down(1, forever, ms(1_000), Release::V4_1));
    scenario.happens(&Action::Down(2, forever, ms(1_000), Release::V4_1));
    let second = scenario.send("t", 1);
    assert!(scenario.run_until(20_000).outcome_of(second).starts_with("delivered"), "{}", scenario.0.trace.join("\n"));
    assert_eq!(scenario.leader(), 3, "that no metadata had contained before");
}

#[test]
fn a_requested_rebootstrap_is_done() {
    let mut scenario = with(Release::V4_1, 2, |config| config.metadata_max_age = ms(1_000));
    let first = scenario.run_until(10).send("t", 1);
    for broker in [1, 2] {
        let what = FaultKind::Refuse { code: 129, all: true };
        scenario.happens(&Action::Inject(broker, Fault::new(what).api(ApiKey::Metadata).after(1)));
    }
    assert!(scenario.run_until(900).outcome_of(first).starts_with("delivered"));
    let second = scenario.run_until(3_000).send("t", 1);
    assert!(scenario.run_until(6_000).outcome_of(second).starts_with("delivered"));
    assert!(scenario.lines_with(0, &["REBOOTSTRAP_REQUIRED"]) > 0, "{}", scenario.0.trace.join("\n"));
    scenario.close();
}

#[test]
fn with_a_valid_password_batches_are_delivered_and_with_an_invalid_one_nothing_is_sent() {
    for release in Release::ALL.into_iter().filter(|release| *release >= Release::V0_10) {
        for (password, expected) in [(PASSWORD, "delivered at Some(0)"), ("guess", "not written")] {
            let mut scenario = within(release, 1, true, |config| {
                config.delivery_timeout = Duration::from_secs(30);
                config.sasl = Some(credentials(password));
            });
            let batch = scenario.run_until(10).send("t", 1);
            assert_eq!(scenario.run_until(40_000).outcome_of(batch), expected, "{release:?}");
            assert_eq!(scenario.lines_with(0, &["-> Produce"]), usize::from(password == PASSWORD), "{release:?}");
            let refused = scenario.lines_with(0, &["SASL_AUTHENTICATION_FAILED"]);
            let is_reported = password != PASSWORD && release >= Release::V1_1;
            assert_eq!(refused > 0, is_reported, "{release:?}: before 1.0 the broker closes the connection");
        }
    }
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_is_not_sent_to_a_broker_without_it() {
    for (release, expected) in [
        (Release::V0_10, "not written"),
        (Release::V2_0, "not written"),
        (Release::V2_1, "delivered at Some(0)"),
        (Release::V4_1, "delivered at Some(0)"),
    ] {
        let mut scenario = with(release, 1, |_| {});
        let compression = kafka_batch_simulation::contents::CompressionKind::Zstd;
        let batch = scenario
            .run_until(10)
            .send_batch("t", BatchSpec { records: 6, padding: 200, compression, ..BatchSpec::default() });
        assert_eq!(scenario.run_until(5_000).outcome_of(batch), expected, "{release:?}");
    }
}

#[test]
fn headers_are_not_dropped_for_an_old_broker() {
    for (release, expected) in [(Release::V0_10, "not written"), (Release::V0_11, "delivered at Some(0)")] {
        let mut scenario = with(release, 1, |_| {});
        let batch =
            scenario.run_until(10).send_batch("t", BatchSpec { records: 2, headers: true, ..BatchSpec::default() });
        assert_eq!(scenario.run_until(5_000).outcome_of(batch), expected, "{release:?}");
    }
}

#[test]
fn rejected_records_are_named_by_position() {
    for (release, named) in
        [(Release::V2_1, false), (Release::V2_4, true), (Release::V2_8, true), (Release::V4_1, true)]
    {
        let mut scenario = with(release, 1, |_| {});
        scenario.run_until(10).broker_answers(FaultKind::RejectRecords { positions: vec![1, 4] });
        let batch = scenario.send("t", 5);
        assert_eq!(scenario.run_until(5_000).outcome_of(batch), "not written");
        let Some(Outcome::Failed(_, words)) = &scenario.0.history.accepted_batches[&batch].outcome else { panic!() };
        assert_eq!(words.contains("record 1: rejected (and 1 more)"), named, "{release:?}: {words}");
        scenario.close();
    }
}

#[test]
fn a_topic_that_is_created_again_gets_its_batches_under_its_new_id() {
    let mut scenario = with(Release::V4_1, 2, |_| {});
    let first = scenario.run_until(10).send("t", 1);
    assert!(scenario.run_until(1_000).outcome_of(first).starts_with("delivered"));
    scenario.happens(&Action::Recreate("t".into()));
    let second = scenario.run_until(2_000).send("t", 1);
    assert!(scenario.run_until(8_000).outcome_of(second).starts_with("delivered"), "{}", scenario.0.trace.join("\n"));
    scenario.close();
}

/// A batch that is on its way when the topic is deleted and created again is refused for the old topic's id (Produce v13), and sent to
/// the new topic, once.
#[test]
fn a_batch_in_flight_to_a_topic_that_is_created_again_is_sent_to_the_new_one() {
    let mut scenario = with(Release::V4_1, 2, |_| {});
    let first = scenario.run_until(10).send("t", 1);
    assert!(scenario.run_until(1_000).outcome_of(first).starts_with("delivered"));
    scenario.broker_answers(FaultKind::DelayRequest(ms(500)));
    let second = scenario.send("t", 1);
    scenario.run_until(1_100).0.cluster.recreate("t", ms(1_100));
    let outcome = scenario.run_until(8_000).outcome_of(second);
    assert!(outcome.starts_with("delivered"), "{outcome}\n{}", scenario.0.trace.join("\n"));
    assert_eq!(scenario.lines_with(0, &["<- Produce v13", "responded to 100@"]), 1, "{}", scenario.0.trace.join("\n"));
    scenario.close();
}

/// Where Produce contains topic names (before 4.0), only metadata shows that a topic is another one; its epochs start
/// again, and are lower than those known.
#[test]
fn the_leaders_of_a_topic_that_is_created_again_are_used_although_their_epochs_are_lower() {
    for release in [Release::V2_8, Release::V3_7, Release::V3_9] {
        let mut scenario = with(release, 2, |_| {});
        scenario.run_until(10).set_leader(1, 7);
        let first = scenario.send("t", 1);
        assert!(scenario.run_until(1_000).outcome_of(first).starts_with("delivered"), "{release:?}");
        scenario.happens(&Action::Recreate("t".into()));
        scenario.run_until(1_100).set_leader(2, 0);
        let second = scenario.send("t", 1);
        let expected = scenario.run_until(10_000).outcome_of(second);
        assert!(expected.starts_with("delivered"), "{release:?}: {expected}\n{}", scenario.0.trace.join("\n"));
        scenario.close();
    }
}

/// Why the new leader's batches wait for the old leader's responses, although brokers check sequence numbers: a broker
/// that has forgotten the producer accepts any first number.
#[test]
fn no_batch_overtakes_one_without_a_response_of_the_old_leader() {
    let mut scenario = with(Release::V4_1, 2, |config| config.metadata_max_age = ms(100));
    scenario.run_until(10).set_leader(2, 1);
    let _ = scenario.send("t", 1);
    scenario.run_until(1_000).set_leader(1, 2);
    let what = FaultKind::DelayRequest(ms(3_000));
    scenario.happens(&Action::Inject(1, Fault::new(what).api(ApiKey::Produce)));
    let _ = scenario.send("t", 1);
    scenario.run_until(2_000).set_leader(2, 3);
    scenario.0.cluster.partition_mut("t", 0).unwrap().log.expire();
    let asked_since = scenario.0.trace.len();
    scenario.run_until(2_500);
    assert!(scenario.lines_with(asked_since, &["<- Metadata"]) > 0, "the client knows that the old leader leads again");
    let _ = scenario.send("t", 1);
    scenario.run_until(3_000);
    assert_eq!(scenario.lines_with(asked_since, &["-> Produce"]), 0, "{}", scenario.0.trace.join("\n"));
    scenario.run_until(10_000);
    let order: Vec<u64> = scenario.log().iter().map(|(serial, _)| *serial).collect();
    assert_eq!(order, [0, 1, 2], "{}", scenario.0.trace.join("\n"));
    scenario.close();
}

/// As with brokers other than Apache Kafka that only accept epochs assigned by themselves (no KIP-360).
#[test]
fn where_only_assigned_epochs_are_accepted_a_lost_response_costs_one_batch() {
    for code in REJECTION_CODES {
        let mut scenario = with(Release::V4_1, 1, |config| {
            config.request_timeout = ms(500);
            config.delivery_timeout = ms(1_000);
        });
        scenario.happens(&Action::RejectIdentities(None, RejectedProducerIds::OwnEpochs, code));
        let first = scenario.run_until(10).send("t", 1);
        assert_eq!(scenario.run_until(500).outcome_of(first), "delivered at Some(0)");
        for _ in 0..3 {
            scenario.broker_answers(FaultKind::DropRequest);
        }
        let lost = scenario.send("t", 1);
        assert_eq!(scenario.run_until(2_500).outcome_of(lost), "unknown, perhaps written", "{code}");
        scenario.happens(&Action::EndFaults);
        for batch in 0..5 {
            let sent = scenario.send("t", 1);
            assert!(scenario.run_until(2_700 + batch * 200).outcome_of(sent).starts_with("delivered"), "{code}");
        }
        assert_eq!(scenario.lines_with(0, &["-> InitProducerId"]), 2, "{code}");
        scenario.close();
    }
}

#[test]
fn after_a_cluster_forgot_every_id_a_new_one_is_requested_at_once() {
    for code in REJECTION_CODES {
        let mut scenario = with(Release::V4_1, 1, |_| {});
        let first = scenario.run_until(10).send("t", 1);
        assert_eq!(scenario.run_until(500).outcome_of(first), "delivered at Some(0)");
        scenario.happens(&Action::RejectIdentities(None, RejectedProducerIds::Forgotten, code));
        let sent = [scenario.send("t", 2), scenario.send("t", 1)];
        // If the sequence may be the cause, the next epoch is tried first.
        let patience = if matches!(code, 45 | 59) { 200 } else { 50 };
        scenario.run_until(500 + patience);
        assert_eq!(
            sent.map(|batch| scenario.outcome_of(batch)),
            ["delivered at Some(1)", "delivered at Some(3)"],
            "{code}"
        );
        assert_eq!(scenario.lines_with(0, &["-> InitProducerId"]), 2, "{code}");
        scenario.close();
    }
}

#[test]
fn an_identity_that_is_assigned_twice_is_used_once() {
    let mut scenario = with(Release::V4_1, 1, |_| {});
    let first = scenario.run_until(10).send("t", 1);
    assert_eq!(scenario.run_until(500).outcome_of(first), "delivered at Some(0)");
    scenario.happens(&Action::RejectIdentities(None, RejectedProducerIds::Forgotten, 49));
    for how in [AssignedProducerId::Again, AssignedProducerId::First, AssignedProducerId::Invalid] {
        let what = FaultKind::AssignedProducerId(how);
        scenario.happens(&Action::Inject(1, Fault::new(what).api(ApiKey::InitProducerId)));
    }
    let second = scenario.send("t", 1);
    assert_eq!(scenario.run_until(2_000).outcome_of(second), "delivered at Some(1)");
    assert_eq!(scenario.lines_with(0, &["-> InitProducerId"]), 5);
    assert_eq!(scenario.lines_with(0, &["-> Produce"]), 3);
    scenario.close();
}

#[test]
fn after_the_last_epoch_a_new_id_is_requested() {
    let mut scenario = with(Release::V4_1, 1, |_| {});
    let what = FaultKind::AssignedProducerId(AssignedProducerId::LateEpoch);
    scenario.happens(&Action::Inject(1, Fault::new(what).api(ApiKey::InitProducerId)));
    for round in 0..4 {
        scenario.run_until(1_000 * round + 10).send("t", 1);
        scenario.run_until(1_000 * round + 500).broker_answers(FaultKind::RejectRecords { positions: vec![0] });
        let rejected_records = scenario.send("t", 1);
        assert_eq!(scenario.run_until(1_000 * round + 900).outcome_of(rejected_records), "not written");
    }
    assert_eq!(scenario.log().len(), 4);
    assert_eq!(scenario.lines_with(0, &["-> InitProducerId"]), 2);
    assert_eq!(scenario.lines_with(0, &["-> Produce", "/32767/"]), 2, "{}", scenario.0.trace.join("\n"));
    scenario.close();
}
