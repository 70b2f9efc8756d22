//! The checks of every response.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use kafka_batch_core::protocol::{ProtocolError, ProtocolErrorKind, correlation_id};
use kafka_batch_witnesses::kafka_protocol::messages::ResponseHeader;
use kafka_batch_witnesses::kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use super::HEADER;

/// Checks one response of the oracle: as it is, with unknown tagged fields in every structure, truncated
/// and damaged.
pub(super) fn check<O, T>(
    version: i16,
    plain: &O,
    tagged: &O,
    decode: fn(&[u8], i16) -> Result<T, ProtocolError>,
    back: fn(T) -> O,
) where
    O: Encodable + Decodable + HeaderVersion + PartialEq + Debug,
    T: Debug,
{
    same(version, plain, decode, back);
    let tagged = framed(tagged, version, true);
    let plain = framed(plain, version, false);
    assert_eq!(back(decode(&tagged, version).unwrap()), back(decode(&plain, version).unwrap()));
    for frame in [plain, tagged] {
        withstands(version, &frame, decode);
    }
}

/// Checks that this crate decodes what the oracle decodes. `back` converts to the oracle's type, so that a missing
/// field is noticed.
pub(super) fn same<O, T>(
    version: i16,
    response: &O,
    decode: fn(&[u8], i16) -> Result<T, ProtocolError>,
    back: fn(T) -> O,
) where
    O: Encodable + Decodable + HeaderVersion + PartialEq + Debug,
{
    let frame = framed(response, version, false);
    assert_eq!(correlation_id(&frame), Ok(HEADER.correlation_id));
    let decoded = decode(&frame, version).unwrap();
    let mut body = frame;
    ResponseHeader::decode(&mut body, O::header_version(version)).unwrap();
    assert_eq!(back(decoded), O::decode(&mut body, version).unwrap());
}

pub(super) fn framed<O: Encodable + HeaderVersion>(response: &O, version: i16, tagged: bool) -> Bytes {
    let mut header = ResponseHeader::default().with_correlation_id(HEADER.correlation_id);
    let header_version = O::header_version(version);
    if tagged && header_version >= 1 {
        header.unknown_tagged_fields = unknown();
    }
    let mut frame = BytesMut::new();
    header.encode(&mut frame, header_version).unwrap();
    response.encode(&mut frame, version).unwrap();
    frame.freeze()
}

/// Every truncation is an error, an additional byte is an error (except for a second empty list of tagged fields, which
/// librdkafka's mock cluster sends), and no flipped byte causes a panic.
pub(super) fn withstands<T: Debug>(version: i16, frame: &[u8], decode: fn(&[u8], i16) -> Result<T, ProtocolError>) {
    for end in 0..frame.len() {
        let error = decode(&frame[..end], version).unwrap_err();
        assert_eq!(error.version, version);
        assert!(error.position <= end, "{error} in {end} bytes");
    }
    let flexible = decode(&[], version).unwrap_err().api.is_flexible(version);
    for more in [&[0][..], &[1], &[0, 0]] {
        match decode(&[frame, more].concat(), version) {
            Ok(_) => assert!(flexible && more == [0]),
            Err(error) => {
                assert_eq!((error.position, error.kind), (frame.len(), ProtocolErrorKind::TrailingBytes(more.len())));
                assert!(!flexible || more != [0]);
            }
        }
    }
    let mut flipped = frame.to_vec();
    for at in 0..frame.len() {
        for flip in [0x01, 0x80, 0xff] {
            flipped[at] ^= flip;
            let _ = decode(&flipped, version);
            flipped[at] ^= flip;
        }
    }
}

/// Tags beyond those of any version; one takes a varint of three bytes, one is empty.
pub(super) fn unknown() -> BTreeMap<i32, Bytes> {
    let content = [(9, "x"), (300, ""), (70_000, "more")];
    content.map(|(tag, value)| (tag, Bytes::from(value))).into()
}
