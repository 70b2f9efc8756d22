//! ApiVersions.

use kafka_batch_witnesses::kafka_protocol::messages::ApiVersionsRequest;

use crate::requests::text;
use crate::table::{Row, Table, framed};

fn client(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest::default().with_client_software_name(text(name)).with_client_software_version(text(version))
}

/// The body of v5, which the oracle does not have.
fn v5(cluster_id: Option<&str>, node_id: i32) -> Vec<u8> {
    let mut body = b"\x05test\x021".to_vec();
    match cluster_id {
        Some(id) => {
            body.push(id.len() as u8 + 1);
            body.extend_from_slice(id.as_bytes());
        }
        None => body.push(0),
    }
    body.extend_from_slice(&node_id.to_be_bytes());
    body.push(0);
    body
}

pub(crate) fn add(table: &mut Table) {
    for version in 0..3 {
        table.ask(format!("versions, in v{version}"), version, ApiVersionsRequest::default());
    }
    for version in 3..=4 {
        table.ask(format!("versions, in v{version}"), version, client("test", "1.0"));
    }
    fn one<'a>(table: &'a mut Table, name: &str, cluster_id: Option<&str>, node_id: i32) -> &'a mut Row {
        table.by_hand::<ApiVersionsRequest>(name, 5, v5(cluster_id, node_id)).responds_in(4)
    }
    one(table, "versions, in v5", None, -1);
    one(table, "versions, of broker 1", None, 1);
    one(table, "versions, of a broker that does not exist", None, 77);
    one(table, "versions, of another cluster", Some("another"), -1);
    one(table, "versions, of another cluster's broker", Some("another"), 1);
    for (name, node_id) in [("of any broker", -1), ("of broker 1", 1), ("of a broker that does not exist", 77)] {
        let row =
            table.raw_with::<ApiVersionsRequest>(format!("versions, of this cluster, {name}"), 5, move |target| {
                framed::<ApiVersionsRequest>(5, &v5(Some(&target.cluster_id), node_id))
            });
        row.responds_in(4);
    }
    for version in [6, 100, i16::MAX, -1, i16::MIN] {
        let body = if version < 3 { Vec::new() } else { v5(None, -1) };
        table
            .by_hand::<ApiVersionsRequest>(format!("versions, in v{version}, which does not exist"), version, body)
            .responds_in(0);
    }
    for name in ["", "-a", "a-", "a b", "a_b", "ä", "a/b", ".", "a."] {
        table.ask(format!("versions, for a client with the name {name:?}"), 3, client(name, "1"));
    }
    for version in ["", "1 0", "1.", "v_1"] {
        table.ask(format!("versions, for a client with the version {version:?}"), 4, client("a", version));
    }
    for name in ["a", "A.b-c.9", "0"] {
        table.ask(format!("versions, for a client with the odd name {name:?}"), 3, client(name, "x-1"));
    }
    let body = b"\x05test\x021\x01\x09\x03abc".to_vec();
    table.by_hand::<ApiVersionsRequest>("versions, with a tagged field that does not exist", 3, body);
    table.by_hand::<ApiVersionsRequest>("versions, with bytes after the body", 0, [1, 2, 3]);
    let more = b"\x05test\x021\x00more";
    table.by_hand::<ApiVersionsRequest>("versions, with bytes after the body, in v3", 3, *more);
    table.by_hand::<ApiVersionsRequest>("versions, with a body that ends early", 3, *b"\x05te");
    table.by_hand::<ApiVersionsRequest>("versions, with a null name", 3, *b"\x00\x021\x00");
    table.by_hand::<ApiVersionsRequest>("versions, without a body in v3", 3, Vec::new());
}
