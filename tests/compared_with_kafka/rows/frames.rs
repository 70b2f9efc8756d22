//! Frames and headers that are malformed, and APIs that do not exist.

use kafka_batch_witnesses::kafka_protocol::messages::{
    ApiVersionsRequest, DescribeClusterRequest, ListGroupsRequest, MetadataRequest, OffsetFetchRequest,
};

use crate::requests::metadata;
use crate::setup::EMPTY;
use crate::table::{Row, Table, encoded, with_length};

const NO_SUCH_API: &str = "an API that a producer does not need: the cluster closes the connection";

/// Returns a frame with a header of version 1 and these fields.
fn with_header(key: i16, version: i16, client_id: &[u8], rest: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 5] = [&key.to_be_bytes(), &version.to_be_bytes(), &[0, 0, 0, 7], client_id, rest];
    with_length(&parts.concat())
}

/// Adds bytes that are no request of an API here. A response would be read as that of ApiVersions v0.
fn frame(table: &mut Table, name: impl Into<String>, bytes: Vec<u8>) -> &mut Row {
    let row = table.raw::<ApiVersionsRequest>(name, 0, bytes);
    "–".clone_into(&mut row.api);
    row
}

pub(crate) fn add(table: &mut Table) {
    for key in [-1, 500, i16::MAX] {
        frame(table, format!("the API {key}, which does not exist"), with_header(key, 0, b"\xff\xff", &[]));
    }
    // Requests between brokers, which a broker does not accept from clients in KRaft.
    for (key, name) in [(4, "LeaderAndIsr"), (5, "StopReplica"), (6, "UpdateMetadata"), (7, "ControlledShutdown")] {
        frame(table, format!("the former API {name}"), with_header(key, 0, b"\xff\xff", &[0; 40]));
    }
    table.ask("an API for administrators", 0, DescribeClusterRequest::default()).differs("*", NO_SUCH_API);
    table.ask("an API of groups", 3, ListGroupsRequest::default()).differs("*", NO_SUCH_API);
    table.raw::<OffsetFetchRequest>("an API of groups, malformed", 3, with_header(9, 3, b"\xff\xff", &[]));

    for (name, length) in [
        ("a frame with a negative length", -1),
        ("a frame with the least length", i32::MIN),
        ("a frame with the largest length", i32::MAX),
        ("a frame of one byte more than 100 MiB", 104_857_601),
    ] {
        frame(table, name, [&length.to_be_bytes()[..], &[0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]].concat());
    }
    frame(table, "a frame without bytes", with_length(&[]));
    frame(table, "a frame of 1 byte", with_length(&[0]));
    frame(table, "a frame of 4 bytes", with_length(&[0, 18, 0, 0]));
    frame(table, "a frame of 7 bytes", with_length(&[0, 18, 0, 0, 0, 0, 0]));
    frame(table, "a header without a client id", with_length(&[0, 18, 0, 0, 0, 0, 0, 7]));
    frame(table, "a header with a null client id", with_header(18, 0, b"\xff\xff", &[]));
    frame(table, "a header with an empty client id", with_header(18, 0, b"\0\0", &[]));
    frame(table, "a header with a client id that is not UTF-8", with_header(18, 0, b"\0\x02\xff\xfe", &[]));
    frame(table, "a header with a client id of length −2", with_header(18, 0, b"\xff\xfe", &[]));
    frame(table, "a header with a client id that is longer than the frame", with_header(18, 0, b"\0\x09ab", &[]));
    let body = encoded(&metadata(9, Some(&[EMPTY]), false), 9);
    let tagged = |tags: &[u8]| with_header(3, 9, b"\xff\xff", &[tags, &body].concat());
    table.raw::<MetadataRequest>("a header with a tagged field that does not exist", 9, tagged(b"\x01\x63\x02hi"));
    table.raw::<MetadataRequest>("a header with a tagged field beyond the frame", 9, tagged(b"\x01\x63\x7f"));
    table.raw::<MetadataRequest>("a header with more tagged fields than bytes", 9, tagged(b"\xff\xff\x03"));
    table.raw::<MetadataRequest>("a header with an endless varint", 9, tagged(b"\xff\xff\xff\xff\xff\xff"));
    frame(table, "an HTTP request", b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n".to_vec());
    frame(table, "a TLS handshake", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00".to_vec());
    frame(table, "a frame that ends early", b"\0\0\0\x20\0\x12\0\0\0\0".to_vec()).end_after_end();
    frame(table, "no bytes at all", Vec::new()).end_after_end();
}
