//! The broker: librdkafka's mock cluster in a process of its own, or one that somebody else has started.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;

/// The topic with so many partitions.
pub fn topic(partitions: i32) -> String {
    format!("bench-{partitions}")
}

/// A broker that goes when this does.
pub struct Broker {
    pub address: String,
    process: Option<Child>,
}

impl Broker {
    /// Starts the mock cluster.
    pub fn start(partitions: &[i32]) -> Result<Self, Box<dyn Error>> {
        let counts = partitions.iter().map(i32::to_string);
        let mut process = Command::new(std::env::current_exe()?)
            .arg("broker")
            .args(counts)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.as_mut().expect("piped")).read_line(&mut address)?;
        Ok(Self { address: address.trim().into(), process: Some(process) })
    }

    /// Makes the topics on a broker that is there.
    pub fn at(address: &str, partitions: &[i32]) -> Result<Self, Box<dyn Error>> {
        let mut config = ClientConfig::new();
        let admin: AdminClient<DefaultClientContext> = config.set("bootstrap.servers", address).create()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for &count in partitions {
            let name = topic(count);
            // As little on the disk as Kafka lets one have.
            let new = NewTopic::new(&name, count, TopicReplication::Fixed(1)).set("retention.bytes", "104857600");
            let new = new.set("segment.bytes", "104857600");
            let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
            for outcome in runtime.block_on(admin.create_topics([&new], &options))? {
                match outcome {
                    Ok(_) | Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((name, code)) => return Err(format!("{name}: {code}").into()),
                }
            }
        }
        Ok(Self { address: address.into(), process: None })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take()); // which is its sign to go
            let _ = process.wait();
        }
    }
}

/// The process that is the broker: until its standard input ends.
pub fn serve(partitions: &[String]) -> Result<(), Box<dyn Error>> {
    let cluster = MockCluster::new(1)?;
    for count in partitions {
        let count = count.parse()?;
        cluster.create_topic(&topic(count), count, 1)?;
    }
    println!("{}", cluster.bootstrap_servers());
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
