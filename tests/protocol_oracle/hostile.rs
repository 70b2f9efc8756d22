//! Invalid and random bytes.

use kafka_batch_core::protocol::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, ApiKey, ApiVersionsResponse, DescribeTransactionsResponse,
    EndTxnResponse, FindCoordinatorResponse, GetTelemetrySubscriptionsResponse, InitProducerIdResponse,
    MetadataResponse, ProduceResponse, ProtocolErrorKind, PushTelemetryResponse, SaslAuthenticateResponse,
    SaslHandshakeResponse, TxnOffsetCommitResponse, correlation_id,
};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn an_error_names_the_position_and_the_cause() {
    let error = |bytes: &[u8], version| MetadataResponse::decode(bytes, version).unwrap_err();
    // v0: correlation id, then an impossible count of brokers
    let claim = b"\0\0\0\x01\x7f\xff\xff\xff\0\0";
    let found = ProtocolErrorKind::TooManyElements { count: 0x7fff_ffff, available: 2 };
    assert_eq!((error(claim, 0).position, error(claim, 0).kind), (4, found));
    assert_eq!(
        error(claim, 0).to_string(),
        "Metadata v0 response, byte 4: an array of 2147483647 elements where 2 bytes are left"
    );
    // The smallest broker takes 10 bytes, so 19 bytes cannot contain two.
    let claim = [&b"\0\0\0\x01\0\0\0\x02"[..], &[0; 19]].concat();
    let found = ProtocolErrorKind::TooManyElements { count: 2, available: 19 };
    assert_eq!((error(&claim, 0).position, error(&claim, 0).kind), (4, found));
    let null = error(b"\0\0\0\x01\xff\xff\xff\xff", 0);
    assert_eq!((null.position, null.kind), (4, ProtocolErrorKind::UnexpectedNull));
    let negative = error(b"\0\0\0\x01\xff\xff\xff\xfe", 0);
    assert_eq!((negative.position, negative.kind), (4, ProtocolErrorKind::NegativeLength(-2)));
    let unheard = error(b"", 14);
    assert_eq!((unheard.position, unheard.kind), (0, ProtocolErrorKind::UnsupportedVersion));
    // v9: correlation id, no tagged fields, throttle time, then the count
    let long = error(b"\0\0\0\x01\0\0\0\0\0\xff\xff\xff\xff\x1f", 9);
    assert_eq!((long.position, long.kind), (9, ProtocolErrorKind::VarintTooLong));

    let error = |bytes: &[u8]| SaslHandshakeResponse::decode(bytes, 1).unwrap_err();
    let text = error(b"\0\0\0\x01\0\0\0\0\0\x01\0\x02\xff\xff");
    assert_eq!((text.api, text.position, text.kind), (ApiKey::SaslHandshake, 12, ProtocolErrorKind::NotUtf8));
    let short = error(b"\0\0\0\x01\0\0\0\0\0\x01\0\x03ab");
    assert_eq!((short.position, short.kind), (12, ProtocolErrorKind::Truncated { needed: 3, available: 2 }));

    // A tagged field that is longer than its contents.
    let field = b"\0\0\0\x01\0\0\x01\0\0\0\0\x01\x03\x02\0\0";
    let error = ApiVersionsResponse::decode(field, 3).unwrap_err();
    assert_eq!((error.position, error.kind), (15, ProtocolErrorKind::TrailingBytes(1)));
}

fn decode_all(frame: &[u8], version: i16) {
    let _ = correlation_id(frame);
    let _ = ApiVersionsResponse::decode(frame, version);
    let _ = MetadataResponse::decode(frame, version);
    let _ = ProduceResponse::decode(frame, version);
    let _ = InitProducerIdResponse::decode(frame, version);
    let _ = FindCoordinatorResponse::decode(frame, version);
    let _ = AddPartitionsToTxnResponse::decode(frame, version);
    let _ = AddOffsetsToTxnResponse::decode(frame, version);
    let _ = EndTxnResponse::decode(frame, version);
    let _ = DescribeTransactionsResponse::decode(frame, version);
    let _ = TxnOffsetCommitResponse::decode(frame, version);
    let _ = SaslHandshakeResponse::decode(frame, version);
    let _ = SaslAuthenticateResponse::decode(frame, version);
    let _ = GetTelemetrySubscriptionsResponse::decode(frame, version);
    let _ = PushTelemetryResponse::decode(frame, version);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn random_bytes_never_panic(frame in vec(any::<u8>(), 0..200), version in -1i16..=14) {
        decode_all(&frame, version);
    }

    /// Bytes that are mostly small numbers are decoded further.
    #[test]
    fn small_bytes_never_panic(frame in vec(prop_oneof![9 => 0u8..4, 1 => any::<u8>()], 0..200), version in -1i16..=14) {
        decode_all(&frame, version);
    }
}
