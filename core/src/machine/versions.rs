//! The API versions to use with a broker.

use crate::cause::ConnectionErrorKind;
use crate::magic::{BrokerVersion, Magic};
use crate::protocol::{ApiKey, ApiVersionsResponse};

/// The API versions to use with one broker: of each API the newest that both sides support, or those of
/// [`broker_version_fallback`](super::MachineConfig::broker_version_fallback).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Versions {
    /// The version of Produce. Since 13, topics have ids instead of names; 12 is used while a topic id is unknown.
    pub produce: i16,
    /// The version of Metadata.
    pub metadata: i16,
    /// The version of InitProducerId; `None` if the broker does not support idempotence, as before 0.11.
    pub init_producer_id: Option<i16>,
    /// The versions for transactions.
    pub transactions: TransactionVersions,
    /// The versions for telemetry; `None` if the broker does not take any.
    pub telemetry: Option<TelemetryVersions>,
}

/// The API versions for telemetry (KIP-714) to use with one broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TelemetryVersions {
    /// The version of GetTelemetrySubscriptions.
    pub get_telemetry_subscriptions: i16,
    /// The version of PushTelemetry.
    pub push_telemetry: i16,
}

impl TelemetryVersions {
    fn from_response(response: &ApiVersionsResponse) -> Option<Self> {
        Some(Self {
            get_telemetry_subscriptions: response.choose(ApiKey::GetTelemetrySubscriptions)?,
            push_telemetry: response.choose(ApiKey::PushTelemetry)?,
        })
    }
}

/// The API versions for transactions to use with one broker, each `None` if the broker does not support the API; and the level
/// of the feature `transaction.version`, which decides how they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TransactionVersions {
    /// The level of `transaction.version` that is finalized in the cluster (KIP-584, KIP-890); 0 if none is. Brokers list
    /// versions that must not be used at this level.
    pub level: i16,
    /// The epoch of the finalized features, which increases with every change; −1 if the broker does not report it.
    pub features_epoch: i64,
    /// The version of FindCoordinator.
    pub find_coordinator: Option<i16>,
    /// The version of AddPartitionsToTxn.
    pub add_partitions_to_txn: Option<i16>,
    /// The version of AddOffsetsToTxn.
    pub add_offsets_to_txn: Option<i16>,
    /// The version of EndTxn.
    pub end_txn: Option<i16>,
    /// The version of TxnOffsetCommit.
    pub txn_offset_commit: Option<i16>,
    /// The version of DescribeTransactions.
    pub describe_transactions: Option<i16>,
}

/// Those of a broker without transactions.
impl Default for TransactionVersions {
    fn default() -> Self {
        Self {
            level: 0,
            features_epoch: -1,
            find_coordinator: None,
            add_partitions_to_txn: None,
            add_offsets_to_txn: None,
            end_txn: None,
            txn_offset_commit: None,
            describe_transactions: None,
        }
    }
}

impl TransactionVersions {
    fn from_response(response: &ApiVersionsResponse) -> Self {
        let known = response.finalized_features_epoch >= 0;
        let mut features = response.finalized_features.iter().filter(|_| known);
        let level = features.find(|feature| feature.name == "transaction.version");
        Self {
            level: level.map_or(0, |feature| feature.max_version_level),
            features_epoch: response.finalized_features_epoch,
            find_coordinator: response.choose(ApiKey::FindCoordinator),
            add_partitions_to_txn: response.choose(ApiKey::AddPartitionsToTxn),
            add_offsets_to_txn: response.choose(ApiKey::AddOffsetsToTxn),
            end_txn: response.choose(ApiKey::EndTxn),
            txn_offset_commit: response.choose(ApiKey::TxnOffsetCommit),
            describe_transactions: response.choose(ApiKey::DescribeTransactions),
        }
    }

    /// The versions of Kafka 0.11.
    const OLDEST: Self = Self {
        level: 0,
        features_epoch: -1,
        find_coordinator: Some(1),
        add_partitions_to_txn: Some(0),
        add_offsets_to_txn: Some(0),
        end_txn: Some(0),
        txn_offset_commit: Some(0),
        describe_transactions: None,
    };
}

impl Versions {
    /// Returns the format of batches for this broker.
    #[must_use]
    pub const fn magic(&self) -> Magic {
        Magic::for_produce_version(self.produce)
    }

    /// Returns the newest versions that both sides support, from the response to ApiVersions.
    pub(super) fn from_response(response: &ApiVersionsResponse) -> Result<Self, ConnectionErrorKind> {
        let required = |api| response.choose(api).ok_or(ConnectionErrorKind::Incompatible(api));
        Ok(Self {
            produce: required(ApiKey::Produce)?,
            metadata: required(ApiKey::Metadata)?,
            init_producer_id: response.choose(ApiKey::InitProducerId),
            transactions: TransactionVersions::from_response(response),
            telemetry: TelemetryVersions::from_response(response),
        })
    }

    /// Returns the versions to use with a broker of this Kafka version, without ApiVersions.
    pub(super) fn fallback(version: BrokerVersion) -> Self {
        let versions = |produce, metadata, init_producer_id: Option<i16>| {
            let transactions = init_producer_id.map_or_else(Default::default, |_| TransactionVersions::OLDEST);
            Self { produce, metadata, init_producer_id, transactions, telemetry: None }
        };
        let no_throttle_time = "0.9".parse().is_ok_and(|nine: BrokerVersion| version < nine);
        match version.magic() {
            Magic::V0 if no_throttle_time => versions(0, 0, None),
            Magic::V0 => versions(1, 0, None),
            Magic::V1 => versions(2, 1, None),
            Magic::V2 => versions(3, 4, Some(0)),
        }
    }
}
