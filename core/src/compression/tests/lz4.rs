//! LZ4: the two header checksums, and every optional part of a frame.

use super::*;
use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

/// Returns a frame written by the library's own frame encoder.
fn framed(info: FrameInfo, raw: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(raw).expect("compresses");
    encoder.finish().expect("ends")
}

#[test]
fn the_header_has_kafkas_historic_sum_in_magic_0_only() {
    let (frame, sum, historic) = (b"\x04\x22\x4d\x18\x60\x40", 0x82, 0x1a);
    for (magic, expected) in [(Magic::V0, historic), (Magic::V1, sum), (Magic::V2, sum)] {
        let mut packed = compressed(Compression::Lz4, magic, b"value");
        assert_eq!((&packed[..6], packed[6]), (&frame[..], expected));
        for found in 0..=255 {
            packed[6] = found;
            let known = found == sum || (magic == Magic::V0 && found == historic);
            assert_eq!(Codec::Lz4.decompress(magic, &packed, 10).is_ok(), known, "{found:#x} in {magic}");
        }
    }
}

#[test]
fn every_optional_part_of_a_frame_is_read_and_verified() {
    for len in [1, 1000, 70_000, 600_000] {
        let raw = records(len);
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for (mode, sums) in [(BlockMode::Independent, false), (BlockMode::Linked, true)] {
                let info = FrameInfo::new()
                    .block_size(size)
                    .block_mode(mode)
                    .block_checksums(sums)
                    .content_checksum(sums)
                    .content_size(sums.then_some(len as u64));
                let packed = framed(info, &raw);
                let codec = Codec::Lz4;
                assert!(codec.decompress(Magic::V2, &packed, len).as_ref() == Ok(&raw));
                let ceiling = len - 1;
                let result = codec.decompress(Magic::V2, &packed, ceiling);
                assert_eq!(result, Err(DecompressError::TooLarge { codec, ceiling }));
                for at in (0..packed.len()).filter(|at| sums && (*at < 40 || packed.len() - at < 40)) {
                    let mut wrong = packed.clone();
                    wrong[at] ^= 0x10;
                    let read = codec.decompress(Magic::V2, &wrong, NO_CEILING);
                    assert!(matches!(read, Err(DecompressError::Corrupt { .. })), "byte {at}: {read:?}");
                }
            }
        }
    }
}

#[test]
fn the_library_reads_what_was_written() {
    let raw = records(200_000);
    let packed = compressed(Compression::Lz4, Magic::V2, &raw);
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut lz4_flex::frame::FrameDecoder::new(&packed[..]), &mut read).expect("reads");
    assert_eq!(read, raw);
}
