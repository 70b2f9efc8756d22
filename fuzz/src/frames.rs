//! Responses as hostile bytes: in frames, and of every API in every version.

use kafka_batch_core::protocol::{
    ApiKey, ApiVersionsResponse, FrameReader, GetTelemetrySubscriptionsResponse, InitProducerIdResponse,
    MetadataResponse, ProduceResponse, ProtocolError, PushTelemetryResponse, SaslAuthenticateResponse,
    SaslHandshakeResponse, correlation_id,
};

use crate::heap;

/// Longer than any input, so that the ceiling is met by lengths that lie and by nothing else.
const CEILING: usize = 1 << 20;

/// Most bytes that decoding may have in use for each byte that is there: a partition of Metadata takes 26 bytes at least
/// and some hundred in memory; a list grows by doubling.
const EXPANSION: usize = 64;

/// The first byte says how the rest is cut.
pub fn read(data: &[u8]) {
    let Some((&piece, bytes)) = data.split_first() else { return };
    let frames = cut(bytes, usize::MAX);
    assert_eq!(frames, cut(bytes, usize::from(piece).max(1)), "how bytes are cut makes no difference");
    for frame in &frames.0 {
        respond(frame);
    }
    respond(bytes);
}

/// The frames, and whether it ended with an error.
fn cut(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
    let mut reader = FrameReader::new(CEILING);
    let mut frames = Vec::new();
    for mut piece in bytes.chunks(piece.min(bytes.len().max(1))) {
        loop {
            let (next, peak) = heap::peak_of(|| reader.next_frame(&mut piece));
            assert!(peak <= 8 * bytes.len() + 1024, "{peak} bytes for {} that are there", bytes.len());
            match next {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    return (frames, true);
                }
            }
        }
    }
    (frames, false)
}

fn respond(frame: &[u8]) {
    assert_eq!(correlation_id(frame).is_ok(), frame.len() >= 4);
    each(ApiKey::Produce, frame, |version| ProduceResponse::decode(frame, version));
    each(ApiKey::Metadata, frame, |version| MetadataResponse::decode(frame, version));
    each(ApiKey::ApiVersions, frame, |version| ApiVersionsResponse::decode(frame, version));
    each(ApiKey::InitProducerId, frame, |version| InitProducerIdResponse::decode(frame, version));
    each(ApiKey::SaslHandshake, frame, |version| SaslHandshakeResponse::decode(frame, version));
    each(ApiKey::SaslAuthenticate, frame, |version| SaslAuthenticateResponse::decode(frame, version));
    each(ApiKey::PushTelemetry, frame, |version| PushTelemetryResponse::decode(frame, version));
    each(ApiKey::GetTelemetrySubscriptions, frame, |version| GetTelemetrySubscriptionsResponse::decode(frame, version));
}

fn each<T: PartialEq + std::fmt::Debug>(api: ApiKey, frame: &[u8], decode: impl Fn(i16) -> Result<T, ProtocolError>) {
    for version in -1..=api.versions().max + 1 {
        let (decoded, peak) = heap::peak_of(|| decode(version));
        assert!(peak <= EXPANSION * frame.len() + 1024, "{api} v{version}: {peak} bytes for {}", frame.len());
        if let Err(error) = &decoded {
            assert!(!error.to_string().is_empty());
        }
        assert!(decoded.is_err() || api.versions().contains(version), "{api} v{version} is not spoken");
    }
}
