//! Frames, split anywhere.

use bytes::Bytes;
use kafka_batch_core::protocol::{DEFAULT_MAX_FRAME_SIZE, FrameError, FrameReader, correlation_id, sasl_token_frame};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn frames_are_the_same_however_they_are_split(
        payloads in vec(vec(any::<u8>(), 0..40), 0..8),
        cuts in vec(1usize..12, 1..8),
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|each| sasl_token_frame(each).unwrap()).collect();
        let mut reader = FrameReader::new(40);
        let (mut frames, mut rest) = (Vec::new(), &stream[..]);
        for size in cuts.iter().cycle() {
            let (mut received, later) = rest.split_at((*size).min(rest.len()));
            while let Some(frame) = reader.next_frame(&mut received).unwrap() {
                frames.push(frame.to_vec());
            }
            prop_assert!(received.is_empty());
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(frames, payloads);
    }
}

#[test]
fn an_invalid_frame_length_is_an_error() {
    let mut reader = FrameReader::new(1_000);
    let mut received: &[u8] = b"\0\0\0\x01xHTTP/1.1 400 Bad Request";
    assert_eq!(reader.next_frame(&mut received).unwrap().unwrap(), "x");
    let error = FrameError::TooLong { length: 1_213_486_160, limit: 1_000 };
    assert_eq!(reader.next_frame(&mut received), Err(error));
    assert_eq!(reader.next_frame(&mut received), Err(error));
    assert_eq!(error.to_string(), "a frame of 1213486160 bytes exceeds the limit of 1000 (receive.message.max.bytes)");

    let mut reader = FrameReader::new(DEFAULT_MAX_FRAME_SIZE);
    assert_eq!(reader.next_frame(&mut &b"\xff\xff\xff\xff"[..]), Err(FrameError::NegativeLength(-1)));
    let mut reader = FrameReader::new(0);
    assert_eq!(reader.next_frame(&mut &[0; 4][..]), Ok(Some(Bytes::new())));
    assert_eq!(correlation_id(b"\0\0\0"), Err(FrameError::NoCorrelationId(3)));
}
