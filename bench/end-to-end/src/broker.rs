//! The broker: librdkafka's mock cluster in a process of its own, a real Kafka that is started here, or one that somebody
//! else has started.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kafka_batch_bench_shared::process::{Side, pin};
use kafka_batch_brokers::{Options, Release};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, types::RDKafkaErrorCode};
use tokio::runtime::Runtime;

/// Which broker to measure against.
#[derive(Clone, Debug)]
pub enum Against {
    /// librdkafka's mock cluster.
    Mock,
    /// The newest release of Apache Kafka whose version begins so.
    Kafka(String),
    /// Whatever listens there.
    Address(String),
}

/// A broker that is there.
pub struct Broker {
    pub address: String,
    /// For people to read.
    pub name: String,
    kind: Kind,
    observer: BaseProducer,
}

enum Kind {
    Mock(Child),
    Real { admin: AdminClient<DefaultClientContext>, runtime: Runtime, _started: Option<kafka_batch_brokers::Broker> },
}

/// A topic, and how many records were in it at first.
pub struct Topic {
    pub name: String,
    partitions: i32,
    before: i64,
}

/// How long anything may take that is asked of the broker beside the measurements.
const LIMIT: Duration = Duration::from_secs(30);

impl Broker {
    pub fn start(against: &Against, partitions: &[i32]) -> Result<Self, Box<dyn Error>> {
        match against {
            Against::Mock => {
                let (process, address) = start_mock(partitions)?;
                Self::new(address, "librdkafka's mock cluster".into(), |_| Ok(Kind::Mock(process)))
            }
            Against::Kafka(version) => {
                let broker = start_kafka(version)?;
                let name = format!("Apache Kafka {}", broker.release().version);
                Self::new(broker.address().to_string(), name, |address| real(address, Some(broker)))
            }
            Against::Address(address) => {
                Self::new(address.clone(), format!("the broker at {address}"), |address| real(address, None))
            }
        }
    }

    fn new(
        address: String,
        name: String,
        kind: impl FnOnce(&str) -> Result<Kind, Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let kind = kind(&address)?;
        let observer = ClientConfig::new().set("bootstrap.servers", &address).create()?;
        Ok(Self { address, name, kind, observer })
    }

    /// Whether it is librdkafka's mock cluster.
    pub const fn is_mock(&self) -> bool {
        matches!(self.kind, Kind::Mock(_))
    }

    /// A topic with this many partitions, the leaders of which take batches. With a real broker it is a new one each time, so
    /// that what was written can go when it was counted; the mock cluster has one of each, and forgets by itself.
    pub fn topic(&self, partitions: i32, number: usize) -> Result<Topic, Box<dyn Error>> {
        let name = match &self.kind {
            Kind::Mock(_) => mock_topic(partitions),
            Kind::Real { admin, runtime, .. } => {
                let name = format!("bench-{}-{number}-{partitions}", std::process::id());
                // Should a run be long: no more on the disk than this of each partition, and another segment's worth.
                let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
                let new = new.set("retention.bytes", "536870912").set("segment.bytes", "268435456");
                let new = new.set("file.delete.delay.ms", "0");
                let made = runtime.block_on(admin.create_topics([&new], &admin_options()))?;
                made.into_iter().try_for_each(|made| made.map(drop).map_err(|(_, code)| code))?;
                name
            }
        };
        for partition in 0..partitions {
            self.observer
                .send(BaseRecord::<(), [u8]>::to(&name).payload(b"is somebody there?").partition(partition))
                .map_err(|(error, _)| error)?;
        }
        self.observer.flush(LIMIT)?;
        let before = self.count(&name, partitions)?;
        Ok(Topic { name, partitions, before })
    }

    /// How many records are in the log of a topic.
    fn count(&self, topic: &str, partitions: i32) -> Result<i64, Box<dyn Error>> {
        let end = |partition| Ok(self.observer.client().fetch_watermarks(topic, partition, LIMIT)?.1);
        (0..partitions).map(end).sum()
    }

    /// Makes sure that the log has become longer by as many records as were reported. Those that nobody acknowledged may
    /// still be on their way.
    pub fn check(&self, topic: &Topic, records: u64) -> Result<(), Box<dyn Error>> {
        let until = Instant::now() + LIMIT;
        loop {
            let written = self.count(&topic.name, topic.partitions)? - topic.before;
            if u64::try_from(written).is_ok_and(|written| written == records) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(format!("{records} records were reported, and {written} are in the log").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Takes what was written off the disk.
    pub fn remove(&self, topic: &Topic) -> Result<(), Box<dyn Error>> {
        let Kind::Real { admin, runtime, .. } = &self.kind else { return Ok(()) };
        let gone = runtime.block_on(admin.delete_topics(&[&topic.name], &admin_options()))?;
        Ok(gone.into_iter().try_for_each(|gone| gone.map(drop).map_err(|(_, code): (_, RDKafkaErrorCode)| code))?)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Kind::Mock(process) = &mut self.kind {
            drop(process.stdin.take()); // which is its sign to go
            let _ = process.wait();
        }
    }
}

fn admin_options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(LIMIT)).request_timeout(Some(LIMIT))
}

fn real(address: &str, started: Option<kafka_batch_brokers::Broker>) -> Result<Kind, Box<dyn Error>> {
    let admin = ClientConfig::new().set("bootstrap.servers", address).create()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(Kind::Real { admin, runtime, _started: started })
}

/// Starts Kafka on the first core: a process runs where the thread that began it may run.
fn start_kafka(version: &str) -> Result<kafka_batch_brokers::Broker, Box<dyn Error>> {
    let release = Release::find(version)?;
    // Segments go when they are to go, and not minutes later.
    let config = [("log.retention.check.interval.ms", "1000"), ("log.segment.delete.delay.ms", "0")];
    let config = config.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let options = Options { config, heap_mib: 1024, ..Options::default() };
    let starter = std::thread::spawn(move || {
        pin(Side::Broker).map_err(|error| error.to_string())?;
        kafka_batch_brokers::Broker::start(release, &options).map_err(|error| error.to_string())
    });
    Ok(starter.join().map_err(|_| "starting the broker panicked")??)
}

fn start_mock(partitions: &[i32]) -> Result<(Child, String), Box<dyn Error>> {
    let mut process = Command::new(std::env::current_exe()?)
        .arg("broker")
        .args(partitions.iter().map(i32::to_string))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut address = String::new();
    BufReader::new(process.stdout.as_mut().expect("piped")).read_line(&mut address)?;
    Ok((process, address.trim().into()))
}

fn mock_topic(partitions: i32) -> String {
    format!("bench-{partitions}")
}

/// The process that is the mock cluster: until its standard input ends.
pub fn serve(partitions: &[String]) -> Result<(), Box<dyn Error>> {
    let cluster = MockCluster::new(1)?;
    for count in partitions {
        let count = count.parse()?;
        cluster.create_topic(&mock_topic(count), count, 1)?;
    }
    println!("{}", cluster.bootstrap_servers());
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
