//! Memory that the transport allocates. librdkafka itself allocates for each record, with C's allocator.

use kafka_batch::record::EncodedHeaders;
use kafka_batch::{BatchOptions, Header, Record, Timestamp};

use crate::cluster::{Cluster, t0};
use crate::counting::counted;
use crate::futures::block_on;

#[test]
fn passing_a_batch_to_librdkafka_allocates_nothing_for_each_record() {
    let cluster = Cluster::new();
    let producer = cluster.builder().build().unwrap();
    let names = [Header::new("source", "sensor-7"), Header::null("trace"), Header::new("source", "")];
    let encoded = EncodedHeaders::new(&names).unwrap();
    let plain =
        Record::new("a value of this length").key("key-17").timestamp(Timestamp::from_millis(1_700_000_000_000));
    let records = [
        plain,
        Record::tombstone("key"),
        Record::default(),
        Record::new("without a timestamp"),
        plain.headers(&names),
        plain.headers(&encoded),
    ];
    for of_each in [1, 200] {
        let options = BatchOptions::default().batch_size(500_000);
        let mut batch = options.build(Timestamp::from_millis(1_700_000_000_000)).unwrap();
        for record in (0..of_each).flat_map(|_| records) {
            assert!(batch.append(record).unwrap().appended().is_some());
        }
        let (pending, taken) = counted(|| block_on(producer.send_batch(batch, t0())));
        block_on(pending.unwrap()).unwrap();
        // The first batch also looks up the topic.
        assert!(of_each == 1 || taken.times <= 20, "{taken:?}");
    }
}
