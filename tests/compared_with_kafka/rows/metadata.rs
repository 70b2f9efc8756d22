//! Metadata.

use kafka_batch_witnesses::kafka_protocol::messages::MetadataRequest;
use kafka_batch_witnesses::kafka_protocol::messages::metadata_request::MetadataRequestTopic;

use crate::requests::{metadata, name};
use crate::setup::{COMPACTED, EMPTY};
use crate::table::{Table, encoded};
use crate::target::{UNKNOWN_ID, id_of};

const LEADERS_AT_ONCE: &str =
    "a topic that is created on request has leaders at once; in Kafka the client has to ask again";

fn topics(topics: Vec<MetadataRequestTopic>) -> MetadataRequest {
    MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(false)
}

pub(crate) fn add(table: &mut Table) {
    for version in 0..=13 {
        table.ask(format!("a topic, in v{version}"), version, metadata(version, Some(&[EMPTY]), false));
    }
    table.by_hand::<MetadataRequest>("metadata in v14, which does not exist", 14, *b"\0\0\0\0");
    table.by_hand::<MetadataRequest>("metadata in v−1, which does not exist", -1, *b"\0\0\0\0");
    table.ask("all topics, as an empty list in v0", 0, metadata(0, Some(&[]), false));
    for version in [1, 4, 8, 9, 12, 13] {
        table.ask(format!("all topics, as null in v{version}"), version, metadata(version, None, false));
    }
    for version in [1, 4, 9, 12, 13] {
        table.ask(format!("no topics, in v{version}"), version, metadata(version, Some(&[]), false));
    }
    for version in [4, 7, 9, 11, 12, 13] {
        let request = metadata(version, Some(&["unknown"]), false);
        table.ask(format!("a topic that does not exist, in v{version}"), version, request);
    }
    table.ask("two topics", 9, metadata(9, Some(&[EMPTY, COMPACTED]), false));
    table.ask("a topic, and one that does not exist", 9, metadata(9, Some(&[EMPTY, "unknown"]), false));
    table.ask("a topic twice", 9, metadata(9, Some(&[EMPTY, EMPTY]), false));
    table.ask("a topic that does not exist, twice", 9, metadata(9, Some(&["unknown", "unknown"]), false));
    by_id(table);
    names(table);
    for version in [8, 9, 10] {
        let both = metadata(version, Some(&[EMPTY]), false)
            .with_include_cluster_authorized_operations(true)
            .with_include_topic_authorized_operations(true);
        table.ask(format!("authorized operations, in v{version}"), version, both);
    }
    let of_topic = metadata(12, Some(&[EMPTY, "unknown"]), false).with_include_topic_authorized_operations(true);
    table.ask("authorized operations of topics, in v12", 12, of_topic);
    malformed(table);
    // Last: Kafka creates them at some later time.
    for (version, new) in [(1, "made-in-1"), (4, "made-in-4"), (9, "made-in-9"), (13, "made-in-13")] {
        let request = metadata(version, Some(&[new]), true);
        table.ask(format!("a topic to create, in v{version}"), version, request).differs("topics", LEADERS_AT_ONCE);
    }
}

fn by_id(table: &mut Table) {
    let entry = MetadataRequestTopic::default;
    for version in [12, 13] {
        let own =
            move |target: &crate::target::Target| topics(vec![entry().with_name(None).with_topic_id(target.id(EMPTY))]);
        table.ask_with(format!("a topic's id, in v{version}"), version, own);
        let unknown = topics(vec![entry().with_name(None).with_topic_id(id_of(UNKNOWN_ID))]);
        table.ask(format!("an id that no topic has, in v{version}"), version, unknown);
        table.ask(format!("neither name nor id, in v{version}"), version, topics(vec![entry().with_name(None)]));
    }
    for version in [10, 11] {
        let both = topics(vec![entry().with_name(Some(name(EMPTY))).with_topic_id(id_of(UNKNOWN_ID))]);
        table.ask(format!("a name and an id, in v{version}, where ids are not supported"), version, both);
    }
    let both = topics(vec![entry().with_name(Some(name(EMPTY))).with_topic_id(id_of(UNKNOWN_ID))]);
    table.ask("a name, and an id that no topic has", 12, both);
    table.ask_with("an id twice", 12, move |target| {
        let one = entry().with_name(None).with_topic_id(target.id(EMPTY));
        topics(vec![one.clone(), one])
    });
    table.ask_with("an id and an unknown one", 12, move |target| {
        let one = entry().with_name(None).with_topic_id(target.id(EMPTY));
        topics(vec![one, entry().with_name(None).with_topic_id(id_of(UNKNOWN_ID))])
    });
    table.ask_with("an id and a name", 12, move |target| {
        let one = entry().with_name(None).with_topic_id(target.id(EMPTY));
        topics(vec![one, entry().with_name(Some(name(COMPACTED)))])
    });
}

fn names(table: &mut Table) {
    let long = "x".repeat(250);
    let invalid = ["", ".", "..", "a b", "a/b", "ä", "a:b", "a\0b", &long];
    for bad in invalid {
        for create in [false, true] {
            let how = if create { ", which may be created" } else { "" };
            let shown = if bad.len() > 100 { format!("of {} bytes", bad.len()) } else { format!("{bad:?}") };
            table.ask(format!("the invalid name {shown}{how}"), 9, metadata(9, Some(&[bad]), create));
        }
    }
    table.ask("the invalid name \"a b\", in v1", 1, metadata(1, Some(&["a b"]), true));
    table.ask("the invalid name \"\", in v13", 13, metadata(13, Some(&[""]), true));
    let longest = "x".repeat(249);
    table.ask("a name of 249 bytes", 9, metadata(9, Some(&[&longest]), false));
}

fn malformed(table: &mut Table) {
    table.by_hand::<MetadataRequest>("metadata, without a body", 1, Vec::new());
    table.by_hand::<MetadataRequest>("metadata, with the null name of a topic", 1, *b"\0\0\0\x01\xff\xff");
    table.by_hand::<MetadataRequest>("metadata, with a null name in v9", 9, *b"\x02\0\0\0\0\0\0");
    table.by_hand::<MetadataRequest>("metadata, with a count of −2", 1, *b"\xff\xff\xff\xfe");
    table.by_hand::<MetadataRequest>("metadata, with a count of 2³¹ − 1", 1, *b"\x7f\xff\xff\xff");
    table.by_hand::<MetadataRequest>("metadata, with more topics than there are", 1, *b"\0\0\0\x02\0\x01a");
    table.by_hand::<MetadataRequest>("metadata, with a name longer than the request", 1, *b"\0\0\0\x01\0\x09a");
    table.by_hand::<MetadataRequest>("metadata, with a name that is not UTF-8", 1, *b"\0\0\0\x01\0\x02\xff\xfe");
    let body = encoded(&metadata(9, Some(&[EMPTY]), false), 9);
    table.by_hand::<MetadataRequest>("metadata, with bytes after the body", 9, [&body[..], b"more"].concat());
    table.by_hand::<MetadataRequest>("metadata, with a body that ends early", 9, &body[..body.len() - 2]);
    let tagged = [&body[..body.len() - 1], b"\x01\x09\x03abc"].concat();
    table.by_hand::<MetadataRequest>("metadata, with a tagged field that does not exist", 9, tagged);
    let body = encoded(&metadata(1, Some(&[EMPTY]), false), 1);
    table.by_hand::<MetadataRequest>("metadata, with bytes after the body, in v1", 1, [&body[..], b"more"].concat());
    // A boolean of 2 is true.
    table.by_hand::<MetadataRequest>("metadata, with a boolean of 2", 8, *b"\0\0\0\0\x02\0\0");
}
