//! SASL, on a listener without it.

use kafka_batch_witnesses::kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};

use crate::requests::text;
use crate::table::Table;

pub(crate) fn add(table: &mut Table) {
    for version in 0..=1 {
        for mechanism in ["PLAIN", "unknown", ""] {
            let request = SaslHandshakeRequest::default().with_mechanism(text(mechanism));
            table.ask(format!("the mechanism {mechanism:?}, in v{version}, without SASL"), version, request);
        }
    }
    table.by_hand::<SaslHandshakeRequest>("a SASL handshake in v2, which does not exist", 2, *b"\0\x05PLAIN");
    table.by_hand::<SaslHandshakeRequest>("a SASL handshake with a null mechanism", 1, *b"\xff\xff");
    for version in 0..=2 {
        let request =
            SaslAuthenticateRequest::default().with_auth_bytes(bytes::Bytes::from_static(b"\0user\0password"));
        table.ask(format!("a SASL token in v{version}, without SASL"), version, request);
    }
    table.by_hand::<SaslAuthenticateRequest>("a SASL token in v3, which does not exist", 3, *b"\x02a\0");
}
