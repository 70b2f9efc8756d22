//! What requests concern: for the record of requests, and for faults that are applied to some of them.

use super::{Broker, Fault};
use crate::Moment;
use crate::api_key::ApiKey;
use crate::cluster::{Cluster, TopicRef};
use crate::wire::fetch::FetchRequest;
use crate::wire::list_offsets::ListOffsetsRequest;
use crate::wire::metadata::MetadataRequest;
use crate::wire::produce::ProduceRequest;
use crate::wire::{self, Request};

/// A request that a broker received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// When it was received, since the start of the cluster.
    pub at: Moment,
    /// The broker.
    pub broker: i32,
    /// The number of the connection, unique in the cluster.
    pub connection: u64,
    /// The API.
    pub api: ApiKey,
    /// The version.
    pub version: i16,
    /// The client's name for itself.
    pub client_id: Option<String>,
    /// The topics that it concerns, in its order; empty if it cannot be read.
    pub topics: Vec<RequestedTopic>,
}

/// A topic of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestedTopic {
    /// The topic's name, or the id in hexadecimal if no topic has that id.
    pub topic: String,
    /// The partitions, in the order of the request; empty if it concerns the topic as a whole.
    pub partitions: Vec<i32>,
}

impl Broker {
    /// Describes a request.
    pub(super) fn received(
        &self,
        connection: u64,
        request: &Request,
        cluster: &Cluster,
        at: Moment,
    ) -> ReceivedRequest {
        ReceivedRequest {
            at,
            broker: self.id,
            connection,
            api: request.api,
            version: request.version,
            client_id: request.client_id.clone(),
            topics: topics(request, cluster),
        }
    }
}

impl Fault {
    /// Returns true if it may be applied to this request.
    pub(super) fn concerns(&self, request: &Request, cluster: &Cluster) -> bool {
        self.api.is_none_or(|api| api == request.api)
            && self.client_id.as_ref().is_none_or(|client_id| request.client_id.as_ref() == Some(client_id))
            && self.topic.as_ref().is_none_or(|wanted| {
                topics(request, cluster).iter().any(|RequestedTopic { topic, partitions }| {
                    topic == wanted && self.partition.is_none_or(|wanted| partitions.contains(&wanted))
                })
            })
    }
}

/// Returns the topics of a request.
fn topics(request: &Request, cluster: &Cluster) -> Vec<RequestedTopic> {
    let of = |topic: TopicRef, partitions: Vec<i32>| {
        let name = match &topic {
            TopicRef::Name(name) => name.clone(),
            TopicRef::Id(id) => {
                cluster.name_ever(&topic).unwrap_or_else(|| id.iter().map(|byte| format!("{byte:02x}")).collect())
            }
        };
        RequestedTopic { topic: name, partitions }
    };
    let by = |name: String, id: [u8; 16]| if name.is_empty() { TopicRef::Id(id) } else { TopicRef::Name(name) };
    match request.api {
        ApiKey::Produce => wire::body::<ProduceRequest>(request).map_or_else(
            |_| Vec::new(),
            |body| {
                let each = body.topic_data.into_iter();
                each.map(|topic| {
                    let partitions = topic.partition_data.iter().map(|partition| partition.index).collect();
                    of(by(topic.name, topic.topic_id), partitions)
                })
                .collect()
            },
        ),
        ApiKey::Fetch => wire::body::<FetchRequest>(request).map_or_else(
            |_| Vec::new(),
            |body| {
                let each = body.topics.into_iter();
                each.map(|topic| {
                    let partitions = topic.partitions.iter().map(|partition| partition.partition).collect();
                    of(by(topic.topic, topic.topic_id), partitions)
                })
                .collect()
            },
        ),
        ApiKey::ListOffsets => wire::body::<ListOffsetsRequest>(request).map_or_else(
            |_| Vec::new(),
            |body| {
                let each = body.topics.into_iter();
                each.map(|topic| {
                    let partitions = topic.partitions.iter().map(|partition| partition.partition_index).collect();
                    of(TopicRef::Name(topic.name), partitions)
                })
                .collect()
            },
        ),
        ApiKey::Metadata => wire::body::<MetadataRequest>(request).map_or_else(
            |_| Vec::new(),
            |body| {
                let each = body.topics.into_iter().flatten();
                each.map(|topic| of(by(topic.name.unwrap_or_default(), topic.topic_id), Vec::new())).collect()
            },
        ),
        _ => Vec::new(),
    }
}
