//! A broker with a listener for each security protocol. Its log is read with `rdkafka`'s consumer in plaintext.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kafka_batch_brokers::{Broker, Listener, Options, Release};
use kafka_batch_certificates::Identity;
use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer};
use kafka_batch_witnesses::rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use log::LevelFilter;

use crate::certificates::Certificates;

/// With a character that SCRAM has to escape in a name. (The other one is the comma, with which Kafka's tool cannot
/// create users.)
pub(crate) const USER: &str = "alice=a";
/// The user of PLAIN, which the broker's settings name.
pub(crate) const PLAIN_USER: &str = "alice";
pub(crate) const PASSWORD: &str = "open sesame";

/// The duration of a session at the listener `SHORT`.
pub(crate) const SESSION: Duration = Duration::from_secs(2);

/// Turns a case that would hang into one that fails.
const PATIENCE: Duration = Duration::from_secs(60);

const LISTENERS: [Listener; 6] = [
    Listener { name: "TLS", protocol: "SSL" },
    // Requires a client certificate.
    Listener { name: "MUTUAL", protocol: "SSL" },
    Listener { name: "SASL", protocol: "SASL_PLAINTEXT" },
    Listener { name: "SASLTLS", protocol: "SASL_SSL" },
    // With SCRAM-SHA-256 only.
    Listener { name: "SCRAM", protocol: "SASL_PLAINTEXT" },
    // The same, with short sessions.
    Listener { name: "SHORT", protocol: "SASL_PLAINTEXT" },
];

pub(crate) struct Secured {
    broker: Broker,
    pub(crate) certificates: Certificates,
}

impl Secured {
    pub(crate) fn start(release: &str) -> Self {
        kafka_batch_log_capture::start("kafka_batch", LevelFilter::Debug);
        let certificates = Certificates::new();
        let in_a_line = |text: &str| text.replace("\r\n", "\n").replace('\n', "\\n");
        let mut config = vec![
            ("ssl.keystore.type".to_owned(), "PEM".to_owned()),
            ("ssl.keystore.certificate.chain".to_owned(), in_a_line(&certificates.broker.certificate)),
            ("ssl.keystore.key".to_owned(), in_a_line(&certificates.broker.key)),
            ("ssl.truststore.type".to_owned(), "PEM".to_owned()),
            ("ssl.truststore.certificates".to_owned(), in_a_line(&certificates.ca)),
            ("listener.name.mutual.ssl.client.auth".to_owned(), "required".to_owned()),
            ("listener.name.short.connections.max.reauth.ms".to_owned(), SESSION.as_millis().to_string()),
        ];
        let security = "org.apache.kafka.common.security";
        for (listener, mechanisms) in [
            ("sasl", &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"][..]),
            ("sasltls", &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
            ("scram", &["SCRAM-SHA-256"]),
            ("short", &["SCRAM-SHA-256"]),
        ] {
            let of = |setting: &str| format!("listener.name.{listener}.{setting}");
            config.push((of("sasl.enabled.mechanisms"), mechanisms.join(",")));
            for mechanism in mechanisms {
                let module = match *mechanism {
                    "PLAIN" => format!("{security}.plain.PlainLoginModule required user_{PLAIN_USER}=\"{PASSWORD}\";"),
                    _ => format!("{security}.scram.ScramLoginModule required;"),
                };
                config.push((of(&format!("{}.sasl.jaas.config", mechanism.to_lowercase())), module));
            }
        }
        let user = |mechanism| {
            ["--add-scram".to_owned(), format!("{mechanism}=[name=\"{USER}\",iterations=8192,password=\"{PASSWORD}\"]")]
        };
        let format = ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(user).concat();
        let options = Options { config, listeners: LISTENERS.to_vec(), format, ..Options::default() };
        let broker = Broker::start(Release::find(release).unwrap(), &options).unwrap();
        Self { broker, certificates }
    }

    pub(crate) fn in_the_clear(&self) -> String {
        self.broker.address().to_string()
    }

    pub(crate) fn address(&self, listener: &str) -> String {
        self.broker.listener(listener).unwrap().to_string()
    }

    pub(crate) fn port(&self, listener: &str) -> u16 {
        self.broker.listener(listener).unwrap().port()
    }

    pub(crate) fn over_tls(&self) -> Vec<(&str, &str)> {
        vec![("security.protocol", "ssl"), ("ssl.ca.pem", &self.certificates.ca)]
    }

    pub(crate) fn with_client_certificate(&self) -> Vec<(&str, &str)> {
        let Identity { certificate, key } = &self.certificates.client;
        [self.over_tls(), vec![("ssl.certificate.pem", certificate), ("ssl.key.pem", key)]].concat()
    }

    /// Returns a unique topic name. The broker creates the topic at the first request.
    #[expect(clippy::unused_self, reason = "a topic of this broker")]
    pub(crate) fn topic(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("security-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the values in partition 0.
    pub(crate) fn read(&self, topic: &str) -> Vec<String> {
        let servers = self.in_the_clear();
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", servers).set("group.id", "tests").create().unwrap();
        let (low, high) = consumer.fetch_watermarks(topic, 0, PATIENCE).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let began = Instant::now();
        let mut values = Vec::new();
        while (values.len() as i64) < high - low {
            assert!(began.elapsed() < PATIENCE, "{} of {low}..{high} could be read", values.len());
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                values.push(String::from_utf8(message.unwrap().payload().unwrap().to_vec()).unwrap());
            }
        }
        values
    }
}
