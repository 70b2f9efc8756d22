//! What requests concern: for the record of requests, and for faults that are applied to some of them.

use super::{Broker, Fault};
use crate::Moment;
use crate::api_key::ApiKey;
use crate::cluster::{Cluster, TopicRef};
use crate::wire::add_offsets_to_txn::AddOffsetsToTxnRequest;
use crate::wire::add_partitions_to_txn::AddPartitionsToTxnRequest;
use crate::wire::end_txn::EndTxnRequest;
use crate::wire::fetch::FetchRequest;
use crate::wire::init_producer_id::InitProducerIdRequest;
use crate::wire::list_offsets::ListOffsetsRequest;
use crate::wire::metadata::MetadataRequest;
use crate::wire::offset_commit::OffsetCommitRequest;
use crate::wire::offset_for_leader_epoch::OffsetForLeaderEpochRequest;
use crate::wire::produce::ProduceRequest;
use crate::wire::txn_offset_commit::TxnOffsetCommitRequest;
use crate::wire::{self, Field, Request};

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
    /// The transactional id, of requests that have one.
    pub transactional_id: Option<String>,
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
        let Concerns { topics, transactional_id } = concerns(request, cluster);
        ReceivedRequest {
            at,
            broker: self.id,
            connection,
            api: request.api,
            version: request.version,
            client_id: request.client_id.clone(),
            topics,
            transactional_id,
        }
    }
}

impl Fault {
    /// Returns true if it may be applied to this request.
    pub(super) fn concerns(&self, request: &Request, cluster: &Cluster) -> bool {
        if self.api.is_some_and(|api| api != request.api)
            || self.client_id.as_ref().is_some_and(|client_id| request.client_id.as_ref() != Some(client_id))
        {
            return false;
        }
        if self.topic.is_none() && self.transactional_id.is_none() {
            return true;
        }
        let concerned = concerns(request, cluster);
        let is_of_topic = self.topic.as_ref().is_none_or(|wanted| {
            concerned.topics.iter().any(|RequestedTopic { topic, partitions }| {
                topic == wanted && self.partition.is_none_or(|wanted| partitions.contains(&wanted))
            })
        });
        is_of_topic && (self.transactional_id.is_none() || self.transactional_id == concerned.transactional_id)
    }
}

/// What a request concerns.
#[derive(Default)]
struct Concerns {
    topics: Vec<RequestedTopic>,
    transactional_id: Option<String>,
}

/// Returns what a request concerns; nothing if it cannot be read.
fn concerns(request: &Request, cluster: &Cluster) -> Concerns {
    let named = |topic: TopicRef, partitions: Vec<i32>| {
        let name = match &topic {
            TopicRef::Name(name) => name.clone(),
            TopicRef::Id(id) => {
                cluster.name_ever(&topic).unwrap_or_else(|| id.iter().map(|byte| format!("{byte:02x}")).collect())
            }
        };
        RequestedTopic { topic: name, partitions }
    };
    let by = |name: String, id: [u8; 16]| if name.is_empty() { TopicRef::Id(id) } else { TopicRef::Name(name) };
    let topic = |name: String, id: [u8; 16], partitions: Vec<i32>| named(by(name, id), partitions);
    match request.api {
        ApiKey::Produce => read(request, |body: ProduceRequest| Concerns {
            topics: each(body.topic_data, |data| {
                topic(data.name, data.topic_id, each(data.partition_data, |partition| partition.index))
            }),
            transactional_id: body.transactional_id,
        }),
        ApiKey::Fetch => read(request, |body: FetchRequest| Concerns {
            topics: each(body.topics, |wanted| {
                topic(wanted.topic, wanted.topic_id, each(wanted.partitions, |partition| partition.partition))
            }),
            transactional_id: None,
        }),
        ApiKey::ListOffsets => read(request, |body: ListOffsetsRequest| Concerns {
            topics: each(body.topics, |wanted| {
                let partitions = each(wanted.partitions, |partition| partition.partition_index);
                named(TopicRef::Name(wanted.name), partitions)
            }),
            transactional_id: None,
        }),
        ApiKey::OffsetForLeaderEpoch => read(request, |body: OffsetForLeaderEpochRequest| Concerns {
            topics: each(body.topics, |wanted| {
                named(TopicRef::Name(wanted.topic), each(wanted.partitions, |partition| partition.partition))
            }),
            transactional_id: None,
        }),
        ApiKey::Metadata => read(request, |body: MetadataRequest| Concerns {
            topics: each(body.topics.unwrap_or_default(), |wanted| {
                topic(wanted.name.unwrap_or_default(), wanted.topic_id, Vec::new())
            }),
            transactional_id: None,
        }),
        ApiKey::InitProducerId => read(request, |body: InitProducerIdRequest| Concerns {
            topics: Vec::new(),
            transactional_id: body.transactional_id,
        }),
        ApiKey::AddPartitionsToTxn if request.version <= 3 => {
            read(request, |body: AddPartitionsToTxnRequest| Concerns {
                topics: each(body.v3_and_below_topics, |added| named(TopicRef::Name(added.name), added.partitions)),
                transactional_id: Some(body.v3_and_below_transactional_id),
            })
        }
        ApiKey::AddOffsetsToTxn => read(request, |body: AddOffsetsToTxnRequest| Concerns {
            topics: Vec::new(),
            transactional_id: Some(body.transactional_id),
        }),
        ApiKey::EndTxn => read(request, |body: EndTxnRequest| Concerns {
            topics: Vec::new(),
            transactional_id: Some(body.transactional_id),
        }),
        ApiKey::TxnOffsetCommit => read(request, |body: TxnOffsetCommitRequest| Concerns {
            topics: each(body.topics, |wanted| {
                topic(wanted.name, wanted.topic_id, each(wanted.partitions, |partition| partition.partition_index))
            }),
            transactional_id: Some(body.transactional_id),
        }),
        ApiKey::OffsetCommit => read(request, |body: OffsetCommitRequest| Concerns {
            topics: each(body.topics, |wanted| {
                topic(wanted.name, wanted.topic_id, each(wanted.partitions, |partition| partition.partition_index))
            }),
            transactional_id: None,
        }),
        _ => Concerns::default(),
    }
}

fn read<T: Field>(request: &Request, of: impl FnOnce(T) -> Concerns) -> Concerns {
    wire::body::<T>(request).map_or_else(|_| Concerns::default(), of)
}

fn each<A, B>(all: Vec<A>, of: impl FnMut(A) -> B) -> Vec<B> {
    all.into_iter().map(of).collect()
}
