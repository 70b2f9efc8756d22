//! The settings of a cluster.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::TestCluster;
use super::tcp::Encryption;
use crate::Moment;
use crate::broker::Variation;
use crate::broker::release::Release;
use crate::broker::sasl::{ScramHash, Users};
use crate::cluster::{Cluster, ClusterSettings, CreateTopicError, TopicConfig, check_topic};
use crate::engine::{Engine, EngineSettings};

/// The settings of a [`TestCluster`].
///
/// ```
/// use kafka_batch_testing::{Release, TestCluster, Topic};
///
/// let cluster = TestCluster::builder()
///     .brokers(3)
///     .release(Release::V3_9)
///     .topic(Topic::new("orders").partitions(6))
///     .auto_create(false)
///     .plain_user("alice", "open sesame")
///     .start()?;
/// assert_eq!(cluster.bootstrap_servers().split(',').count(), 3);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TestClusterBuilder {
    releases: Vec<Release>,
    settings: ClusterSettings,
    topics: Vec<Topic>,
    users: Users,
    request_max_bytes: usize,
    with_sockets: bool,
    tls: WithTls,
    seed: u64,
}

/// Whether ports are encrypted.
#[derive(Clone, Debug)]
enum WithTls {
    No,
    #[cfg(feature = "tls")]
    Yes {
        /// The authorities of clients, as PEM text, if clients have to present certificates.
        clients: Option<String>,
    },
}

impl Default for TestClusterBuilder {
    fn default() -> Self {
        Self {
            releases: vec![Release::NEWEST],
            settings: ClusterSettings { cluster_id: Some("kafka-batch-testing".into()), ..ClusterSettings::default() },
            topics: Vec::new(),
            users: Users::default(),
            request_max_bytes: 100 << 20,
            with_sockets: true,
            tls: WithTls::No,
            seed: 0,
        }
    }
}

impl TestClusterBuilder {
    /// Sets the number of brokers. The default is 1.
    ///
    /// # Panics
    /// The number is 0 or more than 1,000.
    #[must_use]
    pub fn brokers(mut self, brokers: usize) -> Self {
        assert!((1..=1_000).contains(&brokers), "a cluster has 1 to 1,000 brokers, not {brokers}");
        let last = self.releases[self.releases.len() - 1];
        self.releases.resize(brokers, last);
        self
    }

    /// Sets the release of all brokers. The default is the newest.
    #[must_use]
    pub fn release(mut self, release: Release) -> Self {
        self.releases.fill(release);
        self
    }

    /// Sets the number of brokers and the release of each.
    ///
    /// # Panics
    /// There are none, or more than 1,000.
    #[must_use]
    pub fn releases(self, releases: impl IntoIterator<Item = Release>) -> Self {
        let releases: Vec<_> = releases.into_iter().collect();
        Self { releases: releases.clone(), ..self.brokers(releases.len()) }
    }

    /// Adds a topic. With a name only, it has one partition.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<Topic>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// Sets whether topics are created when they are used. The default is `true`.
    #[must_use]
    pub const fn auto_create(mut self, create: bool) -> Self {
        self.settings.auto_create = create;
        self
    }

    /// Sets the number of partitions of topics that are created when they are used. The default is 1.
    #[must_use]
    pub const fn default_partitions(mut self, partitions: usize) -> Self {
        self.settings.default_partitions = partitions;
        self
    }

    /// Sets `message.max.bytes`, the maximum size of a batch in topics without their own limit. The default is Kafka's,
    /// 1,048,588 bytes.
    #[must_use]
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.settings.topic.max_message_bytes = bytes;
        self
    }

    /// Sets `socket.request.max.bytes`, the maximum size of a request. The default is Kafka's, 100 MiB.
    #[must_use]
    pub const fn request_max_bytes(mut self, bytes: usize) -> Self {
        self.request_max_bytes = bytes;
        self
    }

    /// Sets the level of the feature `transaction.version`, 0 to 2. The default is 2, Kafka 4.4's. Releases before 4.0 have
    /// level 0.
    ///
    /// # Panics
    /// There is no such level.
    #[must_use]
    pub const fn transaction_version(mut self, level: i16) -> Self {
        assert!(level >= 0 && level <= 2, "the levels of transaction.version are 0, 1 and 2");
        self.settings.transaction_version = level;
        self
    }

    /// Sets `transaction.max.timeout.ms`, the maximum `transaction.timeout.ms` of producers, in milliseconds. The default is
    /// Kafka's, 15 minutes.
    #[must_use]
    pub const fn transaction_max_timeout_ms(mut self, milliseconds: i32) -> Self {
        self.settings.transaction_max_timeout_ms = milliseconds;
        self
    }

    /// Sets for how long a coordinator that moved answers COORDINATOR_LOAD_IN_PROGRESS, in milliseconds. The default is 0.
    #[must_use]
    pub const fn coordinator_load_ms(mut self, milliseconds: u64) -> Self {
        self.settings.coordinator_load_ms = milliseconds;
        self
    }

    /// Adds a user of SASL/PLAIN. With any user, clients have to authenticate.
    #[must_use]
    pub fn plain_user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.users = self.users.plain(user, password);
        self
    }

    /// Adds a user of SASL/SCRAM. With any user, clients have to authenticate.
    #[must_use]
    pub fn scram_user(mut self, hash: ScramHash, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.users = self.users.scram(hash, user, password);
        self
    }

    /// Adds a token of SASL/OAUTHBEARER, which expires this long after the cluster was started. With any token, clients have to
    /// authenticate. A session ends with its token at the latest (KIP-368).
    #[must_use]
    pub fn oauth_token(mut self, token: impl Into<String>, expires: Duration) -> Self {
        self.users = self.users.token(token, expires);
        self
    }

    /// Sets the time after which clients must authenticate again (`connections.max.reauth.ms`, KIP-368): on the same connection
    /// or on another one. A connection that does neither is closed at its next request. By default sessions do not end.
    #[must_use]
    pub fn longest_session(mut self, limit: Duration) -> Self {
        self.users = self.users.longest_session(limit);
        self
    }

    /// Opens no ports: clients connect in memory only ([`MemoryStream`](crate::MemoryStream)).
    #[must_use]
    pub const fn without_sockets(mut self) -> Self {
        self.with_sockets = false;
        self
    }

    /// Encrypts the connections of the ports by TLS 1.2 and 1.3, with a certificate for `127.0.0.1` and `localhost` that is made
    /// when the cluster starts. Clients trust its authority, [`TestCluster::ca_pem`], and connect with
    /// `security.protocol=ssl`, or `sasl_ssl` if there are users. Connections in memory are not encrypted.
    ///
    #[cfg_attr(feature = "__witnesses", doc = "```")]
    #[cfg_attr(not(feature = "__witnesses"), doc = "```no_run")]
    /// use kafka_batch_testing::TestCluster;
    /// use kafka_batch_tokio::TokioProducer; // with the feature `tls`; or any other client
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = TestCluster::builder().tls().plain_user("alice", "open sesame").start()?;
    /// let producer = TokioProducer::builder()
    ///     .set("bootstrap.servers", cluster.bootstrap_servers())
    ///     .set("security.protocol", "sasl_ssl")
    ///     .set("ssl.ca.pem", cluster.ca_pem().expect("it was built with TLS"))
    ///     .set("sasl.username", "alice")
    ///     .set("sasl.password", "open sesame")
    ///     .build()?;
    /// assert_eq!(producer.send("greetings", "hello").await?.offset, Some(0));
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn tls(mut self) -> Self {
        if let WithTls::No = self.tls {
            self.tls = WithTls::Yes { clients: None };
        }
        self
    }

    /// Encrypts connections like [`tls`](Self::tls), and requires clients to present a certificate that one of these authorities
    /// has signed (`ssl.client.auth=required`). `authorities` are certificates as PEM text.
    /// [`TestCluster::set_client_authorities`] replaces them.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn client_authorities(mut self, authorities: impl Into<String>) -> Self {
        self.tls = WithTls::Yes { clients: Some(authorities.into()) };
        self
    }

    /// Sets the seed of random numbers: producer ids, topic ids, salts.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts the cluster.
    ///
    /// # Errors
    /// Returns an error if a topic cannot be created ([`CreateTopicError`]), no port is free on 127.0.0.1, no thread can be
    /// started, no certificate can be made, or the authorities of clients cannot be read.
    pub fn start(mut self) -> io::Result<TestCluster> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.settings.started_at_ms = since_epoch.as_millis() as i64;
        let mut engine = Engine::new(EngineSettings {
            cluster: self.settings,
            releases: self.releases,
            users: self.users,
            variation: Variation::NONE,
            request_max_bytes: self.request_max_bytes,
            recording: true,
            seed: self.seed,
        });
        for topic in &self.topics {
            let created = topic.create_in(&mut engine.cluster, Moment::ZERO);
            created.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        }
        TestCluster::from_engine(
            engine,
            self.with_sockets,
            encryption(if self.with_sockets { &self.tls } else { &WithTls::No })?,
        )
    }
}

fn encryption(tls: &WithTls) -> io::Result<Encryption> {
    match tls {
        WithTls::No => Ok(Encryption::None),
        #[cfg(feature = "tls")]
        WithTls::Yes { clients } => Ok(Encryption::Tls(super::tls::Tls::new(clients.as_deref())?)),
    }
}

/// A topic to be created.
#[derive(Clone, Debug)]
pub struct Topic {
    name: String,
    partitions: usize,
    config: TopicConfig,
    /// True if the limit of the topic is its own.
    is_limited: bool,
}

impl Topic {
    /// Creates a topic of one partition, with the settings of the cluster.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), partitions: 1, config: TopicConfig::default(), is_limited: false }
    }

    /// Sets the number of partitions.
    #[must_use]
    pub const fn partitions(mut self, partitions: usize) -> Self {
        self.partitions = partitions;
        self
    }

    /// Sets `max.message.bytes`, the maximum size of a batch.
    #[must_use]
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.config.max_message_bytes = bytes;
        self.is_limited = true;
        self
    }

    /// Sets `cleanup.policy=compact`: records without a key are rejected. (Nothing is compacted.)
    #[must_use]
    pub const fn compacted(mut self) -> Self {
        self.config.compacted = true;
        self
    }

    /// Sets `message.timestamp.type=LogAppendTime`: the broker assigns timestamps.
    #[must_use]
    pub const fn log_append_time(mut self) -> Self {
        self.config.log_append_time = true;
        self
    }

    /// Sets `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`: how far timestamps may be in the past
    /// and in the future, in milliseconds. By default they are not limited.
    #[must_use]
    pub const fn timestamp_range_ms(mut self, before: i64, after: i64) -> Self {
        self.config.timestamp_before_max_ms = before;
        self.config.timestamp_after_max_ms = after;
        self
    }

    /// Creates it in a [simulated](crate::simulated) cluster, unless it exists. Returns whether it was created.
    ///
    /// # Errors
    /// Returns an error if Kafka does not accept the name, or the number of partitions is 0 or more than 10,000.
    pub fn create_in(&self, cluster: &mut Cluster, now: Moment) -> Result<bool, CreateTopicError> {
        check_topic(&self.name, self.partitions)?;
        if cluster.topics.contains_key(&self.name) {
            return Ok(false);
        }
        let mut config = self.config;
        if !self.is_limited {
            config.max_message_bytes = cluster.settings.topic.max_message_bytes;
        }
        cluster.create_with(&self.name, self.partitions, config, now);
        cluster.turn(now);
        Ok(true)
    }
}

impl<T: Into<String>> From<T> for Topic {
    fn from(name: T) -> Self {
        Self::new(name)
    }
}
