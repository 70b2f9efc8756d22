//! The broker's CreateTopics responses. Every broker creates topics, as in KRaft.

use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::cluster::{Cluster, MOST_PARTITIONS, TopicConfig, is_valid_topic_name};
use crate::wire;
use crate::wire::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};

const INVALID_TOPIC: i16 = 17;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const INVALID_PARTITIONS: i16 = 37;
const INVALID_REPLICATION_FACTOR: i16 = 38;
const INVALID_CONFIG: i16 = 40;

impl Broker {
    /// Responds to a CreateTopics request.
    pub(super) fn create_topics(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let body: CreateTopicsRequest = match wire::body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let mut topics = Vec::new();
        for (position, topic) in body.topics.iter().enumerate() {
            let mut result = CreatableTopicResult { name: topic.name.clone(), ..Default::default() };
            let outcome = match call.fault {
                Some(FaultKind::Refuse { code, all }) if *all || position == 0 => {
                    Err((*code, "refused by a fault".to_owned()))
                }
                _ => check(topic, cluster),
            };
            let outcome = outcome.and_then(|(partitions, config)| {
                if !body.validate_only {
                    cluster.create_with(&topic.name, partitions, config, call.now);
                    cluster.turn(call.now);
                    result.topic_id = cluster.topics.get(&topic.name).map_or([0; 16], |topic| topic.id);
                }
                result.num_partitions = partitions as i32;
                result.replication_factor = 1;
                match call.fault {
                    Some(FaultKind::DoAndRefuse { code }) => Err((*code, "refused by a fault".to_owned())),
                    _ => Ok(()),
                }
            });
            if let Err((code, message)) = outcome {
                result.error_code = code;
                result.error_message = Some(message);
            }
            topics.push(result);
        }
        if call.fault == Some(&FaultKind::Omit) && !topics.is_empty() {
            topics.remove(0);
        }
        let response = CreateTopicsResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), topics };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }
}

/// Returns the number of partitions and the settings of a topic, if it can be created.
fn check(topic: &CreatableTopic, cluster: &Cluster) -> Result<(usize, TopicConfig), (i16, String)> {
    let refuse = |code, message: String| Err((code, message));
    if !is_valid_topic_name(&topic.name) {
        return refuse(INVALID_TOPIC, format!("the topic name {:?} is invalid", topic.name));
    }
    if cluster.topics.contains_key(&topic.name) {
        return refuse(TOPIC_ALREADY_EXISTS, format!("the topic {:?} exists", topic.name));
    }
    let partitions = match (topic.assignments.len(), topic.num_partitions) {
        (0, -1) => cluster.settings.default_partitions,
        (0, partitions) => usize::try_from(partitions).unwrap_or(0),
        (assigned, _) => assigned,
    };
    if !(1..=MOST_PARTITIONS).contains(&partitions) {
        return refuse(INVALID_PARTITIONS, format!("{partitions} partitions, not 1 to {MOST_PARTITIONS}"));
    }
    let replicas = topic.replication_factor;
    if topic.assignments.is_empty() && replicas != -1 && !(1..=cluster.members.len() as i16).contains(&replicas) {
        let message = format!("{replicas} replicas, but there are {} brokers", cluster.members.len());
        return refuse(INVALID_REPLICATION_FACTOR, message);
    }
    let mut config = cluster.settings.topic;
    for setting in &topic.configs {
        if !apply(setting, &mut config) {
            return refuse(INVALID_CONFIG, format!("the value of {} is invalid", setting.name));
        }
    }
    Ok((partitions, config))
}

/// Applies a setting. Those that the brokers do not know are ignored. Returns false if the value is invalid.
fn apply(CreatableTopicConfig { name, value }: &CreatableTopicConfig, config: &mut TopicConfig) -> bool {
    let Some(value) = value.as_deref() else { return true };
    let number = |field: &mut i64| value.parse().map(|number| *field = number).is_ok();
    match name.as_str() {
        "cleanup.policy" => {
            config.compacted = value.split(',').any(|policy| policy.trim() == "compact");
            true
        }
        "message.timestamp.type" => {
            config.log_append_time = value == "LogAppendTime";
            config.log_append_time || value == "CreateTime"
        }
        "max.message.bytes" => value.parse().map(|bytes| config.max_message_bytes = bytes).is_ok(),
        "message.timestamp.before.max.ms" => number(&mut config.timestamp_before_max_ms),
        "message.timestamp.after.max.ms" => number(&mut config.timestamp_after_max_ms),
        _ => true,
    }
}
