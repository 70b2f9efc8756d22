//! Fetch, of the records that the rows of ListOffsets have written.

use kafka_batch_witnesses::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_batch_witnesses::kafka_protocol::messages::{BrokerId, FetchRequest};

use crate::requests::{fetch, fetch_topic, fetched, name, text};
use crate::setup::{APPEND_TIME, EMPTY, READ};
use crate::table::{Row, Table, encoded, framed};
use crate::target::{UNKNOWN_ID, id_of};

const NO_SESSIONS: &str = "the cluster keeps no fetch sessions, as a broker does that has no room for another one";

/// Adds a request for partitions of the topic with records.
fn read(
    table: &mut Table,
    row: impl Into<String>,
    version: i16,
    partitions: Vec<FetchPartition>,
    change: impl Fn(FetchRequest) -> FetchRequest + 'static,
) -> &mut Row {
    table.ask_with(row, version, move |target| {
        change(fetch(vec![fetch_topic(version, target, READ, partitions.clone())]))
    })
}

pub(crate) fn add(table: &mut Table) {
    for version in 4..=18 {
        read(table, format!("all records, in v{version}"), version, vec![fetched(0, 0)], |all| all);
    }
    for version in [0, 1, 2, 3] {
        let body = [&[0xff; 4][..], &[0; 8], &[0; 4], &[0; 4]].concat();
        table.by_hand::<FetchRequest>(format!("records, in v{version}, which does not exist"), version, body);
    }
    let newest = encoded(&fetch(Vec::new()), 18);
    table.by_hand::<FetchRequest>("records, in v19, which does not exist", 19, newest);
    for version in [4, 9, 10, 12, 13] {
        read(table, format!("compressed records, in v{version}"), version, vec![fetched(2, 0)], |all| all);
    }
    for version in [4, 9] {
        read(table, format!("records with zstd, in v{version}"), version, vec![fetched(2, 5)], |all| all);
    }
    for version in [4, 12, 13, 18] {
        for (row, offset) in [
            ("from within a batch", 1),
            ("from the last record", 8),
            ("from the end", 9),
            ("from beyond the end", 10),
            ("from far beyond the end", i64::MAX),
            ("from the offset −1", -1),
            ("from the least offset", i64::MIN),
        ] {
            read(table, format!("records {row}, in v{version}"), version, vec![fetched(0, offset)], |all| all);
        }
        read(table, format!("records of an empty partition, in v{version}"), version, vec![fetched(1, 0)], |all| all);
        read(table, format!("records of an unknown partition, in v{version}"), version, vec![fetched(3, 0)], |all| all);
        read(table, format!("records of the partition −1, in v{version}"), version, vec![fetched(-1, 0)], |all| all);
    }
    unknown(table);
    limits(table);
    leaders_and_sessions(table);
    let body =
        encoded(&fetch(vec![FetchTopic::default().with_topic(name(READ)).with_partitions(vec![fetched(0, 0)])]), 12);
    let cut = framed::<FetchRequest>(12, &body[..body.len() - 4]);
    table.raw::<FetchRequest>("records, with a body that ends early", 12, cut);
    let more = framed::<FetchRequest>(12, &[&body[..], b"more"].concat());
    table.raw::<FetchRequest>("records, with bytes after the body", 12, more);
}

fn unknown(table: &mut Table) {
    for version in [4, 7, 12] {
        for topic in ["unknown", "not valid", ""] {
            table.ask_with(format!("records of the topic {topic:?}, in v{version}"), version, move |target| {
                fetch(vec![fetch_topic(version, target, topic, vec![fetched(0, 0)])])
            });
        }
    }
    for version in [13, 18] {
        for (row, id) in [("no topic", UNKNOWN_ID), ("zeros", [0; 16])] {
            let topic = FetchTopic::default().with_topic_id(id_of(id)).with_partitions(vec![fetched(0, 0)]);
            table.ask(format!("records by the id of {row}, in v{version}"), version, fetch(vec![topic]));
        }
    }
    table.ask_with("records of two topics, one unknown", 12, |target| {
        let topics = ["unknown", READ].map(|topic| fetch_topic(12, target, topic, vec![fetched(0, 8)]));
        fetch(topics.to_vec())
    });
    table.ask("records of no topic", 12, fetch(Vec::new()));
    read(table, "records of no partition", 12, Vec::new(), |all| all);
    read(table, "records of one partition twice", 12, vec![fetched(0, 6), fetched(0, 8)], |all| all);
    read(table, "records of three partitions", 12, vec![fetched(2, 5), fetched(0, 6), fetched(1, 0)], |all| all);
    table.ask_with("records of a topic without any", 13, |target| {
        fetch(vec![fetch_topic(13, target, EMPTY, vec![fetched(0, 0)])])
    });
    table.ask_with("records with append times", 12, |target| {
        fetch(vec![fetch_topic(12, target, APPEND_TIME, vec![fetched(0, 0), fetched(1, 0), fetched(2, 0)])])
    });
}

fn limits(table: &mut Table) {
    for most in [0, 1, 100, 300, 400, -1, i32::MAX] {
        let partition = fetched(0, 0).with_partition_max_bytes(most);
        read(table, format!("at most {most} bytes of a partition"), 12, vec![partition], |all| all);
        read(table, format!("at most {most} bytes in all"), 12, vec![fetched(0, 0)], move |all| {
            all.with_max_bytes(most)
        });
    }
    read(table, "at most 1 byte in all of two partitions", 12, vec![fetched(0, 0), fetched(2, 0)], |all| {
        all.with_max_bytes(1)
    });
    let small = vec![fetched(0, 0).with_partition_max_bytes(1), fetched(2, 0).with_partition_max_bytes(1)];
    read(table, "at most 1 byte of each of two partitions", 12, small, |all| all);
    for (least, wait) in [(0, 0), (1, 0), (1_000_000, 0), (1, 20), (0, 20), (-1, 0), (1, -1)] {
        read(
            table,
            format!("at least {least} bytes at the end, within {wait} ms"),
            12,
            vec![fetched(0, 9)],
            move |all| all.with_min_bytes(least).with_max_wait_ms(wait),
        );
    }
    read(table, "more bytes than there are, within 20 ms", 12, vec![fetched(0, 0)], |all| {
        all.with_min_bytes(1_000_000).with_max_wait_ms(20)
    });
}

fn leaders_and_sessions(table: &mut Table) {
    for (row, epoch) in [("current", 0), ("later", 5), ("negative", -2)] {
        for version in [9, 12, 17] {
            let partition = fetched(0, 6).with_current_leader_epoch(epoch);
            read(
                table,
                format!("records, with a {row} leader epoch, in v{version}"),
                version,
                vec![partition],
                |all| all,
            );
        }
    }
    for epoch in [0, 3] {
        let partition = fetched(0, 6).with_last_fetched_epoch(epoch);
        read(table, format!("records after some of the leader epoch {epoch}"), 12, vec![partition], |all| all);
    }
    for level in [1, 2, -1] {
        for version in [4, 12] {
            read(
                table,
                format!("records, with the isolation level {level}, in v{version}"),
                version,
                vec![fetched(0, 6)],
                move |all| all.with_isolation_level(level),
            );
        }
    }
    read(table, "records, with a rack", 12, vec![fetched(0, 6)], |all| all.with_rack_id(text("rack")));
    read(table, "records, for another cluster", 12, vec![fetched(0, 6)], |all| {
        all.with_cluster_id(Some(text("another")))
    });
    for version in [7, 12, 18] {
        read(table, format!("records, with a new session, in v{version}"), version, vec![fetched(0, 6)], |all| {
            all.with_session_epoch(0)
        })
        .differs("session_id", NO_SESSIONS);
        for (row, id, epoch) in
            [("an unknown session", 5, 1), ("an unknown session that ends", 5, -1), ("epoch 1 without a session", 0, 1)]
        {
            read(table, format!("records, with {row}, in v{version}"), version, vec![fetched(0, 6)], move |all| {
                all.with_session_id(id).with_session_epoch(epoch)
            });
        }
    }
    read(table, "records, with a topic to be forgotten", 12, vec![fetched(0, 6)], |all| {
        all.with_forgotten_topics_data(vec![ForgottenTopic::default().with_topic(name(READ)).with_partitions(vec![1])])
    });
    read(table, "records, for a debugger's replica", 12, vec![fetched(0, 6)], |all| all.with_replica_id(BrokerId(-2)));
}
