//! Faults that a broker applies to requests.

use std::fmt;
use std::time::Duration;

use crate::api_key::ApiKey;
use crate::cluster_fault::Code;

/// A fault, and the requests to which it is applied: by default the next one of any API.
///
/// ```
/// use kafka_batch_testing::{ApiKey, Fault, FaultKind};
///
/// // The second Produce request of this client for `orders` and the two after it are executed, but their responses are lost.
/// let fault = Fault::new(FaultKind::DropResponse).api(ApiKey::Produce).client_id("shop").topic("orders").after(1).times(3);
/// ```
///
/// Its `Debug` text is Rust code that makes the same value.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) api: Option<ApiKey>,
    pub(crate) after: u32,
    pub(crate) times: u32,
    pub(crate) client_id: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
    pub(crate) transactional_id: Option<String>,
}

impl Fault {
    /// Creates a fault that is applied to the next request.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            api: None,
            after: 0,
            times: 1,
            client_id: None,
            topic: None,
            partition: None,
            transactional_id: None,
        }
    }

    /// Applies it only to requests of this API.
    #[must_use]
    pub const fn api(mut self, api: ApiKey) -> Self {
        self.api = Some(api);
        self
    }

    /// Applies it only to requests of the clients with this `client.id`.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Applies it only to requests that concern this topic.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Applies it only to requests that concern this partition of [`topic`](Self::topic).
    #[must_use]
    pub const fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Applies it only to requests with this transactional id. (FindCoordinator has it as a key, and is not one of them.)
    #[must_use]
    pub fn transactional_id(mut self, id: impl Into<String>) -> Self {
        self.transactional_id = Some(id.into());
        self
    }

    /// Lets this many of the requests pass before it is applied.
    #[must_use]
    pub const fn after(mut self, requests: u32) -> Self {
        self.after = requests;
        self
    }

    /// Applies it to this many requests instead of one.
    #[must_use]
    pub const fn times(mut self, requests: u32) -> Self {
        self.times = requests;
        self
    }

    /// Applies it to all requests from then on.
    #[must_use]
    pub const fn always(mut self) -> Self {
        self.times = u32::MAX;
        self
    }

    /// Returns what is done to the requests.
    #[must_use]
    pub const fn kind(&self) -> &FaultKind {
        &self.kind
    }

    /// Returns the API, if it is applied to one only.
    #[must_use]
    pub const fn only_api(&self) -> Option<ApiKey> {
        self.api
    }
}

/// What is done to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The request is not executed, and this error is returned: for its first partition or topic, or for all.
    Refuse {
        /// The error code.
        code: i16,
        /// Returned for all of them.
        all: bool,
    },
    /// The request is executed, and this error is returned nevertheless.
    ExecuteAndRefuse {
        /// The error code.
        code: i16,
    },
    /// These records of a Produce request's first batch are rejected: nothing of the batch is written, and their positions
    /// are returned (KIP-467).
    RejectRecords {
        /// The positions.
        positions: Vec<i32>,
    },
    /// The request is executed, and never responded to.
    DropResponse,
    /// The request is neither executed nor responded to.
    DropRequest,
    /// The request is executed after this time. `Duration::MAX`: when it is released.
    DelayRequest(Duration),
    /// The response is sent after this time. `Duration::MAX`: when it is released.
    DelayResponse(Duration),
    /// The response is sent twice.
    RespondTwice,
    /// The connection is closed instead of a response, before or after the request is executed.
    CloseConnection {
        /// True if the request is executed.
        executed: bool,
    },
    /// The request is executed; the connection is closed after this many bytes of its response.
    CutResponse {
        /// The number of bytes.
        bytes: usize,
    },
    /// Something else is sent in place of the response; the request is executed.
    Garbage(Garbage),
    /// The response says that a quota is exceeded by this many milliseconds.
    Throttle(i32),
    /// The response omits its first partition or topic.
    OmitFirst,
    /// InitProducerId returns something other than a new id with epoch 0.
    AssignedProducerId(AssignedProducerId),
    /// Metadata of an earlier time is returned.
    StaleMetadata,
    /// Wrong metadata is returned.
    FalseMetadata(FalseMetadata),
}

/// What is sent in place of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Garbage {
    /// A frame with the right correlation id and random bytes.
    Body,
    /// A valid response to a request that was not sent.
    Correlation,
    /// The response without its last bytes, in a frame of the right length.
    Short,
    /// The response and further bytes in the same frame.
    Long,
    /// A negative length.
    Negative,
    /// A length of two gigabytes.
    Huge,
    /// An empty frame.
    Empty,
}

/// What InitProducerId returns instead of a new id with epoch 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssignedProducerId {
    /// The producer id and epoch assigned last.
    Again,
    /// The producer id and epoch assigned first.
    First,
    /// The id assigned last, with a later epoch.
    LaterEpoch,
    /// A new id with the last epoch but one. The only one of these for a transactional id.
    LateEpoch,
    /// An invalid id, without an error code.
    Invalid,
}

/// How metadata is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FalseMetadata {
    /// Another broker leads each partition.
    WrongLeader,
    /// The leader is a broker that is not listed.
    UnlistedLeader,
    /// There are no brokers.
    NoBrokers,
    /// A partition is missing.
    FewerPartitions,
    /// There are no topics.
    NoTopics,
}

/// Rust code that makes the same value.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, api, after, times, client_id, topic, partition, transactional_id } = self;
        f.write_str("Fault::new(FaultKind::")?;
        match kind {
            FaultKind::RejectRecords { positions } => write!(f, "RejectRecords {{ positions: vec!{positions:?} }}")?,
            FaultKind::DelayRequest(time) => write!(f, "DelayRequest({:?})", Code(*time))?,
            FaultKind::DelayResponse(time) => write!(f, "DelayResponse({:?})", Code(*time))?,
            FaultKind::Garbage(garbage) => write!(f, "Garbage(Garbage::{garbage:?})")?,
            FaultKind::AssignedProducerId(identity) => {
                write!(f, "AssignedProducerId(AssignedProducerId::{identity:?})")?;
            }
            FaultKind::FalseMetadata(metadata) => write!(f, "FalseMetadata(FalseMetadata::{metadata:?})")?,
            kind => write!(f, "{kind:?}")?,
        }
        f.write_str(")")?;
        api.iter().try_for_each(|api| write!(f, ".api(ApiKey::{api:?})"))?;
        client_id.iter().try_for_each(|id| write!(f, ".client_id({id:?})"))?;
        topic.iter().try_for_each(|topic| write!(f, ".topic({topic:?})"))?;
        partition.iter().try_for_each(|partition| write!(f, ".partition({partition})"))?;
        transactional_id.iter().try_for_each(|id| write!(f, ".transactional_id({id:?})"))?;
        if *after > 0 {
            write!(f, ".after({after})")?;
        }
        match *times {
            1 => Ok(()),
            u32::MAX => f.write_str(".always()"),
            times => write!(f, ".times({times})"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.api {
            Some(api) => write!(f, "{api:?}: {:?}", self.kind),
            None => write!(f, "{:?}", self.kind),
        }
    }
}

impl FaultKind {
    /// Returns a few words for statistics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Refuse { .. } => "error code",
            Self::ExecuteAndRefuse { .. } => "executed, and error code",
            Self::RejectRecords { .. } => "rejected records",
            Self::DropResponse => "answer lost",
            Self::DropRequest => "request lost",
            Self::DelayRequest(_) => "request delayed",
            Self::DelayResponse(_) => "answer delayed",
            Self::RespondTwice => "answered twice",
            Self::CloseConnection { .. } => "broker closes the connection",
            Self::CutResponse { .. } => "broker closes the connection within the response",
            Self::Garbage(_) => "garbage",
            Self::Throttle(_) => "throttled",
            Self::OmitFirst => "partial answer",
            Self::AssignedProducerId(AssignedProducerId::Again | AssignedProducerId::First) => {
                "producer id assigned again"
            }
            Self::AssignedProducerId(_) => "unusual producer id",
            Self::StaleMetadata => "stale metadata",
            Self::FalseMetadata(_) => "lying metadata",
        }
    }
}
