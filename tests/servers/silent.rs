//! A server that accepts requests and does not answer them.

use kafka_batch::{Record, TokioProducer, TopicPartition, Transport as _};

use crate::server;

/// The error of the delivery says what was waited for: the server, the API and its version.
#[tokio::test]
#[ignore = "needs Python: cargo witnesses --test servers -- --ignored"]
async fn a_request_that_nafka_does_not_answer_is_named_in_the_error_of_the_delivery() {
    let server = server::nafka();
    let builder = TokioProducer::builder().set("bootstrap.servers", server.address()).set("compression.type", "zstd");
    let producer = builder.set("request.timeout.ms", "2000").set("delivery.timeout.ms", "3000").build().unwrap();
    let mut batch = producer.batch();
    batch.extend([Record::new("a reading that is compressed ".repeat(100))]).unwrap();
    let pending = producer.send_batch(batch, TopicPartition::new("readings", 0)).await.unwrap();
    let error = pending.await.unwrap_err().to_string();
    println!("{error}");
    assert!(error.contains(&format!("{} to answer Produce v", server.address())), "{error}");
}
