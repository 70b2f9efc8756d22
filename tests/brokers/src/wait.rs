//! Detects when a broker is ready, by requests to it.
//!
//! Two requests of the Kafka protocol are sent: ApiVersions, to check that it responds, and Metadata, to check that it
//! lists itself among the brokers of the cluster. A broker does so once the controller assigns partitions to it, so
//! topics can be created then. The response also has the cluster id, which shows that it is this broker and not another
//! process that has taken its port.
//!
//! Brokers with ZooKeeper may be too old for ApiVersions, and generate the cluster id themselves. They are sent
//! Metadata v0, which all of them support, and identified by the broker id.

use crate::guarded::Guarded;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitStatus,
    time::{Duration, Instant},
};

/// The interval between two requests.
const PAUSE: Duration = Duration::from_millis(50);

/// The timeout of one step of a request.
const STEP_LIMIT: Duration = Duration::from_secs(2);

/// Far more than a response to these requests contains.
const LONGEST_ANSWER: usize = 1 << 20;

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const CREATE_TOPICS: i16 = 19;

/// Why a broker is not ready.
#[derive(Debug)]
pub(crate) enum NotReady {
    /// Its process has ended.
    Ended(ExitStatus),
    /// The time limit is exceeded; this is the result of the last request.
    TimedOut(String),
    /// The process cannot be watched.
    Failed(io::Error),
}

/// How a broker is distinguished from others.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// With KRaft: the id of the cluster, of which it is the only broker.
    Cluster(String),
    /// With KRaft, one of several: the id of its cluster, and the broker id.
    Member { cluster_id: String, node_id: i32 },
    /// With ZooKeeper: the broker id.
    Broker(u16),
}

impl Identity {
    /// Returns the id of the cluster, unless the broker generates it.
    pub(crate) fn cluster_id(&self) -> Option<&str> {
        match self {
            Identity::Cluster(cluster_id) | Identity::Member { cluster_id, .. } => Some(cluster_id),
            Identity::Broker(_) => None,
        }
    }
}

/// Repeats the requests until the broker is ready.
pub(crate) fn until_ready(
    process: &mut Guarded,
    address: SocketAddr,
    identity: &Identity,
    limit: Duration,
) -> Result<(), NotReady> {
    let begin = Instant::now();
    loop {
        let last = match ask(address, identity) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if begin.elapsed() >= limit {
            return Err(NotReady::TimedOut(last.to_string()));
        }
        if let Some(status) = process.wait(PAUSE).map_err(NotReady::Failed)? {
            return Err(NotReady::Ended(status));
        }
    }
}

/// Sends the requests once; an error says what is missing.
fn ask(address: SocketAddr, identity: &Identity) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, STEP_LIMIT)?;
    stream.set_read_timeout(Some(STEP_LIMIT))?;
    stream.set_write_timeout(Some(STEP_LIMIT))?;
    // An empty list of topics requests none; in version 0 all, of which there are none yet.
    const NO_TOPICS: &[u8] = &[0; 4];
    match identity {
        Identity::Cluster(id) => {
            check_api_versions(&exchange(&mut stream, API_VERSIONS, 0, &[])?)?;
            check_metadata(&exchange(&mut stream, METADATA, 2, NO_TOPICS)?, id, None)
        }
        Identity::Member { cluster_id, node_id } => {
            check_api_versions(&exchange(&mut stream, API_VERSIONS, 0, &[])?)?;
            check_metadata(&exchange(&mut stream, METADATA, 2, NO_TOPICS)?, cluster_id, Some(*node_id))
        }
        Identity::Broker(id) => check_brokers(&exchange(&mut stream, METADATA, 0, NO_TOPICS)?, *id, address.port()),
    }
}

/// Sends a request and returns the body of its response.
fn exchange(stream: &mut TcpStream, api_key: i16, api_version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    const CORRELATION_ID: i32 = 7;
    let mut request = Vec::new();
    request.extend(api_key.to_be_bytes());
    request.extend(api_version.to_be_bytes());
    request.extend(CORRELATION_ID.to_be_bytes());
    // No client id.
    request.extend((-1_i16).to_be_bytes());
    request.extend(body);
    let length = i32::try_from(request.len()).map_err(|_| invalid_data("a request too long"))?;
    stream.write_all(&[&length.to_be_bytes(), &request[..]].concat())?;

    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length))
        .ok()
        .filter(|length| (4..=LONGEST_ANSWER).contains(length))
        .ok_or_else(|| invalid_data("an answer of no possible length"))?;
    let mut response = vec![0; length];
    stream.read_exact(&mut response)?;
    let body = response.split_off(4);
    if response != CORRELATION_ID.to_be_bytes() {
        return Err(invalid_data("an answer to another request"));
    }
    Ok(body)
}

/// Checks an ApiVersions v0 response: no error, and topics can be created.
fn check_api_versions(body: &[u8]) -> io::Result<()> {
    let mut fields = Fields(body);
    if fields.i16()? != 0 {
        return Err(invalid_data("ApiVersions was answered with an error"));
    }
    for _ in 0..fields.i32()? {
        let (key, _min, _max) = (fields.i16()?, fields.i16()?, fields.i16()?);
        if key == CREATE_TOPICS {
            return Ok(());
        }
    }
    Err(invalid_data("it does not offer CreateTopics"))
}

/// Checks a Metadata v2 response: the right cluster, this node in it or at least one broker, and a controller.
fn check_metadata(body: &[u8], cluster_id: &str, wanted: Option<i32>) -> io::Result<()> {
    let mut fields = Fields(body);
    let brokers = fields.i32()?;
    let mut is_there = wanted.is_none();
    for _ in 0..brokers {
        is_there |= wanted == Some(fields.i32()?);
        let _host = fields.string()?;
        let _port = fields.i32()?;
        let _rack = fields.string()?;
    }
    if fields.string()? != cluster_id.as_bytes() {
        return Err(invalid_data("another cluster answers at this address"));
    }
    if brokers < 1 {
        return Err(invalid_data("the cluster has no broker yet"));
    }
    if !is_there {
        return Err(invalid_data("it does not count itself among the brokers yet"));
    }
    if fields.i32()? < 0 {
        return Err(invalid_data("the cluster has no controller yet"));
    }
    Ok(())
}

/// Checks a Metadata v0 response: this broker is in the cluster, at this port.
fn check_brokers(body: &[u8], id: u16, port: u16) -> io::Result<()> {
    let mut fields = Fields(body);
    for _ in 0..fields.i32()? {
        let node_id = fields.i32()?;
        let _host = fields.string()?;
        if (node_id, fields.i32()?) == (id.into(), port.into()) {
            return Ok(());
        }
    }
    Err(invalid_data("it does not count itself among the brokers yet"))
}

fn invalid_data(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads the fields of a response one by one.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or_else(|| invalid_data("an answer that ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn i16(&mut self) -> io::Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> io::Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// Reads a string that may be null, which has a negative length.
    fn string(&mut self) -> io::Result<&'a [u8]> {
        let length = self.i16()?;
        self.take(usize::try_from(length).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No error; Produce 0 to 11 and CreateTopics 2 to 7.
    const VERSIONS: &[u8] = &[0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 11, 0, 19, 0, 2, 0, 7];

    /// Broker 1 at `h:9`, without a rack; cluster `id`; controller 1; no topics.
    const CLUSTER: &[u8] = b"\0\0\0\x01\0\0\0\x01\0\x01h\0\0\0\x09\xff\xff\0\x02id\0\0\0\x01\0\0\0\0";

    #[test]
    fn a_broker_that_can_create_topics_is_ready() {
        check_api_versions(VERSIONS).unwrap();
        check_metadata(CLUSTER, "id", None).unwrap();
    }

    #[test]
    fn an_error_or_a_missing_request_is_not_ready() {
        assert!(check_api_versions(&[0, 35, 0, 0, 0, 0]).is_err());
        let mut without = VERSIONS.to_vec();
        without[13] = 20;
        let error = check_api_versions(&without).unwrap_err();
        assert_eq!(error.to_string(), "it does not offer CreateTopics");
    }

    #[test]
    fn a_cluster_without_broker_or_controller_is_not_ready() {
        let error = check_metadata(&[0; 14], "", None).unwrap_err();
        assert_eq!(error.to_string(), "the cluster has no broker yet");
        let mut without = CLUSTER.to_vec();
        without[21..25].fill(255);
        let error = check_metadata(&without, "id", None).unwrap_err();
        assert_eq!(error.to_string(), "the cluster has no controller yet");
    }

    #[test]
    fn a_member_has_to_list_itself() {
        check_metadata(CLUSTER, "id", Some(1)).unwrap();
        let error = check_metadata(CLUSTER, "id", Some(2)).unwrap_err();
        assert_eq!(error.to_string(), "it does not count itself among the brokers yet");
    }

    #[test]
    fn a_broker_of_another_cluster_at_the_address_is_not_ready() {
        let error = check_metadata(CLUSTER, "other", None).unwrap_err();
        assert_eq!(error.to_string(), "another cluster answers at this address");
    }

    #[test]
    fn an_old_broker_is_identified_by_its_id_and_port() {
        let body = b"\0\0\0\x01\0\0\0\x07\0\x01h\0\0\0\x09\0\0\0\0";
        check_brokers(body, 7, 9).unwrap();
        assert!(check_brokers(body, 8, 9).is_err() && check_brokers(body, 7, 8).is_err());
        let error = check_brokers(&[0; 8], 7, 9).unwrap_err();
        assert_eq!(error.to_string(), "it does not count itself among the brokers yet");
        for length in 0..body.len() - 4 {
            assert!(check_brokers(&body[..length], 7, 9).is_err(), "{length}");
        }
    }

    #[test]
    fn a_truncated_response_is_an_error() {
        for length in 0..VERSIONS.len() {
            assert!(check_api_versions(&VERSIONS[..length]).is_err(), "{length}");
        }
        // The topics at the end are ignored.
        for length in 0..CLUSTER.len() - 4 {
            assert!(check_metadata(&CLUSTER[..length], "id", None).is_err(), "{length}");
        }
    }
}
