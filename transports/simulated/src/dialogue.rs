//! The dialogue of a run: what producers asked, what brokers did and answered, faults, and notes, with their times.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use kafka_batch_core::TopicPartition;
use kafka_batch_core::protocol::ErrorCode;
use kafka_batch_testing::ApiKey;
use kafka_batch_testing::simulated::{Cluster, TopicRef};
use kafka_batch_testing::wire::init_producer_id::InitProducerIdResponse;
use kafka_batch_testing::wire::metadata::{MetadataRequest, MetadataResponse};
use kafka_batch_testing::wire::produce::{ProduceRequest, ProduceResponse};
use kafka_batch_testing::wire::{self, Frames, Malformed, Request, response_header_len};

/// The maximum number of lines. Runs of a few simulated hours may have millions.
const MOST_LINES: usize = 20_000;

/// The lines of a run, if they are kept.
#[derive(Default)]
pub(crate) struct Dialogue {
    lines: Option<Vec<String>>,
    connections: BTreeMap<u64, Connection>,
}

/// A connection, whose messages are decoded.
#[derive(Default)]
struct Connection {
    broker: i32,
    requests: Frames,
    responses: Frames,
    /// Requests without a response: correlation id, API, version.
    outstanding: VecDeque<(i32, ApiKey, i16)>,
}

/// The ends of logs, by topic and partition.
pub(crate) type LogEnds = BTreeMap<(String, i32), usize>;

impl Dialogue {
    /// Returns a dialogue that keeps its lines, or one that does nothing.
    pub(crate) fn new(is_kept: bool) -> Self {
        Self { lines: is_kept.then(Vec::new), connections: BTreeMap::new() }
    }

    /// Returns the lines.
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }

    pub(crate) fn say(&mut self, now: Duration, line: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        if lines.len() < MOST_LINES {
            lines.push(format!("{:>12.6}  {}", now.as_secs_f64(), line()));
        } else if lines.len() == MOST_LINES {
            lines.push(format!("… more than {MOST_LINES} lines"));
        }
    }

    /// A producer sends bytes.
    pub(crate) fn sent(&mut self, now: Duration, number: u64, broker: i32, bytes: &[u8], cluster: &Cluster) {
        if self.lines.is_none() {
            return;
        }
        let connection = self.connections.entry(number).or_default();
        connection.broker = broker;
        connection.requests.push(bytes);
        let mut lines = Vec::new();
        while let Some(frame) = connection.requests.next_frame() {
            match wire::open(frame) {
                Ok(request) => {
                    let what = describe_request(&request, cluster).unwrap_or_default();
                    lines.push(format!("[{number}] producer → broker {broker}: {:?}{what}", request.api));
                    connection.outstanding.push_back((request.correlation, request.api, request.version));
                }
                Err(error) => lines.push(format!("[{number}] producer → broker {broker}: {error}")),
            }
        }
        lines.into_iter().for_each(|line| self.say(now, || line));
    }

    /// A producer receives bytes.
    pub(crate) fn received(&mut self, now: Duration, number: u64, bytes: &[u8], is_garbage: bool, cluster: &Cluster) {
        if self.lines.is_none() {
            return;
        }
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let broker = connection.broker;
        let mut lines = Vec::new();
        if is_garbage {
            lines.push(format!("[{number}] broker {broker} → producer: {} bytes of garbage", bytes.len()));
        } else {
            connection.responses.push(bytes);
        }
        while let Some(frame) = connection.responses.next_frame() {
            let correlation = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
            let at = connection.outstanding.iter().position(|(other, ..)| Some(*other) == correlation);
            let Some((_, api, version)) = at.and_then(|at| connection.outstanding.remove(at)) else { continue };
            let body = frame.slice(response_header_len(api, version).min(frame.len())..);
            let what = describe_response(api, version, body, cluster).unwrap_or_default();
            lines.push(format!("[{number}] broker {broker} → producer: {api:?}{what}"));
        }
        lines.into_iter().for_each(|line| self.say(now, || line));
    }

    /// A producer has closed a connection.
    pub(crate) fn closed(&mut self, number: u64) {
        self.connections.remove(&number);
    }

    /// Returns the number of batches in each log, for [`stored`](Self::stored).
    pub(crate) fn log_ends(&self, cluster: &Cluster) -> LogEnds {
        let count = |(topic, partition): (String, i32)| {
            let batches = cluster.partition(&topic, partition).map_or(0, |found| found.log.stored().len());
            ((topic, partition), batches)
        };
        if self.lines.is_none() { LogEnds::new() } else { cluster.all_partitions().into_iter().map(count).collect() }
    }

    /// Reports what was stored or lost since `before`.
    pub(crate) fn stored(&mut self, now: Duration, before: &LogEnds, cluster: &Cluster) {
        if self.lines.is_none() {
            return;
        }
        for (to, batches) in self.log_ends(cluster) {
            let before = before.get(&to).copied().unwrap_or(0);
            let (topic, partition) = &to;
            let Some(found) = cluster.partition(topic, *partition) else { continue };
            let place = TopicPartition::new(topic, *partition);
            let leader = found.leader.map_or_else(|| "no broker".to_owned(), |leader| format!("broker {leader}"));
            for stored in found.log.stored().get(before..batches).unwrap_or_default() {
                let (count, offset) = (stored.info.records, stored.base_offset);
                self.say(now, || format!("{leader} stores {} in {place} at offset {offset}", records(count)));
            }
        }
    }
}

fn records(count: u32) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}

/// Returns the name of a topic that is named in a message by its name or id, in one line.
fn topic_name(name: String, id: [u8; 16], cluster: &Cluster) -> String {
    let name = if name.is_empty() { cluster.name_ever(&TopicRef::Id(id)) } else { Some(name) };
    name.map_or_else(|| "a removed topic".into(), |name| name.escape_debug().to_string())
}

fn describe_request(request: &Request, cluster: &Cluster) -> Result<String, Malformed> {
    let mut line = String::new();
    match request.api {
        ApiKey::Produce => {
            let body: ProduceRequest = wire::body(request)?;
            for topic in body.topic_data {
                let name = topic_name(topic.name, topic.topic_id, cluster);
                for partition in topic.partition_data {
                    let size = partition.records.map_or(0, |records| records.len());
                    let _ = write!(line, ", {name}-{}: {size} bytes", partition.index);
                }
            }
        }
        ApiKey::Metadata => {
            let body: MetadataRequest = wire::body(request)?;
            for topic in body.topics.unwrap_or_default() {
                let _ = write!(line, ", {}", topic_name(topic.name.unwrap_or_default(), topic.topic_id, cluster));
            }
        }
        _ => {}
    }
    Ok(line)
}

fn describe_response(api: ApiKey, version: i16, body: Bytes, cluster: &Cluster) -> Result<String, Malformed> {
    let mut line = String::new();
    match api {
        ApiKey::Produce => {
            let body: ProduceResponse = wire::read(api, version, body)?;
            for topic in body.responses {
                let name = topic_name(topic.name, topic.topic_id, cluster);
                for partition in topic.partition_responses {
                    let index = partition.index;
                    let _ = match partition.error_code {
                        0 => write!(line, ", {name}-{index}: offset {}", partition.base_offset),
                        code => write!(line, ", {name}-{index}: {}", ErrorCode(code)),
                    };
                    let rejected: Vec<_> = partition.record_errors.iter().map(|error| error.batch_index).collect();
                    if !rejected.is_empty() {
                        let _ = write!(line, " because of the records at {rejected:?}");
                    }
                }
            }
            if body.throttle_time_ms > 0 {
                let _ = write!(line, ", throttled for {} ms", body.throttle_time_ms);
            }
        }
        ApiKey::Metadata => {
            let body: MetadataResponse = wire::read(api, version, body)?;
            for topic in body.topics {
                let name = topic_name(topic.name.unwrap_or_default(), topic.topic_id, cluster);
                if topic.error_code != 0 {
                    let _ = write!(line, ", {name}: {}", ErrorCode(topic.error_code));
                }
                for partition in topic.partitions {
                    let (index, leader) = (partition.partition_index, partition.leader_id);
                    let _ = match partition.error_code {
                        0 => write!(line, ", {name}-{index}: leader {leader}"),
                        code => write!(line, ", {name}-{index}: {}", ErrorCode(code)),
                    };
                }
            }
        }
        ApiKey::InitProducerId => {
            let body: InitProducerIdResponse = wire::read(api, version, body)?;
            let _ = match body.error_code {
                0 => write!(line, ", producer {} epoch {}", body.producer_id, body.producer_epoch),
                code => write!(line, ", {}", ErrorCode(code)),
            };
        }
        _ => {}
    }
    Ok(line)
}
