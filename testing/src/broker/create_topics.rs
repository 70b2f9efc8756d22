//! The broker's CreateTopics responses. Every broker creates topics, as in KRaft.

use std::collections::{BTreeMap, BTreeSet};

use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::cluster::{Cluster, MOST_PARTITIONS, TopicConfig, is_valid_topic_name};
use crate::wire;
use crate::wire::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};

const INVALID_TOPIC: i16 = 17;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const INVALID_PARTITIONS: i16 = 37;
const INVALID_REPLICATION_FACTOR: i16 = 38;
const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
const INVALID_CONFIG: i16 = 40;
const INVALID_REQUEST: i16 = 42;

impl Broker {
    /// Responds to a CreateTopics request.
    pub(super) fn create_topics(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let body: CreateTopicsRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for topic in &body.topics {
            *counts.entry(&topic.name).or_default() += 1;
        }
        // Names within a request may collide.
        let unified_names: BTreeSet<String> = cluster.topics.keys().map(|name| unified(name)).collect();
        let mut topics = Vec::new();
        for (position, topic) in body.topics.iter().enumerate() {
            let Some(count) = counts.remove(topic.name.as_str()) else {
                continue; // there is one result for each name
            };
            let mut result = CreatableTopicResult { name: topic.name.clone(), ..Default::default() };
            let outcome = match call.fault {
                Some(FaultKind::Refuse { code, all }) if *all || position == 0 => {
                    Err((*code, "refused by a fault".to_owned()))
                }
                _ if count > 1 => Err((INVALID_REQUEST, format!("the topic {:?} occurs twice", topic.name))),
                _ => check(topic, cluster, &unified_names),
            };
            let outcome = outcome.and_then(|(partitions, replicas, config)| {
                if body.validate_only {
                    // Kafka chooses one here, too.
                    result.topic_id = cluster.new_topic_id();
                } else {
                    cluster.create_with(&topic.name, partitions, config, call.now);
                    cluster.turn(call.now);
                    result.topic_id = cluster.topics.get(&topic.name).map_or([0; 16], |topic| topic.id);
                }
                result.num_partitions = partitions as i32;
                result.replication_factor = replicas;
                match call.fault {
                    Some(FaultKind::ExecuteAndRefuse { code }) => Err((*code, "refused by a fault".to_owned())),
                    _ => Ok(()),
                }
            });
            if let Err((code, message)) = outcome {
                result.error_code = code;
                result.error_message = Some(message);
            }
            topics.push(result);
        }
        if call.fault == Some(&FaultKind::OmitFirst) && !topics.is_empty() {
            topics.remove(0);
        }
        let response = CreateTopicsResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), topics };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }
}

/// Returns the name that a topic has in the names of metrics, in which topics must not collide.
fn unified(name: &str) -> String {
    name.replace('.', "_")
}

/// Returns the number of partitions, the number of replicas and the settings of a topic, if it can be created. The order of the
/// checks is that of `ReplicationControlManager` of Apache Kafka.
fn check(
    topic: &CreatableTopic,
    cluster: &Cluster,
    unified_names: &BTreeSet<String>,
) -> Result<(usize, i16, TopicConfig), (i16, String)> {
    let refuse = |code, message: String| Err((code, message));
    if cluster.topics.contains_key(&topic.name) {
        return refuse(TOPIC_ALREADY_EXISTS, format!("the topic {:?} exists", topic.name));
    }
    if !is_valid_topic_name(&topic.name) {
        return refuse(INVALID_TOPIC, format!("the topic name {:?} is invalid", topic.name));
    }
    if unified_names.contains(&unified(&topic.name)) {
        return refuse(INVALID_TOPIC, format!("the topic name {:?} differs from another only by . and _", topic.name));
    }
    let mut config = cluster.settings.topic;
    for setting in &topic.configs {
        if !apply(setting, &mut config) {
            return refuse(INVALID_CONFIG, format!("the value of {} is invalid", setting.name));
        }
    }
    if !topic.assignments.is_empty() {
        let (partitions, replicas) = assigned(topic, cluster)?;
        return Ok((partitions, replicas, config));
    }
    let replicas = if topic.replication_factor == -1 { 1 } else { topic.replication_factor };
    if replicas <= 0 {
        return refuse(INVALID_REPLICATION_FACTOR, format!("{replicas} replicas"));
    }
    let partitions = match topic.num_partitions {
        -1 => cluster.settings.default_partitions,
        partitions => usize::try_from(partitions).unwrap_or(0),
    };
    if !(1..=MOST_PARTITIONS).contains(&partitions) {
        return refuse(INVALID_PARTITIONS, format!("{partitions} partitions, not 1 to {MOST_PARTITIONS}"));
    }
    if replicas as usize > cluster.members.len() {
        let message = format!("{replicas} replicas, but there are {} brokers", cluster.members.len());
        return refuse(INVALID_REPLICATION_FACTOR, message);
    }
    Ok((partitions, replicas, config))
}

/// Returns the number of partitions and of replicas of a topic whose replicas are assigned by the client.
fn assigned(topic: &CreatableTopic, cluster: &Cluster) -> Result<(usize, i16), (i16, String)> {
    if topic.replication_factor != -1 || topic.num_partitions != -1 {
        return Err((INVALID_REQUEST, "assigned replicas, and a number of partitions or replicas".into()));
    }
    let refuse = |message: String| Err((INVALID_REPLICA_ASSIGNMENT, message));
    let replicas = topic.assignments[0].broker_ids.len();
    let mut partitions = BTreeSet::new();
    for CreatableReplicaAssignment { partition_index, broker_ids } in &topic.assignments {
        if !partitions.insert(*partition_index) {
            return refuse(format!("partition {partition_index} is assigned twice"));
        }
        let distinct: BTreeSet<_> = broker_ids.iter().collect();
        let is_known = |id: &i32| cluster.members.iter().any(|member| member.id == *id);
        if broker_ids.is_empty() || distinct.len() < broker_ids.len() || !broker_ids.iter().all(is_known) {
            return refuse(format!("partition {partition_index} is assigned to {broker_ids:?}"));
        }
        if broker_ids.len() != replicas {
            return refuse("partitions have different numbers of replicas".into());
        }
    }
    if !partitions.iter().copied().eq(0..partitions.len() as i32) {
        return refuse("partitions are not numbered from 0 on".into());
    }
    if partitions.len() > MOST_PARTITIONS {
        return Err((INVALID_PARTITIONS, format!("{} partitions, not 1 to {MOST_PARTITIONS}", partitions.len())));
    }
    Ok((partitions.len(), replicas as i16))
}

/// Applies a setting. Those that the brokers do not know are ignored. Returns false if the value is invalid.
fn apply(CreatableTopicConfig { name, value }: &CreatableTopicConfig, config: &mut TopicConfig) -> bool {
    let Some(value) = value.as_deref().map(str::trim) else { return false };
    let millis = |field: &mut i64| value.parse().map(|number| *field = number).is_ok() && *field >= 0;
    match name.as_str() {
        "cleanup.policy" => {
            let mut policies = value.split(',').map(str::trim);
            config.compacted = policies.clone().any(|policy| policy == "compact");
            value.is_empty() || policies.all(|policy| matches!(policy, "compact" | "delete"))
        }
        "message.timestamp.type" => {
            config.log_append_time = value == "LogAppendTime";
            config.log_append_time || value == "CreateTime"
        }
        "max.message.bytes" => {
            let bytes = value.parse::<i32>().ok().and_then(|bytes| usize::try_from(bytes).ok());
            bytes.map(|bytes| config.max_message_bytes = bytes).is_some()
        }
        "message.timestamp.before.max.ms" => millis(&mut config.timestamp_before_max_ms),
        "message.timestamp.after.max.ms" => millis(&mut config.timestamp_after_max_ms),
        _ => true,
    }
}
