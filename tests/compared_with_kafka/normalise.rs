//! What differs between two clusters although they respond alike, and is therefore not compared: a list of rules with names.

use std::any::Any;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafka_batch_testing::ApiKey;
use kafka_batch_witnesses::kafka_protocol::messages::{
    ApiVersionsResponse, CreateTopicsResponse, FetchResponse, MetadataResponse, ProduceResponse, TopicName,
};

use crate::fields::{self, Field};
use crate::target::{Target, UNKNOWN_ID};

/// A rule by which values are replaced.
pub(crate) struct Normaliser {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    /// Returns what replaces the value of a field, if the rule applies to it.
    replacement: fn(&Context<'_>, &Field) -> Option<&'static str>,
}

struct Context<'a> {
    api: &'a str,
    target: &'a Target,
    /// True if the broker has assigned timestamps to the batch of a field.
    is_of_append_time: bool,
}

/// The rules for values.
pub(crate) const NORMALISERS: &[Normaliser] = &[
    Normaliser {
        name: "ports",
        why: "each broker has its own",
        replacement: |_, field| (field.name() == "port").then_some("a port"),
    },
    Normaliser {
        name: "cluster ids",
        why: "each cluster has its own",
        replacement: |context, field| {
            let own = format!("{:?}", context.target.cluster_id);
            (field.name() == "cluster_id" && field.value == own).then_some("the cluster's id")
        },
    },
    Normaliser {
        name: "topic ids",
        why: "a cluster chooses them; the ones that no topic has are compared",
        replacement: |_, field| {
            let is_compared = [[0; 16], UNKNOWN_ID].map(|id| shown_id(&id)).contains(&field.value);
            (field.name() == "topic_id" && !is_compared).then_some("a topic's id")
        },
    },
    Normaliser {
        name: "producer ids",
        why: "a cluster chooses them",
        replacement: |context, field| {
            let is_new = context.api == "InitProducerId" && !field.value.starts_with('-');
            // 0 in a transaction without a producer, which the first producer of a cluster can have, too.
            let is_none = context.api == "DescribeTransactions" && field.value == "0";
            let is_own = field.value == context.target.producer.0.to_string() || is_none;
            (field.name() == "producer_id" && (is_new || is_own)).then_some("a producer id")
        },
    },
    Normaliser {
        name: "times",
        why: "the time of a request, of an append or of the beginning of a transaction; that it is the time is compared",
        replacement: |context, field| {
            let is_time = match field.name() {
                "log_append_time_ms" | "transaction_start_time_ms" => true,
                "max_timestamp" => context.is_of_append_time,
                _ => false,
            };
            (is_time && is_now(&field.value)).then_some("the time")
        },
    },
    Normaliser {
        name: "the epoch of features",
        why: "it counts changes of the cluster's metadata, of other things, too",
        replacement: |_, field| {
            (field.name() == "finalized_features_epoch" && !field.value.starts_with('-')).then_some("an epoch")
        },
    },
    Normaliser {
        name: "checksums",
        why: "those of batches with append times, which they cover",
        replacement: |context, field| (field.name() == "crc" && context.is_of_append_time).then_some("a checksum"),
    },
    Normaliser {
        name: "texts",
        why: "they are for people; whether there is one is compared",
        replacement: |_, field| {
            let is_text = matches!(field.name(), "error_message" | "batch_index_error_message");
            (is_text && field.value != "None").then_some("a text")
        },
    },
];

/// The rules for whole responses.
pub(crate) const ORDER: (&str, &str) = (
    "order",
    "that of topics, partitions and APIs in a response, which the protocol leaves open: sorted by name and number",
);
pub(crate) const OTHERS: (&str, &str) = (
    "other APIs, features and topics",
    "those that the cluster does not have at all: the versions of all others are compared; Kafka's internal topics",
);

/// Applies the rules for values.
pub(crate) fn normalise(all: &mut [Field], api: &str, target: &Target) {
    let mut context = Context { api, target, is_of_append_time: false };
    // The attributes of a batch come before its timestamps, and its checksum comes after them.
    for field in all {
        if field.name() == "attributes" {
            context.is_of_append_time = field.value.parse::<i16>().is_ok_and(|attributes| attributes & 8 != 0);
        }
        if let Some(replaced) = NORMALISERS.iter().find_map(|rule| (rule.replacement)(&context, field)) {
            field.value = format!("({replaced})");
        }
    }
}

/// Returns true for a time within ten minutes from now, in milliseconds.
fn is_now(value: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as i64;
    value.parse::<i64>().is_ok_and(|time| (time - now).abs() < 600_000)
}

/// Returns an id as the oracle shows it.
fn shown_id(id: &[u8; 16]) -> String {
    let hex: Vec<String> = id.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..4], &hex[4..6], &hex[6..8], &hex[8..10], &hex[10..]].map(|part| part.concat()).join("-")
}

/// Applies the rules for whole responses, and returns the fields of a response.
pub(crate) fn fields_of<T: std::fmt::Debug + 'static>(response: &mut T) -> Vec<Field> {
    let any: &mut dyn Any = response;
    let mut batches = Vec::new();
    if let Some(response) = any.downcast_mut::<ProduceResponse>() {
        for topic in &mut response.responses {
            topic.partition_responses.sort_by_key(|partition| partition.index);
        }
        // Not by id, which is not the same in both clusters.
        response.responses.sort_by_key(|topic| {
            (topic.name.clone(), topic.partition_responses.first().map(|partition| partition.index))
        });
    } else if let Some(response) = any.downcast_mut::<MetadataResponse>() {
        // v0 does not say which ones are internal.
        let is_internal = |name: &TopicName| matches!(&***name, "__consumer_offsets" | "__transaction_state");
        response.topics.retain(|topic| !topic.name.as_ref().is_some_and(is_internal));
        response.topics.sort_by(|a, b| (&a.name, a.error_code).cmp(&(&b.name, b.error_code)));
        for topic in &mut response.topics {
            topic.partitions.sort_by_key(|partition| partition.partition_index);
        }
    } else if let Some(response) = any.downcast_mut::<CreateTopicsResponse>() {
        response.topics.sort_by(|a, b| a.name.cmp(&b.name));
    } else if let Some(response) = any.downcast_mut::<ApiVersionsResponse>() {
        response.api_keys.retain(|api| ApiKey::from_code(api.api_key).is_some());
        response.api_keys.sort_by_key(|api| api.api_key);
        response.supported_features.retain(|feature| &*feature.name == "transaction.version");
        response.finalized_features.retain(|feature| &*feature.name == "transaction.version");
    } else if let Some(response) = any.downcast_mut::<FetchResponse>() {
        response.responses.sort_by_key(|topic| topic.topic.clone());
        for (topic, data) in response.responses.iter_mut().enumerate() {
            data.partitions.sort_by_key(|partition| partition.partition_index);
            for (partition, data) in data.partitions.iter_mut().enumerate() {
                let path = format!("responses[{topic}].partitions[{partition}].records");
                if let Some(records) = data.records.as_mut().filter(|records| !records.is_empty()) {
                    describe(&path, &std::mem::take(records), &mut batches);
                }
            }
        }
    }
    let mut all = fields::fields(&format!("{response:#?}"));
    all.append(&mut batches);
    all
}

/// Describes batches of magic 2, and what follows them.
fn describe(path: &str, mut records: &[u8], all: &mut Vec<Field>) {
    let mut number = 0;
    while let (Some(header), Some(&length)) =
        (records.first_chunk::<61>(), records.get(8..).and_then(|rest| rest.first_chunk::<4>()))
    {
        let size = 12 + u32::from_be_bytes(length) as usize;
        let Some(payload) = records.get(61..size) else { break };
        let int = |from: usize, to: usize| {
            let sign = if header[from] & 0x80 == 0 { 0 } else { 0xff };
            let mut bytes = [sign; 8];
            bytes[8 - (to - from)..].copy_from_slice(&header[from..to]);
            i64::from_be_bytes(bytes)
        };
        let fields = [
            ("base_offset", int(0, 8)),
            ("batch_length", int(8, 12)),
            ("partition_leader_epoch", int(12, 16)),
            ("magic", int(16, 17)),
            ("attributes", int(21, 23)),
            ("crc", int(17, 21)),
            ("last_offset_delta", int(23, 27)),
            ("base_timestamp", int(27, 35)),
            ("max_timestamp", int(35, 43)),
            ("producer_id", int(43, 51)),
            ("producer_epoch", int(51, 53)),
            ("base_sequence", int(53, 57)),
            ("record_count", int(57, 61)),
        ];
        all.extend(fields.map(|(name, value)| Field::new(format!("{path}[{number}].{name}"), value.to_string())));
        all.push(Field::new(format!("{path}[{number}].payload"), format!("{:?}", Bytes::copy_from_slice(payload))));
        (records, number) = (&records[size..], number + 1);
    }
    if !records.is_empty() {
        all.push(Field::new(format!("{path}.rest"), format!("{:?}", Bytes::copy_from_slice(records))));
    }
}

#[test]
fn only_the_listed_fields_are_replaced() {
    let mut target = Target::nowhere();
    target.cluster_id = "own".into();
    let before = [
        ("brokers[0].port", "9092"),
        ("brokers[0].node_id", "1"),
        ("cluster_id", "\"own\""),
        ("cluster_id", "\"another\""),
        ("topics[0].topic_id", "00000000-0000-0000-0000-000000000000"),
        ("topics[0].topic_id", "6e6f2074-6f70-6963-2068-617320697421"),
        ("topics[0].topic_id", "6e6f2074-6f70-6963-2068-617320697422"),
        ("topics[0].error_message", "None"),
        ("topics[0].error_message", "\"a reason\""),
        ("producer_id", "17"),
        ("log_append_time_ms", "-1"),
        ("log_append_time_ms", "1700000000000"),
        ("records[0].max_timestamp", "1700000000000"),
    ];
    let mut all: Vec<_> = before.iter().map(|(path, value)| Field::new(*path, *value)).collect();
    normalise(&mut all, "Produce", &target);
    let changed: Vec<_> = (0..all.len()).filter(|&place| all[place].value != before[place].1).collect();
    assert_eq!(changed, [0, 2, 6, 8]);
    normalise(&mut all, "InitProducerId", &target);
    assert_eq!(all[9].value, "(a producer id)");
}
