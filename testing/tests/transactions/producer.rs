//! A transactional producer that writes its requests by hand.

use kafka_batch_core::batch::Stamp;
use kafka_batch_testing::wire::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use kafka_batch_testing::wire::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
};
use kafka_batch_testing::wire::end_txn::{EndTxnRequest, EndTxnResponse};
use kafka_batch_testing::wire::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_batch_testing::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kafka_batch_testing::wire::produce::{ProduceRequest, ProduceResponse};
use kafka_batch_testing::{ApiKey, TestCluster};

use crate::common::{Client, stamped};

pub(crate) const TIMEOUT_MS: i32 = 60_000;

pub(crate) struct Producer {
    pub(crate) client: Client,
    pub(crate) id: String,
    /// Producer id and epoch.
    pub(crate) identity: (i64, i16),
}

impl Producer {
    /// Connects to the only broker, and finds the coordinator.
    pub(crate) fn new(cluster: &TestCluster, id: &str) -> Self {
        let mut client = Client::new(cluster, 1);
        assert_eq!(find(&mut client, 3, 1, id).error_code, 0);
        Self { client, id: id.to_owned(), identity: (-1, -1) }
    }

    /// Connects and initialises the id.
    pub(crate) fn ready(cluster: &TestCluster, id: &str) -> Self {
        let mut producer = Self::new(cluster, id);
        assert_eq!(producer.init(), 0);
        producer
    }

    pub(crate) fn init_request(&self) -> InitProducerIdRequest {
        let transactional_id = Some(self.id.clone());
        InitProducerIdRequest { transactional_id, transaction_timeout_ms: TIMEOUT_MS, ..Default::default() }
    }

    pub(crate) fn ask_init(&mut self, version: i16, request: &InitProducerIdRequest) -> InitProducerIdResponse {
        self.client.ask(ApiKey::InitProducerId, version, request)
    }

    /// Initialises the id as a new instance, and returns the error code.
    pub(crate) fn init(&mut self) -> i16 {
        let response = self.ask_init(4, &self.init_request());
        if response.error_code == 0 {
            self.identity = (response.producer_id, response.producer_epoch);
        }
        response.error_code
    }

    /// Initialises the id again with what it has (KIP-360), and returns the error code.
    pub(crate) fn bump(&mut self) -> i16 {
        let (producer_id, producer_epoch) = self.identity;
        let request = InitProducerIdRequest { producer_id, producer_epoch, ..self.init_request() };
        let response = self.ask_init(4, &request);
        if response.error_code == 0 {
            self.identity = (response.producer_id, response.producer_epoch);
        }
        response.error_code
    }

    /// Adds partitions, and returns the error code of each.
    pub(crate) fn add(&mut self, version: i16, topic: &str, partitions: &[i32]) -> Vec<i16> {
        let topics = vec![AddPartitionsToTxnTopic { name: topic.into(), partitions: partitions.into() }];
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: self.identity.0,
            v3_and_below_producer_epoch: self.identity.1,
            v3_and_below_topics: topics,
            ..Default::default()
        };
        let response: AddPartitionsToTxnResponse = self.client.ask(ApiKey::AddPartitionsToTxn, version, &request);
        let topic = &response.results_by_topic_v3_and_below[0];
        topic.results_by_partition.iter().map(|partition| partition.partition_error_code).collect()
    }

    pub(crate) fn add_group(&mut self, version: i16, group: &str) -> i16 {
        let request = AddOffsetsToTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.identity.0,
            producer_epoch: self.identity.1,
            group_id: group.into(),
        };
        let response: AddOffsetsToTxnResponse = self.client.ask(ApiKey::AddOffsetsToTxn, version, &request);
        response.error_code
    }

    pub(crate) fn stamp(&self, sequence: i32) -> Stamp {
        Stamp::NONE.producer(self.identity.0, self.identity.1, sequence).transactional(true)
    }

    pub(crate) fn produce_request(
        &mut self,
        version: i16,
        (topic, partition): (&str, i32),
        stamp: Stamp,
        values: &[&str],
    ) -> ProduceRequest {
        let request = self.client.produce_request(version, topic, partition, stamped(values, stamp), -1);
        ProduceRequest { transactional_id: Some(self.id.clone()), ..request }
    }

    pub(crate) fn ask_produce(&mut self, version: i16, request: &ProduceRequest) -> i16 {
        let response: ProduceResponse = self.client.ask(ApiKey::Produce, version, request);
        response.responses[0].partition_responses[0].error_code
    }

    /// Sends a batch, and returns the error code.
    pub(crate) fn produce(&mut self, version: i16, to: (&str, i32), sequence: i32, values: &[&str]) -> i16 {
        let request = self.produce_request(version, to, self.stamp(sequence), values);
        self.ask_produce(version, &request)
    }

    pub(crate) fn end_request(&self, committed: bool) -> EndTxnRequest {
        let (producer_id, producer_epoch) = self.identity;
        EndTxnRequest { transactional_id: self.id.clone(), producer_id, producer_epoch, committed }
    }

    /// Ends the transaction, and returns the error code.
    pub(crate) fn end(&mut self, version: i16, committed: bool) -> i16 {
        let response: EndTxnResponse = self.client.ask(ApiKey::EndTxn, version, &self.end_request(committed));
        if response.error_code == 0 && version >= 5 {
            self.identity = (response.producer_id, response.producer_epoch);
        }
        response.error_code
    }
}

/// Returns the coordinator of a key.
pub(crate) fn find(client: &mut Client, version: i16, key_type: i8, key: &str) -> FindCoordinatorResponse {
    let coordinator_keys = vec![key.to_owned()];
    let request = FindCoordinatorRequest { key: key.into(), key_type, coordinator_keys };
    client.ask(ApiKey::FindCoordinator, version, &request)
}

/// Returns the values in partition 0 of `t`: all, and those that are committed.
pub(crate) fn values(cluster: &TestCluster) -> (Vec<String>, Vec<String>) {
    let log = cluster.log("t", 0).unwrap();
    (log.values().unwrap(), log.committed_values().unwrap())
}
