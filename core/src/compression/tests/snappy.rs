//! Snappy: the framing, and sizes that the data does not have.

use super::*;

const FRAME: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

fn read(bytes: &[u8]) -> Result<Vec<u8>, DecompressError> {
    Codec::Snappy.decompress(Magic::V2, bytes, 1 << 30)
}

fn fault(bytes: &[u8]) -> (usize, Corruption) {
    match read(bytes) {
        Err(DecompressError::Corrupt { at, what, .. }) => (at, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn is_written_framed_in_blocks_of_32_kib() {
    let packed = compressed(Compression::Snappy, Magic::V1, &records(40_000));
    assert_eq!(packed[..16], FRAME);
    let first = u32::from_be_bytes(packed[16..20].try_into().expect("four bytes")) as usize;
    assert_eq!(snap::raw::decompress_len(&packed[20..20 + first]), Ok(32 * 1024));
    assert_eq!(snap::raw::decompress_len(&packed[24 + first..]), Ok(40_000 - 32 * 1024));
}

#[test]
fn is_read_raw_too() {
    let raw = records(100_000);
    let packed = snap::raw::Encoder::new().compress_vec(&raw).expect("compresses");
    assert_eq!(read(&packed), Ok(raw));
}

#[test]
fn frames_with_false_sizes_are_rejected() {
    assert_eq!(fault(&FRAME[..15]), (12, Corruption::Truncated));
    // snappy-java accepts it too: without an end mark it is indistinguishable from a complete stream.
    assert_eq!(read(&FRAME), Ok(vec![]));
    let block = |length: i32, data: &[u8]| [&FRAME[..], &length.to_be_bytes(), data].concat();
    assert_eq!(fault(&block(0, b"")), (20, Corruption::Empty));
    assert!(matches!(fault(&block(-1, b"\x01\0a")), (16, Corruption::Header(_))));
    assert!(matches!(fault(&block(4, b"\x01\0a")), (16, Corruption::Size { stored: 4, found: 3, .. })));
    assert!(matches!(fault(&block(i32::MAX, b"\x01\0a")), (16, Corruption::Size { .. })));
    assert_eq!(read(&block(3, b"\x01\0a")), Ok(b"a".to_vec()));
}

#[test]
fn streams_follow_one_another() {
    let block = |data: &[u8]| [&i32::to_be_bytes(data.len() as i32), data].concat();
    let (a, b) = (block(b"\x01\0a"), block(b"\x01\0b"));
    assert_eq!(read(&[&FRAME[..], &a, &FRAME, &FRAME, &b, &b, &FRAME].concat()), Ok(b"abb".to_vec()));
    let second_at = FRAME.len() + a.len();
    assert_eq!(fault(&[&FRAME[..], &a, &FRAME[..8]].concat()), (second_at + 8, Corruption::Truncated));
    assert_eq!(fault(&[&FRAME[..], &a, &FRAME[..15]].concat()), (second_at + 12, Corruption::Truncated));
    let of_version_0 = [&FRAME[..8], &[0; 4], &FRAME[12..]].concat();
    assert!(
        matches!(fault(&[&FRAME[..], &a, &of_version_0, &b].concat()), (at, Corruption::Header(_)) if at == second_at + 8)
    );
    // Fewer bytes than a header are read as a block's length, which is negative.
    assert!(matches!(fault(&[&FRAME[..], &a, &FRAME[..7]].concat()), (at, Corruption::Header(_)) if at == second_at));
    // Only the first bytes distinguish a stream from raw Snappy.
    assert!(read(&[&b"\x01\0a"[..], &FRAME, &b].concat()).is_err());
}

#[test]
fn a_size_of_4_gib_in_a_few_bytes_is_rejected_before_allocating() {
    let claim = b"\xff\xff\xff\xff\x0f\0a";
    let stored = u64::from(u32::MAX);
    assert!(matches!(fault(claim), (0, Corruption::Size { stored: s, .. }) if s == stored));
    assert!(matches!(fault(b"\xff\xff\xff\xff\x7f\0a"), (0, Corruption::Data(_))));
    let framed = [&FRAME[..], &7i32.to_be_bytes(), claim].concat();
    assert!(matches!(fault(&framed), (20, Corruption::Size { .. })));
}
