//! What is known of the cluster: brokers, who leads which partition, ids of topics. Answers that are old news change nothing.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::verdict::{TopicVerdict, metadata};
use crate::protocol::{
    ApiKey, BrokerError, ErrorCode, LeaderIdAndEpoch, MetadataBroker, MetadataResponse, MetadataTopic, NodeEndpoint,
    Uuid,
};
use crate::record::TopicPartition;

/// Where a broker can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The cluster, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    brokers: BTreeMap<i32, Address>,
    topics: BTreeMap<String, Topic>,
}

#[derive(Debug)]
struct Topic {
    /// Whether it was asked for since [`Cluster::forget_unused`] looked last.
    used: bool,
    id: Uuid,
    /// Why nothing is known of it, from the last answer.
    error: Option<BrokerError>,
    partitions: BTreeMap<i32, Leadership>,
    /// Why partitions have no leader, from the last answer.
    leaderless: BTreeMap<i32, BrokerError>,
}

#[derive(Clone, Copy, Debug)]
struct Leadership {
    leader: Option<i32>,
    /// −1 where brokers do not count them.
    epoch: i32,
    /// How many answers in a row named a leader with a lower epoch, while nobody was known to lead.
    passed_over: u8,
}

impl Leadership {
    const fn new(leader: Option<i32>, epoch: i32) -> Self {
        Self { leader, epoch, passed_over: 0 }
    }

    /// What is known after an answer with a lower epoch.
    const fn after_old_news(mut self, leader: Option<i32>, epoch: i32) -> Self {
        if self.leader.is_some() || leader.is_none() {
            return self;
        }
        self.passed_over += 1;
        if self.passed_over < OLD_NEWS_BELIEVED_AFTER { self } else { Self::new(leader, epoch) }
    }
}

/// Where an answer comes from, and what it answers.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The broker, which may not have told its id yet.
    pub(super) broker: Option<i32>,
    /// The version of Metadata.
    pub(super) version: i16,
    /// The topics that were asked for: of others nothing is learned.
    pub(super) asked: &'a [String],
}

/// Before it, brokers may name old epochs while replicas are reassigned (KAFKA-9212): they are not believed, as in the Java
/// client.
const GOOD_EPOCHS_SINCE: i16 = 9;

/// So many answers in a row make a lower epoch believed, where nobody is known to lead: a topic that was made anew on a
/// broker without topic ids counts from 0 (KAFKA-12257).
const OLD_NEWS_BELIEVED_AFTER: u8 = 5;

/// What an answer brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// It is of no use: no brokers are in it.
    pub(super) useless: bool,
    /// Begin anew with the bootstrap servers.
    pub(super) rebootstrap: bool,
    /// Topics that will not be there, with the error that says so.
    pub(super) refused: Vec<(String, BrokerError)>,
    /// Topics that were made anew: another id under the same name.
    pub(super) made_anew: Vec<String>,
}

impl Cluster {
    /// Takes an answer in.
    pub(super) fn apply(&mut self, response: &MetadataResponse, source: Source<'_>) -> News {
        let mut news = News::default();
        if metadata(response.error_code) == TopicVerdict::Rebootstrap {
            *self = Self::default();
            news.rebootstrap = true;
            return news;
        }
        if response.brokers.is_empty() {
            news.useless = true;
            return news;
        }
        self.brokers = response.brokers.iter().filter_map(address).collect();
        for topic in &response.topics {
            let Some(name) = topic.name.as_ref().filter(|name| source.asked.contains(name)) else { continue };
            let error = || {
                BrokerError::new(ApiKey::Metadata, topic.error_code)
                    .in_version(source.version)
                    .from_broker(source.broker)
            };
            match metadata(topic.error_code) {
                TopicVerdict::Known => {
                    if self.learn(name, topic, source) {
                        news.made_anew.push(name.clone());
                    }
                }
                TopicVerdict::Fail => {
                    news.refused.push((name.clone(), error()));
                    self.topics.remove(name);
                }
                TopicVerdict::AskAgain | TopicVerdict::Rebootstrap => {
                    self.topics.insert(name.clone(), Topic::unknown(Some(error())));
                }
            }
        }
        news
    }

    /// Whether it is another topic of the same name.
    fn learn(&mut self, name: &str, told: &MetadataTopic, source: Source<'_>) -> bool {
        let counts_epochs = source.version >= GOOD_EPOCHS_SINCE;
        let known = self.topics.entry(name.into()).or_insert_with(|| Topic::unknown(None));
        let made_anew = !known.id.is_zero() && !told.topic_id.is_zero() && known.id != told.topic_id;
        let mut before = core::mem::take(&mut known.partitions);
        if made_anew {
            before.clear();
        }
        known.used = true;
        known.error = None;
        known.leaderless.clear();
        if !told.topic_id.is_zero() {
            known.id = told.topic_id;
        }
        for partition in &told.partitions {
            // REPLICA_NOT_AVAILABLE: some replica is down, and the leader beside it is good.
            let good = matches!(partition.error_code, ErrorCode::NONE | ErrorCode::REPLICA_NOT_AVAILABLE);
            let leader = Some(partition.leader_id).filter(|id| good && self.brokers.contains_key(id));
            if leader.is_none() {
                let code = if good { ErrorCode::LEADER_NOT_AVAILABLE } else { partition.error_code };
                let error =
                    BrokerError::new(ApiKey::Metadata, code).in_version(source.version).from_broker(source.broker);
                let message = format!("partition {} has no leader", partition.partition_index);
                known.leaderless.insert(partition.partition_index, error.with_message(message));
            }
            let epoch = if counts_epochs { partition.leader_epoch } else { -1 };
            let now = match before.remove(&partition.partition_index) {
                Some(before) if epoch >= 0 && epoch < before.epoch => before.after_old_news(leader, epoch),
                _ => Leadership::new(leader, epoch),
            };
            known.partitions.insert(partition.partition_index, now);
        }
        made_anew
    }

    /// Why a partition has no leader, if a broker said so.
    pub(super) fn leaderless(&self, to: &TopicPartition) -> Option<&BrokerError> {
        self.topics.get(&to.topic)?.leaderless.get(&to.partition)
    }

    /// The broker said itself who leads now (KIP-951). True if that is news.
    pub(super) fn hint(&mut self, to: &TopicPartition, hint: LeaderIdAndEpoch, endpoints: &[NodeEndpoint]) -> bool {
        let Some(known) = self.topics.get_mut(&to.topic).and_then(|topic| topic.partitions.get_mut(&to.partition))
        else {
            return false;
        };
        if hint.leader_epoch <= known.epoch {
            return false;
        }
        let endpoint = endpoints.iter().find(|endpoint| endpoint.node_id == hint.leader_id);
        if let Some((endpoint, Ok(port))) = endpoint.map(|endpoint| (endpoint, u16::try_from(endpoint.port))) {
            self.brokers.insert(hint.leader_id, Address { host: endpoint.host.clone(), port });
        }
        if !self.brokers.contains_key(&hint.leader_id) {
            return false;
        }
        *known = Leadership::new(Some(hint.leader_id), hint.leader_epoch);
        true
    }

    /// The broker does not lead the partition: nobody does until metadata says so. If it does not even know the
    /// partition, what epochs were counted until now means nothing.
    pub(super) fn forget_leader(&mut self, to: &TopicPartition, leader: i32, code: Option<ErrorCode>) {
        let Some(topic) = self.topics.get_mut(&to.topic) else { return };
        if let Some(known) = topic.partitions.get_mut(&to.partition).filter(|known| known.leader == Some(leader)) {
            known.leader = None;
            if code == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) {
                known.epoch = -1;
            }
        }
        if matches!(code, Some(ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID)) {
            topic.id = Uuid::ZERO;
            for known in topic.partitions.values_mut() {
                *known = Leadership::new(None, -1);
            }
        }
    }

    /// Forgets the topics that were not asked for since the last call, and that are of no use.
    pub(super) fn forget_unused(&mut self, is_used: impl Fn(&str) -> bool) {
        self.topics.retain(|name, topic| core::mem::take(&mut topic.used) || is_used(name));
    }

    /// Whether no topic is known.
    pub(super) fn is_unused(&self) -> bool {
        self.topics.is_empty()
    }

    /// Who leads the partition.
    pub(super) fn leader(&self, to: &TopicPartition) -> Option<i32> {
        let leader = self.topics.get(&to.topic)?.partitions.get(&to.partition)?.leader?;
        self.brokers.contains_key(&leader).then_some(leader)
    }

    /// The topic's id; zero if it is not known.
    pub(super) fn topic_id(&self, topic: &str) -> Uuid {
        self.topics.get(topic).map_or(Uuid::ZERO, |topic| topic.id)
    }

    /// How many partitions a topic has, if it is known.
    pub(super) fn partition_count(&self, topic: &str) -> Option<u32> {
        let known = self.topics.get(topic).filter(|known| known.error.is_none())?;
        let last = known.partitions.keys().next_back()?;
        u32::try_from(*last).ok()?.checked_add(1)
    }

    /// What the last answer said against a topic.
    pub(super) fn error(&self, topic: &str) -> Option<&BrokerError> {
        self.topics.get(topic)?.error.as_ref()
    }

    pub(super) fn address(&self, broker: i32) -> Option<&Address> {
        self.brokers.get(&broker)
    }

    pub(super) fn brokers(&self) -> impl Iterator<Item = i32> + '_ {
        self.brokers.keys().copied()
    }
}

impl Topic {
    fn unknown(error: Option<BrokerError>) -> Self {
        Self { used: true, id: Uuid::ZERO, error, partitions: BTreeMap::new(), leaderless: BTreeMap::new() }
    }
}

fn address(broker: &MetadataBroker) -> Option<(i32, Address)> {
    let port = u16::try_from(broker.port).ok()?;
    Some((broker.node_id, Address { host: broker.host.clone(), port }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::MetadataPartition;
    use alloc::vec;

    fn partition(index: i32, leader: i32, epoch: i32) -> MetadataPartition {
        MetadataPartition {
            error_code: ErrorCode::NONE,
            partition_index: index,
            leader_id: leader,
            leader_epoch: epoch,
            replica_nodes: vec![],
            isr_nodes: vec![],
            offline_replicas: vec![],
        }
    }

    fn topic(code: ErrorCode, id: u8, partitions: Vec<MetadataPartition>) -> MetadataTopic {
        MetadataTopic {
            error_code: code,
            name: Some("t".into()),
            topic_id: Uuid([id; 16]),
            is_internal: false,
            partitions,
            topic_authorized_operations: i32::MIN,
        }
    }

    fn told(brokers: &[i32], topics: Vec<MetadataTopic>) -> MetadataResponse {
        let broker = |&id: &i32| MetadataBroker { node_id: id, host: "h".into(), port: 9000 + id, rack: None };
        MetadataResponse {
            throttle_time_ms: 0,
            brokers: brokers.iter().map(broker).collect(),
            cluster_id: None,
            controller_id: -1,
            topics,
            cluster_authorized_operations: i32::MIN,
            error_code: ErrorCode::NONE,
        }
    }

    fn from() -> Source<'static> {
        static ASKED: std::sync::LazyLock<[String; 1]> = std::sync::LazyLock::new(|| ["t".into()]);
        Source { broker: None, version: 12, asked: &*ASKED }
    }

    fn to(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    #[test]
    fn leaders_are_learned_and_old_news_changes_nothing() {
        let mut cluster = Cluster::default();
        cluster.apply(
            &told(&[1, 2], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5), partition(1, 2, 3)])]),
            from(),
        );
        assert_eq!((cluster.leader(&to(0)), cluster.leader(&to(1)), cluster.leader(&to(2))), (Some(1), Some(2), None));
        assert_eq!(cluster.partition_count("t"), Some(2));
        cluster.apply(
            &told(&[1, 2], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 2, 4), partition(1, 1, 4)])]),
            from(),
        );
        assert_eq!((cluster.leader(&to(0)), cluster.leader(&to(1))), (Some(1), Some(1)));
        assert_eq!(cluster.address(2).unwrap().port, 9002);
    }

    #[test]
    fn an_old_epoch_is_believed_in_the_end_if_nobody_leads() {
        let mut cluster = Cluster::default();
        let answer = |epoch| told(&[1], vec![topic(ErrorCode::NONE, 0, vec![partition(0, 1, epoch)])]);
        cluster.apply(&answer(i32::MAX), from());
        cluster.forget_leader(&to(0), 1, Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        let leaders = [0; 5].map(|_| {
            cluster.apply(&answer(4), from());
            cluster.leader(&to(0))
        });
        assert_eq!(leaders, [None, None, None, None, Some(1)]);
        cluster.apply(&answer(3), from());
        assert_eq!(cluster.leader(&to(0)), Some(1), "the known one stays");
    }

    #[test]
    fn epochs_of_old_brokers_are_not_counted() {
        let mut cluster = Cluster::default();
        let answer = |leader, epoch| told(&[1, 2], vec![topic(ErrorCode::NONE, 0, vec![partition(0, leader, epoch)])]);
        cluster.apply(&answer(1, 5), Source { version: 8, ..from() });
        cluster.apply(&answer(2, 4), Source { version: 8, ..from() });
        assert_eq!(cluster.leader(&to(0)), Some(2));
    }

    #[test]
    fn what_was_not_asked_for_is_not_learned_and_what_is_gone_is_forgotten() {
        let mut cluster = Cluster::default();
        let two = told(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 1), partition(1, 1, 1)])]);
        cluster.apply(&two, Source { asked: &[], ..from() });
        assert!(cluster.is_unused());
        cluster.apply(&two, from());
        assert_eq!(cluster.partition_count("t"), Some(2));
        cluster.apply(&told(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 2)])]), from());
        assert_eq!(cluster.partition_count("t"), Some(1));
    }

    #[test]
    fn a_leader_that_is_no_broker_is_none() {
        let mut cluster = Cluster::default();
        cluster
            .apply(&told(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 7, 5), partition(1, 1, 1)])]), from());
        assert_eq!(cluster.leader(&to(0)), None);
        cluster.apply(&told(&[2], vec![]), from());
        assert_eq!(cluster.leader(&to(1)), None, "it left the cluster");
    }

    #[test]
    fn without_brokers_an_answer_is_useless() {
        let mut cluster = Cluster::default();
        cluster.apply(&told(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5)])]), from());
        assert!(
            cluster.apply(&told(&[], vec![topic(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0, vec![])]), from()).useless
        );
        assert_eq!(cluster.leader(&to(0)), Some(1));
    }

    #[test]
    fn topics_come_go_are_refused_and_made_anew() {
        let mut cluster = Cluster::default();
        cluster.apply(&told(&[1], vec![topic(ErrorCode::LEADER_NOT_AVAILABLE, 0, vec![])]), from());
        assert_eq!(cluster.error("t").unwrap().code, ErrorCode::LEADER_NOT_AVAILABLE);
        cluster.apply(&told(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 9)])]), from());
        assert_eq!((cluster.error("t"), cluster.topic_id("t")), (None, Uuid([1; 16])));
        let news = cluster.apply(&told(&[1], vec![topic(ErrorCode::NONE, 2, vec![partition(0, 1, 0)])]), from());
        assert_eq!(news.made_anew, ["t"]);
        assert_eq!((cluster.leader(&to(0)), cluster.topic_id("t")), (Some(1), Uuid([2; 16])));
        let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        let news = cluster.apply(&told(&[1], vec![topic(denied, 0, vec![])]), Source { broker: Some(1), ..from() });
        assert_eq!(
            news.refused,
            [("t".into(), BrokerError::new(ApiKey::Metadata, denied).in_version(12).from_broker(1))]
        );
        assert_eq!(cluster.leader(&to(0)), None);
    }

    #[test]
    fn a_forgotten_leader_comes_back_with_metadata() {
        let mut cluster = Cluster::default();
        let answer = told(&[1, 2], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5)])]);
        cluster.apply(&answer, from());
        cluster.forget_leader(&to(0), 2, Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        assert_eq!(cluster.leader(&to(0)), Some(1), "another one was meant");
        cluster.forget_leader(&to(0), 1, Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        assert_eq!(cluster.leader(&to(0)), None);
        cluster.apply(&told(&[1, 2], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 2, 4)])]), from());
        assert_eq!(cluster.leader(&to(0)), None, "old news");
        cluster.apply(&answer, from());
        assert_eq!(cluster.leader(&to(0)), Some(1));
        cluster.forget_leader(&to(0), 1, Some(ErrorCode::UNKNOWN_TOPIC_ID));
        assert_eq!((cluster.leader(&to(0)), cluster.topic_id("t")), (None, Uuid::ZERO));
        cluster.apply(&told(&[1, 2], vec![topic(ErrorCode::NONE, 3, vec![partition(0, 2, 0)])]), from());
        assert_eq!(cluster.leader(&to(0)), Some(2), "epochs count anew");
    }

    #[test]
    fn hints_are_followed_if_they_are_news_and_say_where() {
        let mut cluster = Cluster::default();
        cluster.apply(&told(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5)])]), from());
        let hint = |leader_id, leader_epoch| LeaderIdAndEpoch { leader_id, leader_epoch };
        let endpoint = NodeEndpoint { node_id: 3, host: "new".into(), port: 9003, rack: None };
        assert!(!cluster.hint(&to(0), hint(3, 5), core::slice::from_ref(&endpoint)), "old");
        assert!(!cluster.hint(&to(0), hint(4, 6), core::slice::from_ref(&endpoint)), "nobody knows where");
        assert!(cluster.hint(&to(0), hint(3, 6), &[endpoint]));
        assert_eq!((cluster.leader(&to(0)), cluster.address(3).unwrap().host.as_str()), (Some(3), "new"));
    }

    #[test]
    fn after_rebootstrap_nothing_is_known() {
        let mut cluster = Cluster::default();
        cluster.apply(&told(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5)])]), from());
        let answer = MetadataResponse { error_code: ErrorCode::REBOOTSTRAP_REQUIRED, ..told(&[], vec![]) };
        assert!(cluster.apply(&answer, from()).rebootstrap);
        assert_eq!(cluster.brokers().count(), 0);
    }
}
