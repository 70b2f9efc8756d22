//! The client side of Kafka's wire protocol: encodes requests and decodes responses.
//!
//! This module consists of values and pure functions. It uses no socket and no clock, and its only state is
//! [`FrameReader`], which buffers received bytes until a frame is complete. It does not interpret record
//! batches: a record set is opaque [`Bytes`](bytes::Bytes), passed on without a copy.
//!
//! # Sending a request
//! 1. [`ApiVersionsResponse::choose`] returns the version to use with this broker.
//! 2. `encode(version, header)` returns the frame as a list of segments for one vectored write.
//! 3. [`FrameReader::next_frame`] returns received frames. [`correlation_id`] identifies the request that a
//!    frame answers, and thus its version.
//! 4. `decode(frame, version)` returns the response, or a [`ProtocolError`].
//!
//! Requests are exhaustive on purpose: they are written as literals, and a field that a new version adds does not compile
//! until the caller has decided what it contains. Responses are `#[non_exhaustive]`.
//!
//! # Supported APIs
//! | API | versions | source |
//! |---|---|---|
//! | [Produce](ProduceRequest) | 0–13 | brokers 0.9 to 4.x; v13 addresses topics by id (KIP-516) |
//! | [Metadata](MetadataRequest) | 0–13 | |
//! | [FindCoordinator](FindCoordinatorRequest) | 0–6 | KIP-98, KIP-699 |
//! | [SaslHandshake](SaslHandshakeRequest) | 0–1 | KIP-43, KIP-152 |
//! | [ApiVersions](ApiVersionsRequest) | 0–5 | KIP-35; v5 is KIP-1242, Kafka 4.4 |
//! | [InitProducerId](InitProducerIdRequest) | 0–5 | KIP-98; v6 (KIP-939) is still marked unstable |
//! | [AddPartitionsToTxn](AddPartitionsToTxnRequest) | 0–3 | KIP-98; later versions are for brokers |
//! | [AddOffsetsToTxn](AddOffsetsToTxnRequest) | 0–4 | KIP-98 |
//! | [EndTxn](EndTxnRequest) | 0–5 | KIP-98, KIP-890 |
//! | [TxnOffsetCommit](TxnOffsetCommitRequest) | 0–5 | KIP-98, KIP-447; v6 (topic ids) is Kafka 4.4 |
//! | [SaslAuthenticate](SaslAuthenticateRequest) | 0–2 | KIP-152 |
//! | [DescribeTransactions](DescribeTransactionsRequest) | 0 | KIP-664 |
//! | [GetTelemetrySubscriptions](GetTelemetrySubscriptionsRequest) | 0 | KIP-714 |
//! | [PushTelemetry](PushTelemetryRequest) | 0 | KIP-714 |
//!
//! Field names, units and sentinels are those of the Kafka protocol guide and of the message definitions in
//! Apache Kafka. A field that a version does not have is decoded as the default that Kafka documents for it.
//! A value that a version has no field for is an [`RequestEncodeError`], unless Kafka marks the field as ignorable.
//!
//! # Hostile input
//! No byte of a response is trusted. Lengths, counts and varints are compared with the bytes present before
//! they are used for an allocation or an index.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod api_key;
mod api_versions;
mod broker_error;
mod describe_transactions;
mod end_txn;
mod error;
mod error_code;
mod find_coordinator;
mod frame;
mod get_telemetry_subscriptions;
mod init_producer_id;
mod metadata;
mod primitives;
mod produce;
mod push_telemetry;
mod sasl_authenticate;
mod sasl_handshake;
mod txn_offset_commit;
mod uuid;

pub use self::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
pub use self::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic, TxnPartitionResult, TxnTopicResult,
};
pub use self::api_key::{ApiKey, VersionRange, choose_version};
pub use self::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature, SupportedFeature};
pub use self::broker_error::BrokerError;
pub use self::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionDescription,
};
pub use self::end_txn::{EndTxnRequest, EndTxnResponse};
pub use self::error::{FrameError, ProtocolError, ProtocolErrorKind, RequestEncodeError};
pub use self::error_code::ErrorCode;
pub use self::find_coordinator::{
    CoordinatorEndpoint, CoordinatorType, FindCoordinatorRequest, FindCoordinatorResponse,
};
pub(crate) use self::frame::frame_size;
pub use self::frame::{DEFAULT_MAX_FRAME_SIZE, FrameReader, RequestHeader, correlation_id, sasl_token_frame};
pub use self::get_telemetry_subscriptions::{GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse};
pub use self::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub use self::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic, RequestedTopics,
};
pub use self::produce::{
    Acks, BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData, PartitionProduceResponse,
    ProduceRequest, ProduceResponse, TopicNameOrId, TopicProduceData, TopicProduceResponse,
};
pub(crate) use self::produce::{ProduceEncoder, ProduceSettings, TopicRef, read_produce_response};
pub use self::push_telemetry::{PushTelemetryRequest, PushTelemetryResponse};
pub use self::sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};
pub use self::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
pub use self::txn_offset_commit::{
    TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitTopic,
};
pub use self::uuid::Uuid;
