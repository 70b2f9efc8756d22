//! The settings of a cluster and of its topics.

use std::fmt;

/// The settings of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// True if topics are created when they are requested (`auto.create.topics.enable`).
    pub auto_create: bool,
    /// The number of partitions of such a topic (`num.partitions`).
    pub default_partitions: usize,
    /// The settings of such a topic.
    pub topic: TopicConfig,
    /// The maximum time that replication takes, in milliseconds; `None`: a batch is replicated at once.
    pub replication_ms: Option<u64>,
    /// How leaders are chosen.
    pub leaders: LeaderChoice,
    /// The time of the wall clock when simulated time starts, in milliseconds since the epoch.
    pub started_at_ms: i64,
    /// The cluster's id in Metadata.
    pub cluster_id: Option<String>,
    /// The level of the feature `transaction.version`, 0 to 2, if all brokers support it (from 4.0 on).
    pub transaction_version: i16,
    /// `transaction.max.timeout.ms`: the maximum `transaction.timeout.ms` of producers, in milliseconds.
    pub transaction_max_timeout_ms: i32,
    /// The maximum time after which each partition has the marker of a transaction that ended, in milliseconds; `None`: at once.
    pub marker_ms: Option<u64>,
    /// How long a coordinator that is elected loads what the one before knew, in milliseconds.
    pub coordinator_load_ms: u64,
}

/// How the leader of a partition is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderChoice {
    /// In the order of brokers and partitions.
    InTurn,
    /// At random.
    Random,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            auto_create: true,
            default_partitions: 1,
            topic: TopicConfig::default(),
            replication_ms: None,
            leaders: LeaderChoice::InTurn,
            started_at_ms: 1_700_000_000_000,
            cluster_id: None,
            transaction_version: 2,
            transaction_max_timeout_ms: 900_000,
            marker_ms: None,
            coordinator_load_ms: 0,
        }
    }
}

/// The settings of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicConfig {
    /// `max.message.bytes`: the maximum size of a batch, in bytes.
    pub max_message_bytes: usize,
    /// `cleanup.policy=compact`: records without a key are rejected. (Nothing is compacted.)
    pub compacted: bool,
    /// `message.timestamp.type=LogAppendTime`: the broker assigns timestamps.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`: how far timestamps may be in the past, in milliseconds.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far timestamps may be in the future, in milliseconds.
    pub timestamp_after_max_ms: i64,
}

impl Default for TopicConfig {
    /// The defaults of Kafka 4, except that any timestamps are allowed.
    fn default() -> Self {
        Self {
            max_message_bytes: 1_048_588,
            compacted: false,
            log_append_time: false,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: i64::MAX,
        }
    }
}

impl TopicConfig {
    /// Sets `max.message.bytes`.
    #[must_use]
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Returns true if a record may have this timestamp when it is appended now, both in milliseconds since the epoch.
    #[must_use]
    pub const fn allows_timestamp(&self, timestamp: i64, now: i64) -> bool {
        // −1 is no timestamp.
        timestamp == -1
            || now.saturating_sub(timestamp) <= self.timestamp_before_max_ms
                && timestamp.saturating_sub(now) <= self.timestamp_after_max_ms
    }
}

/// The maximum number of partitions of a topic, so that a request cannot exhaust the memory.
pub(crate) const MOST_PARTITIONS: usize = 10_000;

/// The reason why a topic cannot be created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreateTopicError {
    /// Kafka does not accept the name.
    InvalidName {
        /// The name.
        name: String,
    },
    /// The number of partitions is 0 or more than 10,000.
    InvalidPartitions {
        /// The name of the topic.
        name: String,
        /// The number of partitions.
        partitions: usize,
    },
}

impl fmt::Display for CreateTopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName { name } => write!(
                f,
                "a topic cannot have the name {name:?}: use 1 to 249 letters, digits, dots, underscores and hyphens of ASCII, \
                 and neither \".\" nor \"..\""
            ),
            Self::InvalidPartitions { name, partitions } => {
                write!(f, "the topic {name:?} cannot have {partitions} partitions: use 1 to {MOST_PARTITIONS}")
            }
        }
    }
}

impl std::error::Error for CreateTopicError {}

/// Checks that a topic can have this name and this number of partitions.
pub(crate) fn check_topic(name: &str, partitions: usize) -> Result<(), CreateTopicError> {
    if !is_valid_topic_name(name) {
        return Err(CreateTopicError::InvalidName { name: name.to_owned() });
    }
    if !(1..=MOST_PARTITIONS).contains(&partitions) {
        return Err(CreateTopicError::InvalidPartitions { name: name.to_owned(), partitions });
    }
    Ok(())
}

/// Returns true if a topic can have this name (`Topic.validate` of Apache Kafka).
#[must_use]
pub(crate) fn is_valid_topic_name(name: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(is_legal)
}
