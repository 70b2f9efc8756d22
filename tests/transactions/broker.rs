//! The broker that the tests use, and what its release can do.

use std::process;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use kafka_batch_witnesses::rdkafka::ClientConfig;
use kafka_batch_witnesses::rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use kafka_batch_witnesses::rdkafka::client::DefaultClientContext;

use super::environment::variable;

/// Apache Kafka, as described by the environment. A test without it fails; it is not skipped.
#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    pub(crate) address: String,
    pub(crate) version: String,
}

impl Kafka {
    pub(crate) fn here() -> Self {
        Self { address: variable("KAFKA_BATCH_BROKERS"), version: variable("KAFKA_BATCH_KAFKA_VERSION") }
    }

    /// Returns the first two numbers of its version.
    fn line(&self) -> (u32, u32) {
        let mut numbers = self.version.split('.').map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// Returns the levels of `transaction.version` to test, of which the last is that of a new cluster; none if it has no
    /// transactions.
    pub(crate) fn levels(&self) -> &'static [i16] {
        match self.line() {
            (4.., _) => &[0, 1, 2],
            (0, ..11) => &[],
            _ => &[0],
        }
    }

    /// Returns true if it checks generations and members of a group in transactions (KIP-447).
    pub(crate) fn checks_members(&self) -> bool {
        self.line() >= (2, 5)
    }

    /// Returns the setting for a broker that does not support ApiVersions.
    pub(crate) fn fallback(&self) -> Option<String> {
        (self.line() < (0, 10)).then(|| self.version.clone())
    }

    /// Sets the level of `transaction.version`, with Kafka's tool.
    pub(crate) fn set_level(&self, level: i16) {
        if self.levels().len() == 1 {
            return;
        }
        let feature = format!("transaction.version={level}");
        let change = |direction| self.features(&[direction, "--feature", &feature]);
        let Err(not_lower) = change("downgrade") else { return };
        let Err(not_higher) = change("upgrade") else { return };
        // It refuses to set the level that there is.
        let features = self.features(&["describe"]).unwrap_or_else(|error| panic!("{error}"));
        let is_set = |line: &str| {
            line.contains("transaction.version") && line.contains(&format!("FinalizedVersionLevel: {level}\t"))
        };
        assert!(features.lines().any(is_set), "not {feature}: {not_lower}\n{not_higher}\n{features}");
    }

    /// Runs Kafka's tool for features. Returns what it prints, as an error if it fails.
    fn features(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(variable("KAFKA_BATCH_JAVA"))
            .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", &variable("KAFKA_BATCH_KAFKA_CLASSPATH")])
            .args(["org.apache.kafka.tools.FeatureCommand", "--bootstrap-server", &self.address])
            .args(arguments)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        if output.status.success() { Ok(text) } else { Err(text) }
    }

    /// Creates a topic with a name that no other test uses.
    pub(crate) async fn topic(&self, name: &str, partitions: i32) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.address).create().unwrap();
        let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let created = admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
        assert_eq!(created, [Ok(name.clone())]);
        name
    }
}
