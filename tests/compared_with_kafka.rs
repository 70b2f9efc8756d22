//! The same bytes are sent to the cluster of `kafka-batch-testing` and to a real Apache Kafka, and their responses are compared
//! field by field: a table of requests, in which each row is expected to be equal or says why it is not.
//!
//! Run it with `cargo with-kafka --kafka 4 -- cargo witnesses --test compared_with_kafka -- --ignored`. The table is listed in
//! `testing/COMPARED.md`, which this suite checks, and writes if `KAFKA_BATCH_WRITE_COMPARED` is set.

#[path = "compared_with_kafka/batch.rs"]
mod batch;
#[path = "kafka/environment.rs"]
mod environment;
#[path = "compared_with_kafka/exchange.rs"]
mod exchange;
#[path = "compared_with_kafka/fields.rs"]
mod fields;
#[path = "compared_with_kafka/listing.rs"]
mod listing;
#[path = "compared_with_kafka/normalise.rs"]
mod normalise;
#[path = "compared_with_kafka/requests.rs"]
mod requests;
#[path = "compared_with_kafka/rows/mod.rs"]
mod rows;
#[path = "compared_with_kafka/setup.rs"]
mod setup;
#[path = "compared_with_kafka/table.rs"]
mod table;
#[path = "compared_with_kafka/target.rs"]
mod target;

use std::collections::{BTreeSet, HashSet};

use kafka_batch_testing::TestCluster;

use environment::variable;
use exchange::exchange;
use fields::first_difference;
use table::Row;
use target::Target;

/// The table must not become smaller than this.
const LEAST_ROWS: usize = 200;

#[test]
fn the_table_is_large_and_its_names_are_unique() {
    let table = rows::table();
    let names: BTreeSet<_> = table.rows.iter().map(|row| (&row.api, &row.name)).collect();
    assert_eq!(names.len(), table.rows.len(), "some rows have the same name");
    // Ids are those of the rows, not of a cluster.
    let nowhere = Target::nowhere();
    let requests: HashSet<_> = table.rows.iter().map(|row| (row.request)(&nowhere)).collect();
    assert!(requests.len() >= LEAST_ROWS, "{} distinct requests in {} rows", requests.len(), table.rows.len());
}

#[test]
fn the_listing_is_up_to_date() {
    listing::check(&rows::table());
}

#[test]
#[ignore = "needs a real broker: cargo with-kafka"]
fn the_cluster_responds_as_kafka_does() {
    let version = variable("KAFKA_BATCH_KAFKA_VERSION");
    assert!(
        version.starts_with("4.4."),
        "the table is that of Kafka 4.4, not of {version}: cargo with-kafka --kafka 4"
    );
    let cluster = TestCluster::start();
    let mut ours = Target::new("the cluster", cluster.bootstrap_servers());
    let mut kafka = Target::new("Apache Kafka", variable("KAFKA_BATCH_BROKERS"));
    let table = rows::table();
    for target in [&mut ours, &mut kafka] {
        setup::create_topics(target, table.partitions);
    }
    let failures: Vec<_> = table.rows.iter().filter_map(|row| compared(row, &ours, &kafka).err()).collect();
    let (failed, all) = (failures.len(), table.rows.len());
    assert!(failures.is_empty(), "{failed} of {all} rows:\n\n{}", failures.join("\n"));
}

/// Sends the request of a row to both, and returns how their responses differ in an unexpected way.
fn compared(row: &Row, ours: &Target, kafka: &Target) -> Result<(), String> {
    let (our_answer, their_answer) = (exchange(ours, row), exchange(kafka, row));
    let (mut left, mut right) = (our_answer.clone(), their_answer.clone());
    for difference in &row.differences {
        let [ours, theirs] = [&mut left, &mut right].map(|fields| fields::take(fields, difference.field));
        if ours == theirs {
            let (name, field) = (&row.name, difference.field);
            return Err(format!(
                "── {name}\n   {field} is listed as different, and is equal in both:\n{}",
                fields::text(&ours)
            ));
        }
    }
    let Some(difference) = first_difference(&left, &right) else { return Ok(()) };
    Err(format!(
        "── {} ({} v{})\n   first difference: {difference}\n   {}:\n{}   {}:\n{}",
        row.name,
        row.api,
        row.version,
        ours.name,
        fields::text(&our_answer),
        kafka.name,
        fields::text(&their_answer),
    ))
}
