//! InitProducerId, without transactions.

use kafka_batch_witnesses::kafka_protocol::messages::{InitProducerIdRequest, ProducerId, TransactionalId};

use crate::requests::text;
use crate::table::Table;

fn request() -> InitProducerIdRequest {
    InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(i32::MAX)
}

pub(crate) fn add(table: &mut Table) {
    for version in 0..=5 {
        table.ask(format!("a producer id, in v{version}"), version, request());
    }
    // v6 is not released: its fields are those of v5 and two more.
    let v6 = [&b"\0"[..], &i32::MAX.to_be_bytes(), &[0xff; 10], &[0, 0, 0]].concat();
    table.by_hand::<InitProducerIdRequest>("a producer id, in v6, which is not released", 6, v6);
    for timeout in [0, -1, 1] {
        let request = request().with_transaction_timeout_ms(timeout);
        table.ask(format!("a producer id, with the time-out {timeout}"), 4, request);
    }
    for (name, id, epoch) in [
        ("id 5 and epoch 3", 5, 3),
        ("id 5 alone", 5, -1),
        ("epoch 3 alone", -1, 3),
        ("id −2", -2, -1),
        ("the largest epoch", 5, i16::MAX),
        ("epoch −2", 5, -2),
    ] {
        for version in [3, 5] {
            let request = request().with_producer_id(ProducerId(id)).with_producer_epoch(epoch);
            table.ask(format!("a producer id, in place of {name}, in v{version}"), version, request);
        }
    }
    let empty = request().with_transactional_id(Some(TransactionalId(text("")))).with_transaction_timeout_ms(1_000);
    table.ask("a producer id, for an empty transactional id", 4, empty);
    table.by_hand::<InitProducerIdRequest>("a producer id, with a body that ends early", 0, *b"\xff\xff\0");
    table.by_hand::<InitProducerIdRequest>("a producer id, with bytes after the body", 0, *b"\xff\xff\0\0\0\0more");
}
