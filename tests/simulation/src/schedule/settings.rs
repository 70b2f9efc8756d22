//! Generates the world: its brokers, settings and speeds.

use kafka_batch_core::machine::MachineConfig;
use kafka_batch_core::protocol::Acks;
use kafka_batch_testing::Release;
use kafka_batch_testing::simulated::{ClusterSettings, LeaderChoice, LinkSettings, PORT, Random, TopicConfig, host};

use crate::Moment;
use crate::credentials::{PASSWORD, credentials};
use crate::world::Settings;

pub(super) fn draw(seed: u64, random: &mut Random) -> Settings {
    let releases = releases(random);
    let producer = producer(&releases, random);
    let small_messages = random.percent(8);
    let sasl = producer.sasl.is_some();
    let cluster = ClusterSettings {
        auto_create: random.percent(70),
        default_partitions: random.between(1, 3) as usize,
        topic: TopicConfig::default().max_message_bytes(if small_messages {
            random.between(150, 900) as usize
        } else {
            1_048_588
        }),
        replication_ms: Some(*random.pick(&[0, 3, 30])),
        leaders: LeaderChoice::Random,
        ..ClusterSettings::default()
    };
    let names = ["orders", "payments", "clicks"];
    let topics =
        (0..random.between(1, 3) as usize).map(|topic| (names[topic].to_owned(), random.between(1, 3) as usize));
    let topics = topics.collect();
    let links = LinkSettings { latency_ms: *random.pick(&[0, 2, 20, 150]), pieces_percent: *random.pick(&[0, 10, 60]) };
    Settings {
        producer,
        cluster,
        sasl,
        releases,
        topics,
        links,
        seed: random.draw() ^ seed,
        cut_anywhere: false,
        traced: false,
    }
}

/// One to three brokers of one release or, where the format is the same, of several.
fn releases(random: &mut Random) -> Vec<Release> {
    let brokers = random.between(1, 3);
    let (one, mixed) = match random.below(100) {
        0..2 => (Release::V0_8, false),
        2..5 => (Release::V0_9, false),
        5..12 => (Release::V0_10, false),
        12..20 => (Release::V0_11, false),
        20..25 => (Release::V1_1, false),
        25..34 => (*random.pick(&[Release::V2_0, Release::V2_1, Release::V2_4]), false),
        34..75 => (*random.pick(&NEW), false),
        _ => (Release::V3_9, true),
    };
    (0..brokers).map(|_| if mixed { *random.pick(&NEW) } else { one }).collect()
}

/// Releases that can be in one cluster without a difference to a producer.
const NEW: [Release; 5] = [Release::V2_8, Release::V3_7, Release::V3_9, Release::V4_0, Release::V4_1];

/// Returns the releases with which a broker of this release may return.
pub(super) fn next_release(release: Release, random: &mut Random) -> Release {
    if NEW.contains(&release) && random.percent(30) { *random.pick(&NEW) } else { release }
}

fn producer(releases: &[Release], random: &mut Random) -> MachineConfig {
    let mut bootstrap: Vec<_> = (1..=releases.len() as i32).map(|id| (host(id), PORT)).collect();
    if random.percent(20) {
        let kept = random.below(bootstrap.len() as u64) as usize;
        bootstrap = vec![bootstrap.swap_remove(kept)];
    }
    if random.percent(20) {
        bootstrap.insert(0, ("nowhere".to_owned(), 9092));
    }
    let mut config = MachineConfig::new(bootstrap);
    config.acks = match random.below(100) {
        0..12 => Acks::None,
        12..25 => Acks::Leader,
        _ => Acks::All,
    };
    config.enable_idempotence = random.percent(80);
    config.max_in_flight_requests_per_connection = *random.pick(&[5, 5, 5, 1, 2, 3, 8]);
    config.request_timeout = Moment::from_millis(*random.pick(&[300, 1_000, 5_000, 30_000]));
    let delivery = *random.pick(&[1_000, 6_000, 15_000, 60_000, 120_000]);
    config.delivery_timeout = Moment::from_millis(delivery).max(config.request_timeout);
    config.retry_backoff = Moment::from_millis(*random.pick(&[0, 10, 100]));
    config.reconnect_backoff = Moment::from_millis(*random.pick(&[0, 50, 50]));
    config.socket_connection_setup_timeout = Moment::from_millis(*random.pick(&[1_000, 10_000]));
    config.connections_max_idle = Moment::from_secs(*random.pick(&[2, 540, 540]));
    config.metadata_max_age = Moment::from_secs(*random.pick(&[1, 300, 300]));
    config.metadata_max_idle = Moment::from_millis(*random.pick(&[2_000, 5_000, 300_000]));
    config.max_request_size = *random.pick(&[300, 3_000, 1_048_576, 1_048_576]);
    config.buffer_memory = *random.pick(&[1_000, 8_000, 33_554_432, 33_554_432, 33_554_432]);
    config.split_too_large = random.percent(30);
    if releases[0] >= Release::V0_10 && random.percent(10) {
        let password = if random.percent(85) { PASSWORD } else { "guess" };
        config.sasl = Some(credentials(password));
    }
    if releases[0] <= Release::V0_9 || random.percent(3) {
        config.broker_version_fallback =
            releases.iter().min().map(|release| release.version().parse().expect("a version"));
    }
    config
}
