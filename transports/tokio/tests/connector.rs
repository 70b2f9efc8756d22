//! Producers whose connections are made by a [`Connector`].

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_batch_core::{Record, TopicPartition};
use kafka_batch_testing::TestCluster;
use kafka_batch_tokio::{Connector, TokioProducer, TokioStream};
use tokio::net::TcpStream;

/// Connects to one address, whichever broker is asked for, and records what was asked for.
struct Forwarded {
    to: SocketAddr,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Connector for Forwarded {
    type Stream = TokioStream<TcpStream>;

    async fn connect(&self, host: &str, port: u16) -> io::Result<Self::Stream> {
        self.asked.lock().unwrap().push((host.to_owned(), port));
        Ok(TokioStream::new(TcpStream::connect(self.to).await?))
    }
}

#[tokio::test]
async fn all_connections_are_made_by_the_connector_with_names_that_only_it_can_resolve() {
    let cluster = TestCluster::start();
    let to = cluster.address(1).unwrap();
    let asked = Arc::default();
    let builder = TokioProducer::builder().set("bootstrap.servers", "behind-the-proxy.invalid:1234");
    let builder = builder.connector(Forwarded { to, asked: Arc::clone(&asked) });
    let producer = builder.clone().build().unwrap();
    producer.send(("readings", 0), Record::new("21.5")).await.unwrap();
    producer.close().await.unwrap();
    // A copy of the builder has the connector, too.
    let producer = builder.build().unwrap();
    producer.send(("readings", 0), Record::new("21.7")).await.unwrap();
    producer.close().await.unwrap();

    assert_eq!(cluster.log("readings", 0).unwrap().values().unwrap(), ["21.5", "21.7"]);
    let each = [("behind-the-proxy.invalid".to_owned(), 1234), (to.ip().to_string(), to.port())];
    assert_eq!(*asked.lock().unwrap(), [&each[..], &each[..]].concat(), "first the server, then the broker itself");
}

struct Refusing;

impl Connector for Refusing {
    type Stream = TokioStream<TcpStream>;

    async fn connect(&self, host: &str, _: u16) -> io::Result<Self::Stream> {
        Err(io::Error::new(ErrorKind::HostUnreachable, format!("the proxy knows no {host}")))
    }
}

#[tokio::test]
async fn an_error_of_the_connector_is_the_reason_of_the_delivery() {
    let builder = TokioProducer::builder().set("bootstrap.servers", "nowhere:1").set("delivery.timeout.ms", "200");
    let builder = builder.set("request.timeout.ms", "100").set("linger.ms", "0").connector(Refusing);
    let producer = builder.build().unwrap();
    let mut batch = producer.batch();
    assert!(batch.append(Record::new("21.5")).unwrap().appended().is_some());
    let to = TopicPartition::new("readings", 0);
    let error = producer.send_batch(batch, to).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("nowhere:1: could not connect: the proxy knows no nowhere"), "{text}");
}

/// An attempt to connect is abandoned after `socket.connection.setup.timeout.ms`, although it never completes.
#[tokio::test(start_paused = true)]
async fn a_connector_needs_no_timeout_and_tokio_can_pause_the_time() {
    struct Stuck(Arc<Mutex<usize>>);

    impl Connector for Stuck {
        type Stream = TokioStream<TcpStream>;

        async fn connect(&self, _: &str, _: u16) -> io::Result<Self::Stream> {
            *self.0.lock().unwrap() += 1;
            std::future::pending().await
        }
    }

    let attempts = Arc::default();
    let builder =
        TokioProducer::builder().set("bootstrap.servers", "nowhere:1").connector(Stuck(Arc::clone(&attempts)));
    let started = (std::time::Instant::now(), tokio::time::Instant::now());
    let error = builder.build().unwrap().partition_count("readings").await.unwrap_err();
    assert!(
        error.to_string().contains("could not connect within socket.connection.setup.timeout.ms (10000)"),
        "{error}"
    );
    let (real, simulated) = (started.0.elapsed(), started.1.elapsed());
    assert!(*attempts.lock().unwrap() > 1 && simulated >= Duration::from_secs(10), "{attempts:?} in {simulated:?}");
    assert!(real < simulated / 2, "{simulated:?} of simulated time took {real:?}");
}
