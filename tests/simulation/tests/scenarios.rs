//! Scripted worlds, which read like a dialogue with times: what the application does, what breaks, what must come of it.

use std::time::Duration;

use kafka_batch_core::machine::{CloseMode, ProducerConfig};
use kafka_batch_simulation::broker::identities::CODES;
use kafka_batch_simulation::broker::release::Release;
use kafka_batch_simulation::broker::sasl::{PASSWORD, credentials};
use kafka_batch_simulation::broker::{HandOut, Intercept, Interceptor, RefusedIdentities, host};
use kafka_batch_simulation::cluster::ClusterSettings;
use kafka_batch_simulation::contents::{Packing, Recipe, Serial};
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
    within(release, brokers, false, change)
}

/// The same, and perhaps clients have to log in.
fn within(release: Release, brokers: i32, sasl: bool, change: impl FnOnce(&mut ProducerConfig)) -> Scenario {
    let mut producer = ProducerConfig::new((1..=brokers).map(|id| (host(id), 9092)));
    change(&mut producer);
    Scenario(World::new(Settings {
        producer,
        cluster: ClusterSettings {
            auto_create: true,
            default_partitions: 1,
            max_message_bytes: 10_000,
            replication_ms: 0,
            sasl,
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
        self.sends_this(topic, Recipe { records, padding: 10, ..Recipe::default() })
    }

    fn sends_this(&mut self, topic: &str, recipe: Recipe) -> Serial {
        self.0.send(topic, 0, recipe).unwrap().expect("there is room")
    }

    /// How many lines of the trace, from this one on, have all of these words.
    fn lines_with(&self, from: usize, words: &[&str]) -> usize {
        self.0.trace[from..].iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
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

    /// From now on this broker leads, under this epoch.
    fn leads(&mut self, leader: i32, epoch: i32) -> &mut Self {
        let partition = self.0.cluster.partition_mut("t", 0).expect("it is there");
        (partition.leader, partition.epoch) = (Some(leader), epoch);
        self
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
        self.happens(&Action::Close(CloseMode::Graceful));
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

#[test]
fn each_release_is_spoken_to_in_its_newest_version() {
    for release in Release::ALL {
        let mut scenario = with(release, 1, |config| {
            config.broker_version_fallback = Some(release.version().parse().unwrap());
        });
        let batch = scenario.at(10).sends("t", 2);
        assert_eq!(scenario.at(5_000).said_of(batch), "delivered at Some(0)", "{release:?}");
        let (_, newest) = release.lists(ApiKey::Produce).unwrap();
        assert_eq!(scenario.lines_with(0, &["->", &format!("Produce v{newest} ")]), 1, "{release:?}");
    }
}

#[test]
fn a_hint_is_followed_without_asking_for_metadata() {
    for release in [Release::V3_7, Release::V4_0, Release::V4_1] {
        let mut hinted = 0;
        // As many batches go before as the run has a number: so chance, by which a broker gives no hint, is another.
        for run in 1..=12_u64 {
            let mut scenario = with(release, 2, |_| {});
            for serial in 0..run {
                let _ = scenario.at(10 + serial * 10).sends("t", 1);
            }
            scenario.at(2_000);
            let partition = scenario.0.cluster.partition_mut("t", 0).unwrap();
            (partition.leader, partition.epoch) = (partition.leader.map(|leader| 3 - leader), partition.epoch + 1);
            let before = scenario.0.trace.len();
            let batch = scenario.sends("t", 1);
            assert!(scenario.at(2_500).said_of(batch).starts_with("delivered"), "{release:?}");
            hinted += u64::from(scenario.lines_with(before, &["-> Metadata"]) == 0);
            scenario.closes();
        }
        assert!((4..12).contains(&hinted), "{release:?}: a hint comes most of the time, and {hinted} came");
    }
}

#[test]
fn when_all_known_brokers_are_gone_the_bootstrap_servers_are_asked() {
    let mut scenario = with(Release::V4_1, 3, |config| {
        config.bootstrap_servers = vec![(host(1), 9092), (host(3), 9092)];
    });
    let forever = Duration::from_secs(1_000_000);
    scenario.happens(&Action::Down(3, ms(1_500), ms(0), Release::V4_1));
    let first = scenario.at(10).sends("t", 1);
    assert!(scenario.at(1_000).said_of(first).starts_with("delivered"));
    scenario.happens(&Action::Down(1, forever, ms(1_000), Release::V4_1));
    scenario.happens(&Action::Down(2, forever, ms(1_000), Release::V4_1));
    let second = scenario.sends("t", 1);
    assert!(scenario.at(20_000).said_of(second).starts_with("delivered"), "{}", scenario.0.trace.join("\n"));
    assert_eq!(scenario.leader(), 3, "which no metadata had named before");
}

#[test]
fn a_broker_that_wants_the_client_to_begin_anew_is_obeyed() {
    let mut scenario = with(Release::V4_1, 2, |config| config.metadata_max_age = ms(1_000));
    let first = scenario.at(10).sends("t", 1);
    for broker in [1, 2] {
        let what = Intercept::Refuse { code: 129, all: true };
        scenario.happens(&Action::Intercept(broker, Interceptor { api: ApiKey::Metadata, after: 1, what }));
    }
    assert!(scenario.at(900).said_of(first).starts_with("delivered"));
    let second = scenario.at(3_000).sends("t", 1);
    assert!(scenario.at(6_000).said_of(second).starts_with("delivered"));
    assert!(scenario.lines_with(0, &["REBOOTSTRAP_REQUIRED"]) > 0, "{}", scenario.0.trace.join("\n"));
    scenario.closes();
}

#[test]
fn with_the_right_password_batches_get_through_and_with_a_wrong_one_nothing_is_sent() {
    for release in Release::ALL.into_iter().filter(|release| *release >= Release::V0_10) {
        for (password, said) in [(PASSWORD, "delivered at Some(0)"), ("guess", "not written")] {
            let mut scenario = within(release, 1, true, |config| {
                config.delivery_timeout = Duration::from_secs(30);
                config.sasl = Some(credentials(password));
            });
            let batch = scenario.at(10).sends("t", 1);
            assert_eq!(scenario.at(40_000).said_of(batch), said, "{release:?}");
            assert_eq!(scenario.lines_with(0, &["-> Produce"]), usize::from(password == PASSWORD), "{release:?}");
            let refused = scenario.lines_with(0, &["SASL_AUTHENTICATION_FAILED"]);
            let is_told = password != PASSWORD && release >= Release::V1_1;
            assert_eq!(refused > 0, is_told, "{release:?}: before 1.0 the broker just hangs up");
        }
    }
}

#[test]
fn zstd_is_not_sent_to_a_broker_that_does_not_have_it() {
    for (release, said) in [
        (Release::V0_10, "not written"),
        (Release::V2_0, "not written"),
        (Release::V2_1, "delivered at Some(0)"),
        (Release::V4_1, "delivered at Some(0)"),
    ] {
        let mut scenario = with(release, 1, |_| {});
        let packing = Packing::Zstd;
        let batch = scenario.at(10).sends_this("t", Recipe { records: 6, padding: 200, packing, ..Recipe::default() });
        assert_eq!(scenario.at(5_000).said_of(batch), said, "{release:?}");
    }
}

#[test]
fn headers_are_not_dropped_for_an_old_broker() {
    for (release, said) in [(Release::V0_10, "not written"), (Release::V0_11, "delivered at Some(0)")] {
        let mut scenario = with(release, 1, |_| {});
        let batch = scenario.at(10).sends_this("t", Recipe { records: 2, headers: true, ..Recipe::default() });
        assert_eq!(scenario.at(5_000).said_of(batch), said, "{release:?}");
    }
}

#[test]
fn disliked_records_are_named_by_position() {
    for (release, named) in
        [(Release::V2_1, false), (Release::V2_4, true), (Release::V2_8, true), (Release::V4_1, true)]
    {
        let mut scenario = with(release, 1, |_| {});
        scenario.at(10).broker_answers(Intercept::Dislike { positions: vec![1, 4] });
        let batch = scenario.sends("t", 5);
        assert_eq!(scenario.at(5_000).said_of(batch), "not written");
        let Some(Outcome::Failed(_, words)) = &scenario.0.ledger.promises[&batch].outcome else { panic!() };
        assert_eq!(words.contains("record 1: disliked (and 1 more)"), named, "{release:?}: {words}");
        scenario.closes();
    }
}

#[test]
fn a_topic_that_is_made_anew_gets_its_batches_under_its_new_id() {
    let mut scenario = with(Release::V4_1, 2, |_| {});
    let first = scenario.at(10).sends("t", 1);
    assert!(scenario.at(1_000).said_of(first).starts_with("delivered"));
    scenario.happens(&Action::Recreate("t".into()));
    let second = scenario.at(2_000).sends("t", 1);
    assert!(scenario.at(8_000).said_of(second).starts_with("delivered"), "{}", scenario.0.trace.join("\n"));
    scenario.closes();
}

/// Where Produce names topics (before 4.0), only metadata tells that a topic is another one; its epochs then count anew, and
/// are lower than those that were known.
#[test]
fn the_leaders_of_a_topic_that_is_made_anew_are_followed_although_their_epochs_are_lower() {
    for release in [Release::V2_8, Release::V3_7, Release::V3_9] {
        let mut scenario = with(release, 2, |_| {});
        scenario.at(10).leads(1, 7);
        let first = scenario.sends("t", 1);
        assert!(scenario.at(1_000).said_of(first).starts_with("delivered"), "{release:?}");
        scenario.happens(&Action::Recreate("t".into()));
        scenario.at(1_100).leads(2, 0);
        let second = scenario.sends("t", 1);
        let said = scenario.at(10_000).said_of(second);
        assert!(said.starts_with("delivered"), "{release:?}: {said}\n{}", scenario.0.trace.join("\n"));
        scenario.closes();
    }
}

/// Why the new leader waits for the old one's answers, although brokers check sequence numbers: one that has forgotten
/// the producer takes any first number.
#[test]
fn no_batch_overtakes_one_that_an_old_leader_has_not_answered() {
    let mut scenario = with(Release::V4_1, 2, |config| config.metadata_max_age = ms(100));
    scenario.at(10).leads(2, 1);
    let _ = scenario.sends("t", 1);
    scenario.at(1_000).leads(1, 2);
    let what = Intercept::DelayRequest(ms(3_000));
    scenario.happens(&Action::Intercept(1, Interceptor { api: ApiKey::Produce, after: 0, what }));
    let _ = scenario.sends("t", 1);
    scenario.at(2_000).leads(2, 3);
    scenario.0.cluster.partition_mut("t", 0).unwrap().log.expire();
    let asked_since = scenario.0.trace.len();
    scenario.at(2_500);
    assert!(scenario.lines_with(asked_since, &["<- Metadata"]) > 0, "it knows who leads again");
    let _ = scenario.sends("t", 1);
    scenario.at(3_000);
    assert_eq!(scenario.lines_with(asked_since, &["-> Produce"]), 0, "{}", scenario.0.trace.join("\n"));
    scenario.at(10_000);
    let order: Vec<u64> = scenario.log().iter().map(|(serial, _)| *serial).collect();
    assert_eq!(order, [0, 1, 2], "{}", scenario.0.trace.join("\n"));
    scenario.closes();
}

/// As brokers do that are not Apache Kafka: an epoch is theirs to hand out, and KIP-360 is not known.
#[test]
fn where_only_epochs_that_were_handed_out_are_taken_a_lost_answer_costs_one_batch_alone() {
    for code in CODES {
        let mut scenario = with(Release::V4_1, 1, |config| {
            config.request_timeout = ms(500);
            config.delivery_timeout = ms(1_000);
        });
        scenario.happens(&Action::RefuseIdentities(None, RefusedIdentities::OwnEpochs, code));
        let first = scenario.at(10).sends("t", 1);
        assert_eq!(scenario.at(500).said_of(first), "delivered at Some(0)");
        for _ in 0..3 {
            scenario.broker_answers(Intercept::DropRequest);
        }
        let lost = scenario.sends("t", 1);
        assert_eq!(scenario.at(2_500).said_of(lost), "unknown, perhaps written", "{code}");
        scenario.happens(&Action::Relent);
        for batch in 0..5 {
            let sent = scenario.sends("t", 1);
            assert!(scenario.at(2_700 + batch * 200).said_of(sent).starts_with("delivered"), "{code}");
        }
        assert_eq!(scenario.lines_with(0, &["-> InitProducerId"]), 2, "{code}");
        scenario.closes();
    }
}

#[test]
fn a_cluster_that_forgets_every_id_is_asked_for_another_at_once() {
    for code in CODES {
        let mut scenario = with(Release::V4_1, 1, |_| {});
        let first = scenario.at(10).sends("t", 1);
        assert_eq!(scenario.at(500).said_of(first), "delivered at Some(0)");
        scenario.happens(&Action::RefuseIdentities(None, RefusedIdentities::Forgotten, code));
        let sent = [scenario.sends("t", 2), scenario.sends("t", 1)];
        // Unless the sequence may be what is wrong: then the next epoch is tried first.
        let patience = if matches!(code, 45 | 59) { 200 } else { 50 };
        scenario.at(500 + patience);
        assert_eq!(
            sent.map(|batch| scenario.said_of(batch)),
            ["delivered at Some(1)", "delivered at Some(3)"],
            "{code}"
        );
        assert_eq!(scenario.lines_with(0, &["-> InitProducerId"]), 2, "{code}");
        scenario.closes();
    }
}

#[test]
fn an_identity_that_is_handed_out_twice_is_used_once() {
    let mut scenario = with(Release::V4_1, 1, |_| {});
    let first = scenario.at(10).sends("t", 1);
    assert_eq!(scenario.at(500).said_of(first), "delivered at Some(0)");
    scenario.happens(&Action::RefuseIdentities(None, RefusedIdentities::Forgotten, 49));
    for how in [HandOut::Again, HandOut::First, HandOut::Invalid] {
        let what = Intercept::HandOut(how);
        scenario.happens(&Action::Intercept(1, Interceptor { api: ApiKey::InitProducerId, after: 0, what }));
    }
    let second = scenario.sends("t", 1);
    assert_eq!(scenario.at(2_000).said_of(second), "delivered at Some(1)");
    assert_eq!(scenario.lines_with(0, &["-> InitProducerId"]), 5);
    assert_eq!(scenario.lines_with(0, &["-> Produce"]), 3);
    scenario.closes();
}

#[test]
fn behind_the_last_epoch_a_new_id_is_asked_for() {
    let mut scenario = with(Release::V4_1, 1, |_| {});
    let what = Intercept::HandOut(HandOut::LateEpoch);
    scenario.happens(&Action::Intercept(1, Interceptor { api: ApiKey::InitProducerId, after: 0, what }));
    for round in 0..4 {
        scenario.at(1_000 * round + 10).sends("t", 1);
        scenario.at(1_000 * round + 500).broker_answers(Intercept::Dislike { positions: vec![0] });
        let disliked = scenario.sends("t", 1);
        assert_eq!(scenario.at(1_000 * round + 900).said_of(disliked), "not written");
    }
    assert_eq!(scenario.log().len(), 4);
    assert_eq!(scenario.lines_with(0, &["-> InitProducerId"]), 2);
    assert_eq!(scenario.lines_with(0, &["-> Produce", "/32767/"]), 2, "{}", scenario.0.trace.join("\n"));
    scenario.closes();
}
