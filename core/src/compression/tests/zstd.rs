//! zstd: levels, formats, and frames with and without a content size.

use super::*;
use std::io::Write;

use ::zstd::zstd_safe;

#[test]
fn the_levels_are_those_of_the_library() {
    let range = zstd_safe::min_c_level()..=zstd_safe::max_c_level();
    assert_eq!(ZstdLevel::MIN.get()..=ZstdLevel::MAX.get(), range);
    assert_eq!(ZstdLevel::DEFAULT.get(), zstd_safe::CLEVEL_DEFAULT);
}

#[test]
fn needs_magic_2() {
    let mut out = vec![7];
    for magic in [Magic::V0, Magic::V1] {
        let error = Compression::zstd().compress(magic, b"x", &mut out);
        assert_eq!(error, Err(CompressError::NeedsNewerMagic { codec: Codec::Zstd, magic }));
        let error = Codec::Zstd.decompress(magic, b"x", 10);
        assert_eq!(error, Err(DecompressError::NeedsNewerMagic { codec: Codec::Zstd, magic }));
    }
    assert_eq!(out, [7]);
}

#[test]
fn frames_carry_their_content_size() {
    let packed = compressed(Compression::zstd(), Magic::V2, &records(5000));
    assert!(matches!(zstd_safe::get_frame_content_size(&packed), Ok(Some(5000))));
}

#[test]
fn frames_of_a_stream_are_read_without_a_size_in_them() {
    let raw = records(700_000);
    for (len, sum) in [(1, true), (1000, false), (131_072, true), (700_000, true)] {
        let mut stream = ::zstd::Encoder::new(Vec::new(), 1).expect("makes a context");
        stream.include_checksum(sum).expect("is set");
        for piece in raw[..len].chunks(50_000) {
            stream.write_all(piece).expect("compresses");
            stream.flush().expect("ends a block");
        }
        let packed = stream.finish().expect("ends");
        let codec = Codec::Zstd;
        assert!(matches!(zstd_safe::get_frame_content_size(&packed), Ok(None)));
        let read = codec.decompress(Magic::V2, &packed, len).expect("reads");
        assert!(read == raw[..len]);
        let ceiling = len - 1;
        let result = codec.decompress(Magic::V2, &packed, ceiling);
        assert_eq!(result, Err(DecompressError::TooLarge { codec, ceiling }));
    }
}

#[test]
fn skippable_frames_are_skipped() {
    let skip = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
    let packed = [&skip[..], &compressed(Compression::zstd(), Magic::V2, b"value"), skip].concat();
    assert_eq!(Codec::Zstd.decompress(Magic::V2, &packed, 5), Ok(b"value".to_vec()));
}

#[test]
fn a_content_size_beyond_the_blocks_is_rejected_before_allocating() {
    // A single segment of 2^62 bytes, and one block that is empty.
    let claim = b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x40\x01\0\0";
    let error = Codec::Zstd.decompress(Magic::V2, claim, NO_CEILING).expect_err("is rejected");
    let what = Corruption::Size { of: "content size", stored: 1 << 62, found: 0 };
    assert_eq!(error, DecompressError::Corrupt { codec: Codec::Zstd, at: 0, what });
}

#[test]
fn every_level_round_trips() {
    let raw = records(20_000);
    for level in [ZstdLevel::MIN.get(), -7, -1, 0, 1, 9, 19, 22] {
        let compression = Compression::Zstd(ZstdLevel::new(level).expect("in range"));
        let packed = compressed(compression, Magic::V2, &raw);
        assert_eq!(Codec::Zstd.decompress(Magic::V2, &packed, raw.len()).as_ref(), Ok(&raw), "{level}");
    }
}
