//! Produce: versions, codecs, acknowledgements, topics and partitions.

use bytes::Bytes;
use kafka_batch_witnesses::kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_batch_witnesses::kafka_protocol::messages::{ProduceRequest, TransactionalId};

use crate::batch::{Batch, CODECS, message};
use crate::requests::{name, produce, sets, text};
use crate::setup::{EMPTY, PLAIN};
use crate::table::{Row, Table, encoded, framed, with_length};
use crate::target::{UNKNOWN_ID, id_of};

/// Adds a request with this record set for a partition of its own.
pub(super) fn send(table: &mut Table, row: impl Into<String>, version: i16, records: Bytes) -> &mut Row {
    let partition = table.partition();
    send_to(table, row, version, (PLAIN, partition), -1, records)
}

/// Adds a request with this record set.
pub(super) fn send_to<'a>(
    table: &'a mut Table,
    row: impl Into<String>,
    version: i16,
    (topic, partition): (&'static str, i32),
    acks: i16,
    records: Bytes,
) -> &'a mut Row {
    table.ask_with(row, version, move |target| {
        produce(acks, vec![sets(version, target, topic, vec![(partition, Some(records.clone()))])])
    })
}

pub(crate) fn add(table: &mut Table) {
    for version in 3..=13 {
        send(table, format!("a batch, in v{version}"), version, Batch::three().bytes());
    }
    for (codec, number) in CODECS {
        for version in [3, 6, 7, 9, 12, 13] {
            let batch = Batch { codec: number, ..Batch::three() };
            send(table, format!("a batch with {codec}, in v{version}"), version, batch.bytes());
        }
    }
    old_formats(table);
    acks(table);
    places(table);
    several(table);
    nothing(table);
    malformed(table);
}

fn old_formats(table: &mut Table) {
    for version in [3, 7, 12, 13] {
        for magic in [0, 1] {
            let row = format!("a message of magic {magic}, in v{version}");
            send(table, row, version, message(magic, 0, Some(b"k"), Some(b"v")));
        }
    }
    let wrapper = |magic: u8, codec: u8| {
        let inner = crate::batch::compressed(codec.into(), &message(magic, 0, Some(b"k"), Some(b"v")));
        message(magic, codec, None, Some(&inner))
    };
    send(table, "a compressed message of magic 1, in v9", 9, wrapper(1, 1));
    // The body without a transactional id: acks, time-out, one topic, one partition, records.
    for (version, magic) in [(0, 0), (1, 0), (2, 1), (2, 2)] {
        let records = if magic == 2 { Batch::three().bytes() } else { message(magic, 0, Some(b"k"), Some(b"v")) };
        let head = b"\xff\xff\0\0\x75\x30\0\0\0\x01\0\x05plain\0\0\0\x01\0\0\0\0";
        let body = [&head[..], &with_length(&records)].concat();
        let row = format!("magic {magic} in v{version}, which is listed and does not exist");
        table.by_hand::<ProduceRequest>(row, version, body);
    }
}

fn acks(table: &mut Table) {
    for (acks, version) in [(1, 3), (1, 12), (1, 13), (-1, 4)] {
        let at = (PLAIN, table.partition());
        send_to(table, format!("a batch with acks={acks}, in v{version}"), version, at, acks, Batch::three().bytes());
    }
    for (acks, version) in [(2, 3), (2, 12), (-2, 7), (i16::MAX, 9), (-2, 13)] {
        let at = (PLAIN, table.partition());
        let row = format!("a batch with acks={acks}, which is invalid, in v{version}");
        send_to(table, row, version, at, acks, Batch::three().bytes());
    }
    for version in [3, 9, 13] {
        let at = (PLAIN, table.partition());
        let row = format!("a batch with acks=0, in v{version}");
        send_to(table, row, version, at, 0, Batch::three().bytes()).no_response();
        send_to(table, format!("another batch after it, in v{version}"), version, at, -1, Batch::three().bytes());
    }
    let wrong = Batch { crc: Some(1), ..Batch::three() };
    let at = (PLAIN, table.partition());
    send_to(table, "a wrong checksum with acks=0", 12, at, 0, wrong.bytes());
    send_to(table, "no batch with acks=0", 12, at, 0, Bytes::new());
    send_to(table, "an unknown topic with acks=0", 12, ("unknown", 0), 0, Batch::three().bytes());
    send_to(table, "an unknown partition with acks=0", 12, (EMPTY, 3), 0, Batch::three().bytes());
    send_to(table, "a message of magic 1 with acks=0", 7, at, 0, message(1, 0, Some(b"k"), Some(b"v")));
    let timeout = |timeout| {
        move |partition: i32| {
            let topic = TopicProduceData::default().with_name(name(PLAIN));
            let set = PartitionProduceData::default().with_index(partition).with_records(Some(Batch::three().bytes()));
            produce(-1, vec![topic.with_partition_data(vec![set])]).with_timeout_ms(timeout)
        }
    };
    for number in [0, -1] {
        let request = timeout(number)(table.partition());
        table.ask(format!("a batch with a time-out of {number} ms"), 9, request);
    }
}

fn places(table: &mut Table) {
    for version in [3, 5, 8, 9, 10, 12] {
        send_to(table, format!("an unknown topic, in v{version}"), version, ("unknown", 0), -1, Batch::three().bytes());
    }
    for version in [3, 8, 10, 12, 13] {
        for (row, partition) in
            [("an unknown partition", 3), ("the partition −1", -1), ("the largest partition", i32::MAX)]
        {
            let row = format!("{row}, in v{version}");
            send_to(table, row, version, (EMPTY, partition), -1, Batch::three().bytes());
        }
    }
    for topic in ["", "not valid", ".."] {
        send_to(table, format!("the topic {topic:?}, which is invalid"), 12, (topic, 0), -1, Batch::three().bytes());
    }
    let by_id = |id: [u8; 16], partition, records| {
        let set = PartitionProduceData::default().with_index(partition).with_records(Some(records));
        produce(-1, vec![TopicProduceData::default().with_topic_id(id_of(id)).with_partition_data(vec![set])])
    };
    table.ask("an id that no topic has", 13, by_id(UNKNOWN_ID, 0, Batch::three().bytes()));
    table.ask("an id that no topic has, and an unknown partition", 13, by_id(UNKNOWN_ID, -3, Batch::three().bytes()));
    table.ask("an id of zeros", 13, by_id([0; 16], 0, Batch::three().bytes()));
    table.ask("an id that no topic has, and no batch", 13, by_id(UNKNOWN_ID, 0, Bytes::new()));
    send_to(table, "an unknown topic, and no batch", 12, ("unknown", 0), -1, Bytes::new());
    let wrong = Batch { crc: Some(1), ..Batch::three() };
    send_to(table, "an unknown topic, and a wrong checksum", 12, ("unknown", 0), -1, wrong.bytes());
    send_to(
        table,
        "an unknown topic, and a message of magic 1",
        12,
        ("unknown", 0),
        -1,
        message(1, 0, None, Some(b"v")),
    );
}

fn several(table: &mut Table) {
    for version in [3, 9, 13] {
        let (first, second, third) = (table.partition(), table.partition(), table.partition());
        let good = Batch::three().bytes();
        let wrong = Batch { crc: Some(1), ..Batch::three() }.bytes();
        table.ask_with(format!("a batch, a wrong one, and none, in v{version}"), version, move |target| {
            let all = vec![(first, Some(good.clone())), (second, Some(wrong.clone())), (third, Some(Bytes::new()))];
            produce(-1, vec![sets(version, target, PLAIN, all)])
        });
        table.ask_with(format!("two topics, one unknown partition, in v{version}"), version, move |target| {
            let batch = || Some(Batch::three().bytes());
            let topics = [(PLAIN, vec![(third, batch())]), (EMPTY, vec![(7, batch())])];
            produce(-1, topics.map(|(topic, all)| sets(version, target, topic, all)).to_vec())
        });
    }
    let (one, other) = (table.partition(), table.partition());
    let two =
        |first: usize, second: usize| [first, second].map(|count| Some(Batch::stamped(-1, -1, -1, count).bytes()));
    table.ask_with("a partition twice", 12, move |target| {
        let [first, second] = two(2, 3);
        produce(-1, vec![sets(12, target, PLAIN, vec![(one, first), (one, second)])])
    });
    send_to(table, "the partition after it", 12, (PLAIN, one), -1, Batch::three().bytes());
    table.ask_with("a topic twice, with a partition each", 12, move |target| {
        let [first, second] = two(1, 4);
        produce(-1, vec![sets(12, target, PLAIN, vec![(one, first)]), sets(12, target, PLAIN, vec![(other, second)])])
    });
    table.ask_with("a topic twice, with the same partition", 12, move |target| {
        let [first, second] = two(1, 4);
        produce(-1, vec![sets(12, target, PLAIN, vec![(other, first)]), sets(12, target, PLAIN, vec![(other, second)])])
    });
}

fn nothing(table: &mut Table) {
    for version in [3, 9, 13] {
        table.ask(format!("no topics, in v{version}"), version, produce(-1, Vec::new()));
    }
    table.ask("no topics, with acks=0", 9, produce(0, Vec::new())).no_response();
    table.ask("no topics, with acks=5", 9, produce(5, Vec::new()));
    for version in [3, 12, 13] {
        table.ask_with(format!("a topic without partitions, in v{version}"), version, move |target| {
            produce(-1, vec![sets(version, target, PLAIN, Vec::new())])
        });
        send(table, format!("a record set without bytes, in v{version}"), version, Bytes::new());
    }
    let partition = table.partition();
    table
        .ask_with("a null record set", 12, move |target| {
            produce(-1, vec![sets(12, target, PLAIN, vec![(partition, None)])])
        })
        .silence();
}

fn malformed(table: &mut Table) {
    let partition = table.partition();
    let topic = TopicProduceData::default().with_name(name(PLAIN));
    let set = PartitionProduceData::default().with_index(partition).with_records(Some(Batch::three().bytes()));
    let request = produce(-1, vec![topic.with_partition_data(vec![set])]);
    let body = encoded(&request, 9);
    table.by_hand::<ProduceRequest>("a request that ends early", 9, &body[..body.len() - 8]);
    table.by_hand::<ProduceRequest>("a request with bytes after it", 9, [&body[..], b"more"].concat());
    let tagged = [&body[..body.len() - 1], b"\x01\x09\x03abc"].concat();
    table.by_hand::<ProduceRequest>("a request with a tagged field that does not exist", 9, tagged);
    let newest = encoded(&produce(-1, Vec::new()), 13);
    table.raw::<ProduceRequest>("a request in v14, which does not exist", 14, framed::<ProduceRequest>(14, &newest));
    table.by_hand::<ProduceRequest>(
        "a request with a count of topics of −2",
        3,
        *b"\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xfe",
    );
    table.by_hand::<ProduceRequest>("a request with null topics", 3, *b"\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff");
    let beyond = b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x01\0\x05plain\0\0\0\x01\0\0\0\0\x7f\xff\xff\xffabc";
    table.by_hand::<ProduceRequest>("a record set that is longer than the request", 3, *beyond);
    let negative = b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x01\0\x05plain\0\0\0\x01\0\0\0\0\xff\xff\xff\xfeabc";
    table.by_hand::<ProduceRequest>("a record set with a length of −2", 3, *negative).silence();
    let request = request.with_transactional_id(Some(TransactionalId(text("nobody"))));
    table.ask("a transactional id, and a batch without one", 9, request);
}
