//! CreateTopics.

use kafka_batch_witnesses::kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_batch_witnesses::kafka_protocol::messages::{BrokerId, CreateTopicsRequest};

use crate::requests::{create, metadata, new_topic, text};
use crate::setup::EMPTY;
use crate::table::{Row, Table, encoded};

const NO_LIST_OF_SETTINGS: &str = "the cluster has few settings, and does not list them";
const NO_CHECK: &str =
    "settings that the cluster does not have are accepted unread, so that any producer's topics can be created";

/// A response lists settings of a created topic from v5 on.
fn lists_settings(version: i16, row: &mut Row) {
    if version >= 5 {
        row.differs("configs", NO_LIST_OF_SETTINGS);
    }
}

fn one(topic: CreatableTopic) -> CreateTopicsRequest {
    create(vec![topic])
}

fn replicas(partition: i32, brokers: &[i32]) -> CreatableReplicaAssignment {
    let brokers = brokers.iter().copied().map(BrokerId).collect();
    CreatableReplicaAssignment::default().with_partition_index(partition).with_broker_ids(brokers)
}

pub(crate) fn add(table: &mut Table) {
    for version in 2..=7 {
        let request = one(new_topic(&format!("created-{version}"), 3, &[]));
        lists_settings(version, table.ask(format!("a new topic, in v{version}"), version, request));
    }
    for version in [0, 1, 8] {
        let body = if version < 5 { &b"\0\0\0\0\0\0\0\0\0"[..] } else { b"\x01\0\0\0\0\0\0" };
        table.by_hand::<CreateTopicsRequest>(format!("no topics in v{version}, which does not exist"), version, body);
    }
    for version in [2, 5, 7] {
        table.ask(format!("a topic that exists, in v{version}"), version, one(new_topic(EMPTY, 3, &[])));
    }
    table.ask("no topics", 7, create(Vec::new()));
    table.ask("a topic twice in a request", 7, create(vec![new_topic("twin", 1, &[]), new_topic("twin", 1, &[])]));
    let two = create(vec![new_topic("good", 1, &[]), new_topic("not good", 1, &[])]);
    lists_settings(7, table.ask("a good topic, and a bad one", 7, two));
    names(table);
    numbers(table);
    settings(table);
    assignments(table);
    validate_only(table);
    let body = encoded(&one(new_topic("malformed", 1, &[])), 4);
    table.by_hand::<CreateTopicsRequest>("a new topic, with a body that ends early", 4, &body[..body.len() - 3]);
    table.by_hand::<CreateTopicsRequest>("a new topic, with bytes after the body", 4, [&body[..], b"more"].concat());
    table.by_hand::<CreateTopicsRequest>(
        "a new topic with a null name",
        4,
        *b"\0\0\0\x01\xff\xff\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0\0\0\x75\x30\0",
    );
}

fn names(table: &mut Table) {
    let (long, longest) = ("y".repeat(250), "y".repeat(249));
    for bad in ["", ".", "..", "a b", "a/b", "ä", "a\0b", &long] {
        let shown = if bad.len() > 100 { format!("of {} bytes", bad.len()) } else { format!("{bad:?}") };
        table.ask(format!("a new topic with the invalid name {shown}"), 7, one(new_topic(bad, 1, &[])));
    }
    table.ask("a new topic with the invalid name \"\", in v2", 2, one(new_topic("", 1, &[])));
    table.ask("a new topic with a name of 249 bytes", 4, one(new_topic(&longest, 1, &[])));
    table.ask("a new topic with an underscore", 4, one(new_topic("one_name", 1, &[])));
    table.ask("a new topic whose name collides with it", 4, one(new_topic("one.name", 1, &[])));
    let both = create(vec![new_topic("two.name", 1, &[]), new_topic("two_name", 1, &[])]);
    table.ask("two new topics whose names collide", 4, both);
}

fn numbers(table: &mut Table) {
    for partitions in [0, -2, i32::MIN] {
        let request = one(new_topic("unfounded", partitions, &[]));
        table.ask(format!("a new topic with {partitions} partitions"), 4, request);
    }
    lists_settings(
        7,
        table.ask(
            "a new topic with the default number of partitions",
            7,
            one(new_topic("default-partitions", -1, &[])),
        ),
    );
    for (name, replication) in [("0", 0), ("−2", -2), ("2", 2), ("the most", i16::MAX)] {
        let request = one(new_topic("unfounded", 1, &[]).with_replication_factor(replication));
        table.ask(format!("a new topic with {name} replicas"), 4, request);
    }
    let default = one(new_topic("default-replicas", 2, &[]).with_replication_factor(-1));
    lists_settings(7, table.ask("a new topic with the default number of replicas", 7, default));
    table.ask("a new topic with defaults, in v2", 2, one(new_topic("defaults-in-2", -1, &[])));
}

fn settings(table: &mut Table) {
    for (name, value) in [
        ("max.message.bytes", "many"),
        ("max.message.bytes", "-1"),
        ("max.message.bytes", "3000000000"),
        ("max.message.bytes", ""),
        ("cleanup.policy", "never"),
        ("cleanup.policy", ""),
        ("cleanup.policy", "compact,never"),
        ("message.timestamp.type", "Sometimes"),
        ("message.timestamp.type", "logappendtime"),
        ("message.timestamp.before.max.ms", "-1"),
        ("message.timestamp.before.max.ms", "soon"),
        ("message.timestamp.after.max.ms", "1.5"),
    ] {
        let request = one(new_topic("misset", 1, &[(name, value)]));
        table.ask(format!("a new topic with {name}={value:?}"), 4, request);
    }
    for (position, (name, value)) in [
        ("max.message.bytes", "0"),
        ("max.message.bytes", " 1000 "),
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "delete,compact"),
        ("message.timestamp.type", "LogAppendTime"),
        ("message.timestamp.before.max.ms", "0"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = one(new_topic(&format!("set-{position}"), 1, &[(name, value)]));
        table.ask(format!("a new topic with {name}={value:?}, in v4"), 4, request);
    }
    let null = |name| CreatableTopicConfig::default().with_name(text(name)).with_value(None);
    let request = one(new_topic("misset", 1, &[]).with_configs(vec![null("max.message.bytes")]));
    table.ask("a new topic with max.message.bytes=null", 7, request);
    let twice = one(new_topic("set-twice", 1, &[("max.message.bytes", "5"), ("max.message.bytes", "100")]));
    table.ask("a new topic with a setting twice", 4, twice);
    for (name, value) in [("no.such.setting", "1"), ("compression.type", "zip"), ("retention.ms", "long")] {
        let request = one(new_topic("unchecked", 1, &[(name, value)])).with_validate_only(true);
        table.ask(format!("a topic to check, with {name}={value:?}"), 4, request).differs("*", NO_CHECK);
    }
}

fn assignments(table: &mut Table) {
    let unset = || new_topic("assigned", -1, &[]).with_replication_factor(-1);
    let good = unset().with_assignments(vec![replicas(0, &[1]), replicas(1, &[1])]);
    lists_settings(7, table.ask("a new topic with assigned replicas", 7, one(good)));
    for (name, topic) in [
        (
            "assigned replicas and a number of partitions",
            unset().with_num_partitions(1).with_assignments(vec![replicas(0, &[1])]),
        ),
        (
            "assigned replicas and their number",
            unset().with_replication_factor(1).with_assignments(vec![replicas(0, &[1])]),
        ),
        ("an assignment that begins at 1", unset().with_assignments(vec![replicas(1, &[1])])),
        ("an assignment with a gap", unset().with_assignments(vec![replicas(0, &[1]), replicas(2, &[1])])),
        ("an assignment of one partition twice", unset().with_assignments(vec![replicas(0, &[1]), replicas(0, &[1])])),
        ("an assignment to no broker", unset().with_assignments(vec![replicas(0, &[])])),
        ("an assignment to an unknown broker", unset().with_assignments(vec![replicas(0, &[9])])),
        ("an assignment to a broker twice", unset().with_assignments(vec![replicas(0, &[1, 1])])),
    ] {
        let topic = topic.with_name(crate::requests::name("misassigned"));
        table.ask(format!("a new topic with {name}"), 4, one(topic));
    }
}

fn validate_only(table: &mut Table) {
    for version in [2, 7] {
        let request = one(new_topic("checked", 2, &[])).with_validate_only(true);
        lists_settings(version, table.ask(format!("a topic to check, in v{version}"), version, request));
    }
    table.ask("the topic that was checked only", 9, metadata(9, Some(&["checked"]), false));
    table.ask("a topic that exists, to check", 7, one(new_topic(EMPTY, 2, &[])).with_validate_only(true));
    let wrong = one(new_topic("checked", 0, &[])).with_validate_only(true);
    table.ask("a topic to check, with no partitions", 7, wrong);
    table.ask("the topic that was created in v7", 12, metadata(12, Some(&["created-7"]), false));
}
