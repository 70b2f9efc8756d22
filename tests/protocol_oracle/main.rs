//! The protocol compared with an independent implementation.
//!
//! The crate `kafka-protocol` is the oracle for every version that it has: it decodes what this crate encodes, and
//! encodes what this crate decodes. For the others (Produce v0 to v2, ApiVersions v5, the newest error codes), the
//! bytes are written out from the protocol guide, and were compared with the output of Apache Kafka's classes (3.9.1
//! for Produce, 4.4.0 for the others).

mod api_versions;
mod by_hand;
mod facts;
mod frames;
mod hostile;
mod metadata;
mod others;
mod produce;
mod requests;
mod responses;
mod telemetry;
mod transactions;

use std::fmt::Debug;

use kafka_batch_core::protocol::{RequestHeader, Uuid};
use kafka_batch_witnesses::kafka_protocol::protocol::StrBytes;
use proptest::prelude::*;

/// The header of every request, and so the correlation id of every response.
const HEADER: RequestHeader<'static> = RequestHeader { correlation_id: 9, client_id: Some("me") };

/// Empty, plain, or any valid UTF-8.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z.]{1,8}", "\\PC{0,12}"]
}

fn string() -> impl Strategy<Value = StrBytes> {
    text().prop_map(StrBytes::from_string)
}

fn nullable() -> impl Strategy<Value = Option<StrBytes>> {
    proptest::option::of(string())
}

fn str_bytes(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// Returns the oracle's id type, whose crate is not named here.
fn uuid<T: TryFrom<Vec<u8>, Error: Debug>>(id: &Uuid) -> T {
    id.0.to_vec().try_into().unwrap()
}
