//! What the examples of runtimes have in common: arguments, the brokers, the batches to publish, and the comparison with the log.

pub mod producer;

use std::process::ExitCode;
use std::time::SystemTime;
use std::{fmt, iter, mem};

use kafka_batch::{BatchOptions, Delivery, KafkaBatch, Record, SealedBatch, TopicPartition};
#[doc(hidden)]
pub use kafka_batch_testing;
use kafka_batch_testing::{PartitionLog, TestCluster, Topic};

/// Prints a summary, or an error to standard error, and returns the exit code of the program.
pub fn report(result: Result<impl fmt::Display, impl fmt::Display>) -> ExitCode {
    match result {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A batch and where it goes, or why it could not be made.
pub type PlannedBatch = Result<(KafkaBatch, TopicPartition), String>;

/// What a program publishes, and where.
#[derive(Debug)]
pub struct Plan {
    /// The addresses of the brokers, in the format of `bootstrap.servers`.
    pub brokers: String,
    topic: String,
    partitions: u32,
    records: u32,
    batch_size: usize,
    cluster: Option<TestCluster>,
}

const USAGE: &str =
    "usage: [--brokers HOST:PORT,...] [--topic NAME] [--partitions COUNT] [--records COUNT] [--batch-size BYTES]
  --brokers     a Kafka cluster to use instead of the one inside this program; the topic must exist
  --topic       default: readings
  --partitions  how many partitions of the topic to use; default: 3
  --records     how many records to publish; default: 10000
  --batch-size  the maximum size of a batch in bytes; default: 16384";

impl Plan {
    /// Reads the arguments of this program, and starts a cluster inside it unless there is `--brokers`.
    ///
    /// # Errors
    /// Returns the text to print.
    pub fn from_args() -> Result<Self, String> {
        Self::parse(std::env::args().skip(1))
    }

    /// As [`from_args`](Self::from_args), with these arguments.
    ///
    /// # Errors
    /// Returns the text to print.
    pub fn parse(arguments: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, String> {
        let mut plan = Self {
            brokers: String::new(),
            topic: "readings".into(),
            partitions: 3,
            records: 10_000,
            batch_size: 16_384,
            cluster: None,
        };
        let mut arguments = arguments.into_iter().map(Into::into);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            let wrong = |error: &dyn fmt::Display| format!("{name} {value}: {error}\n{USAGE}");
            match &*name {
                "--brokers" => plan.brokers.clone_from(&value),
                "--topic" => plan.topic.clone_from(&value),
                "--partitions" => plan.partitions = value.parse().map_err(|error| wrong(&error))?,
                "--records" => plan.records = value.parse().map_err(|error| wrong(&error))?,
                "--batch-size" => plan.batch_size = value.parse().map_err(|error| wrong(&error))?,
                _ => return Err(wrong(&"there is no such argument")),
            }
        }
        if plan.partitions == 0 {
            return Err(format!("--partitions must not be 0\n{USAGE}"));
        }
        if plan.brokers.is_empty() {
            let topic = Topic::new(&plan.topic).partitions(plan.partitions as usize);
            let cluster = TestCluster::builder().brokers(3).topic(topic).start().map_err(|error| error.to_string())?;
            plan.brokers = cluster.bootstrap_servers();
            plan.cluster = Some(cluster);
        }
        Ok(plan)
    }

    /// Returns the brokers as [`MachineConfig`](kafka_batch::machine::MachineConfig) takes them.
    ///
    /// # Errors
    /// An address is not `HOST:PORT`.
    pub fn bootstrap_servers(&self) -> Result<Vec<(String, u16)>, String> {
        let address = |text: &str| {
            let (host, port) = text.rsplit_once(':')?;
            Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
        };
        self.brokers
            .split(',')
            .map(|text| address(text).ok_or_else(|| format!("--brokers {text}: write HOST:PORT")))
            .collect()
    }

    /// Returns the cluster inside this program, if there is one.
    #[must_use]
    pub const fn cluster(&self) -> Option<&TestCluster> {
        self.cluster.as_ref()
    }

    /// Returns the topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the value of a record.
    #[must_use]
    pub fn value(record: u32) -> String {
        format!("reading {record}: {}.{} °C", record % 40, record % 10)
    }

    /// Returns the batches to publish, which go to the partitions in turn.
    ///
    /// # Errors
    /// The batch size is out of range.
    pub fn batches(&self) -> Result<impl Iterator<Item = PlannedBatch> + use<>, String> {
        let options = BatchOptions::default().batch_size(self.batch_size);
        let mut batch = options.build(SystemTime::now()).map_err(|error| error.to_string())?;
        let mut records = (0..self.records).map(|number| Record::new(Self::value(number))).peekable();
        let (topic, mut partitions) = (self.topic.clone(), (0..self.partitions as i32).cycle());
        Ok(iter::from_fn(move || {
            records.peek()?;
            batch.set_now(SystemTime::now());
            if let Err(error) = batch.fill_from(&mut records) {
                return Some(Err(error.to_string()));
            }
            let next = batch.next_batch();
            let to = TopicPartition::new(&topic, partitions.next().unwrap_or(0));
            Some(Ok((mem::replace(&mut batch, next), to)))
        }))
    }

    /// Returns the same batches, sealed.
    ///
    /// # Errors
    /// The batch size is out of range.
    pub fn sealed_batches(
        &self,
    ) -> Result<impl Iterator<Item = Result<(SealedBatch, TopicPartition), String>> + use<>, String> {
        Ok(self.batches()?.map(|batch| {
            let (batch, to) = batch?;
            Ok((batch.seal().map_err(|error| error.to_string())?, to))
        }))
    }

    /// Compares the deliveries with what was published, and, if the cluster is inside this program, the records in its logs.
    /// Returns a summary.
    ///
    /// # Errors
    /// Returns the first difference.
    pub fn verify(&self, deliveries: &Deliveries) -> Result<String, String> {
        if let Some(to) = &deliveries.without_offset {
            return Err(format!("a delivery to {to} has no offset"));
        }
        let Some(cluster) = &self.cluster else {
            return Ok(format!("{} (the log is not read)", self.verify_deliveries(deliveries)?));
        };
        if let Some(violation) = cluster.violations().first() {
            return Err(format!("the brokers do not accept it: {violation}"));
        }
        self.verify_logs(deliveries, |partition| cluster.log(&self.topic, partition))
    }

    fn verify_deliveries(&self, deliveries: &Deliveries) -> Result<String, String> {
        if deliveries.records != self.records as usize {
            return Err(format!("{} records were delivered, of {}", deliveries.records, self.records));
        }
        Ok(format!("{} records in {} batches delivered", self.records, deliveries.batches))
    }

    /// Compares the deliveries with what was published, and with the records in these logs: each is there once, and those of a
    /// partition are in order. Returns a summary.
    ///
    /// # Errors
    /// Returns the first difference.
    pub fn verify_logs(
        &self,
        deliveries: &Deliveries,
        log: impl Fn(i32) -> Option<PartitionLog>,
    ) -> Result<String, String> {
        let delivered = self.verify_deliveries(deliveries)?;
        let mut is_stored = vec![false; self.records as usize];
        for partition in 0..self.partitions as i32 {
            let log = log(partition).ok_or_else(|| format!("there is no partition {partition}"))?;
            let mut last = None;
            for value in log.values().map_err(|error| error.to_string())? {
                let number: Option<u32> =
                    value.strip_prefix("reading ").and_then(|rest| rest.split(':').next()?.parse().ok());
                let number = number.filter(|&number| number < self.records && value == Self::value(number));
                let number = number.ok_or_else(|| format!("partition {partition} has {value:?}"))?;
                if mem::replace(&mut is_stored[number as usize], true) || last > Some(number) {
                    return Err(format!("partition {partition} has {value:?} twice, or after a later one"));
                }
                last = Some(number);
            }
        }
        match is_stored.iter().position(|stored| !stored) {
            Some(missing) => Err(format!("{:?} is in no log", Self::value(missing as u32))),
            None => Ok(format!("{delivered}, each record once in the log, in order")),
        }
    }
}

/// Compares the log of partition 0 with what programs in other languages publish: `reading 0`, `reading 1`, …
///
/// # Errors
/// Returns the first difference.
pub fn compare_readings(cluster: &TestCluster, topic: &str, records: usize) -> Result<String, String> {
    if let Some(violation) = cluster.violations().first() {
        return Err(format!("the brokers do not accept it: {violation}"));
    }
    let log = cluster.log(topic, 0).ok_or("there is no log")?;
    let stored = log.values().map_err(|error| error.to_string())?;
    let expected = |number: usize| format!("reading {number}");
    if let Some((at, found)) = stored.iter().enumerate().find(|(at, found)| **found != expected(*at)) {
        return Err(format!("at offset {at} there is {found:?}"));
    }
    if stored.len() != records {
        return Err(format!("the log has {} records, and {records} were published", stored.len()));
    }
    Ok(format!("{records} records published, each once in the log, in order"))
}

/// The deliveries of a program, added up.
#[derive(Debug, Default)]
pub struct Deliveries {
    batches: usize,
    records: usize,
    without_offset: Option<TopicPartition>,
}

impl Deliveries {
    /// Adds a delivery.
    pub fn add(&mut self, delivery: &Delivery) {
        self.batches += 1;
        self.records += delivery.record_count();
        if delivery.base_offset().is_none() {
            self.without_offset = Some(delivery.topic_partition().clone());
        }
    }

    /// Adds those of another thread.
    pub fn merge(&mut self, other: Self) {
        self.batches += other.batches;
        self.records += other.records;
        self.without_offset = self.without_offset.take().or(other.without_offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_in_the_log_is_noticed() {
        let plan = Plan::parse(["--records", "3"]).unwrap();
        assert_eq!(plan.verify(&Deliveries::default()).unwrap_err(), "0 records were delivered, of 3");
        let plan = Plan::parse(["--records", "0"]).unwrap();
        assert_eq!(
            plan.verify(&Deliveries::default()).unwrap(),
            "0 records in 0 batches delivered, each record once in the log, in order"
        );
        assert_eq!(plan.batches().unwrap().count(), 0);
    }

    #[test]
    fn arguments_are_checked() {
        for wrong in [&["--records"][..], &["--records", "x"], &["--partitions", "0"], &["--brokres", "a:1"]] {
            let error = Plan::parse(wrong.iter().copied()).unwrap_err();
            assert!(error.contains("usage:"), "{error}");
        }
        let plan = Plan::parse(["--brokers", "a:1,[::1]:2"]).unwrap();
        assert_eq!(plan.bootstrap_servers(), Ok(vec![("a".into(), 1), ("::1".into(), 2)]));
        assert!(Plan::parse(["--brokers", "a"]).unwrap().bootstrap_servers().is_err());
    }

    #[test]
    fn batches_have_all_records_and_go_to_the_partitions_in_turn() {
        let plan = Plan::parse(["--records", "5000", "--partitions", "2", "--brokers", "a:1"]).unwrap();
        let batches: Vec<_> = plan.batches().unwrap().map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(|(batch, _)| batch.record_count()).sum::<usize>(), 5_000);
        assert!(batches.len() > 4 && batches.iter().enumerate().all(|(at, (_, to))| to.partition == at as i32 % 2));
    }
}
