//! Properties of every codec; the submodules test what is specific to one.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::collection::vec as bytes;
use proptest::prelude::*;

use super::*;

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
mod names;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

const NO_CEILING: usize = usize::MAX;

/// Every compression that is compiled in, except none, at its default level.
fn compressions() -> impl Iterator<Item = Compression> {
    Codec::ALL.into_iter().skip(1).filter_map(Compression::with_default_level)
}

/// Every compression with every format that allows it.
fn cases() -> impl Iterator<Item = (Compression, Magic)> {
    compressions().flat_map(|compression| {
        Magic::ALL
            .into_iter()
            .filter(move |magic| compression.codec().fits_magic(*magic))
            .map(move |magic| (compression, magic))
    })
}

fn compressed(compression: Compression, magic: Magic, raw: &[u8]) -> Vec<u8> {
    let mut out = b"header".to_vec();
    compression.compress(magic, raw, &mut out).expect("compresses");
    assert_eq!(&out[..6], b"header", "the preceding bytes are unchanged");
    out.split_off(6)
}

/// Bytes similar to a batch's: short repeated sequences in random order.
fn records(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 64);
    let mut seed = 1u32;
    while out.len() < len {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(format!("{{\"id\":{},\"name\":\"n{}\"}}", seed, seed >> 28).as_bytes());
    }
    out.truncate(len);
    out
}

/// Random bytes, repeated bytes, or a mixture, of up to 200 KiB: more than one block of any codec.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![0..100usize, 0..70_000usize, 60_000..200 * 1024usize];
    (len, bytes(any::<u8>(), 1..300), 0..4u8).prop_map(|(len, piece, kind)| {
        let mut seed = u32::from(piece[0]) + 1;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            (seed >> 8) as u8
        };
        match kind {
            0 => core::iter::repeat_with(random).take(len).collect(),
            1 => vec![piece[0]; len],
            2 => piece.iter().copied().cycle().take(len).collect(),
            _ => piece.iter().cycle().take(len).map(|byte| byte ^ (random() & 3)).collect(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn compressed_bytes_decompress_to_the_input(raw in payload()) {
        for (compression, magic) in cases() {
            let packed = compressed(compression, magic, &raw);
            let read = compression.codec().decompress(magic, &packed, NO_CEILING);
            prop_assert_eq!(read.as_ref(), Ok(&raw), "{} {}", compression, magic);
        }
    }

    #[test]
    fn the_ceiling_is_exact(raw in payload(), below in 1..1000usize) {
        for (compression, magic) in cases() {
            let codec = compression.codec();
            let packed = compressed(compression, magic, &raw);
            let exact = codec.decompress(magic, &packed, raw.len());
            prop_assert_eq!(exact.as_ref(), Ok(&raw), "{} {}", compression, magic);
            let Some(ceiling) = raw.len().checked_sub(below) else { continue };
            for ceiling in [raw.len() - 1, ceiling, 0] {
                let result = codec.decompress(magic, &packed, ceiling);
                prop_assert_eq!(result, Err(DecompressError::TooLarge { codec, ceiling }), "{}", magic);
            }
        }
    }

    #[test]
    fn damaged_bytes_give_an_error_or_no_more_than_the_ceiling(
        raw in payload(),
        edits in bytes((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ceiling in 0..300_000usize,
    ) {
        for (compression, magic) in cases() {
            let mut packed = compressed(compression, magic, &raw);
            for (index, byte) in &edits {
                let index = index.index(packed.len());
                packed[index] = *byte;
            }
            if let Ok(read) = compression.codec().decompress(magic, &packed, ceiling) {
                prop_assert!(read.len() <= ceiling && read.capacity() <= ceiling);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn noise_gives_an_error_or_no_more_than_the_ceiling(
        noise in bytes(any::<u8>(), 0..400),
        keep in 0..24usize,
        ceiling in 0..100_000usize,
    ) {
        for (compression, magic) in cases() {
            let start = compressed(compression, magic, &records(300));
            let mixed = [&start[..keep.min(start.len())], &noise[..]].concat();
            for hostile in [&noise, &mixed] {
                if let Ok(read) = compression.codec().decompress(magic, hostile, ceiling) {
                    prop_assert!(read.len() <= ceiling);
                }
            }
        }
    }
}

#[test]
fn every_proper_prefix_is_an_error() {
    for (compression, magic) in cases() {
        let codec = compression.codec();
        for raw in [records(0), records(10), records(70_000)] {
            let packed = compressed(compression, magic, &raw);
            for end in (0..packed.len()).filter(|end| *end < 100 || packed.len() - end < 100) {
                match codec.decompress(magic, &packed[..end], NO_CEILING) {
                    Err(DecompressError::Corrupt { codec: found, at, .. }) => {
                        assert!(found == codec && at <= end, "{codec} cut to {end}: at {at}");
                    }
                    // Snappy has no end mark: a cut between two blocks is detected only when records are decoded.
                    Ok(read) if codec == Codec::Snappy => assert_eq!(read, raw[..read.len()]),
                    other => panic!("{codec} cut to {end} of {}: {other:?}", packed.len()),
                }
            }
        }
    }
}

/// In magic 2, the bytes that Java's reader skips are skipped, also after zstd; in magic 0 and 1, which have no record
/// count, only if they are zeros. All other bytes are an error.
#[test]
fn bytes_after_the_end_are_skipped_if_no_record_can_be_missing() {
    let raw = records(500);
    for (compression, magic) in cases() {
        let codec = compression.codec();
        for tail in [&b"\0"[..], b"abc", b"tail", &[0; 40], &b"a long tail, and no part of the data".repeat(300)] {
            let packed = [&compressed(compression, magic, &raw)[..], tail].concat();
            let read = codec.decompress(magic, &packed, raw.len());
            let is_padding = codec != Codec::Snappy || tail.len() < 4;
            if is_padding && (magic == Magic::V2 || tail.iter().all(|&byte| byte == 0)) {
                assert!(read.as_ref() == Ok(&raw), "{compression}, {magic}, {} bytes", tail.len());
            } else {
                assert!(matches!(read, Err(DecompressError::Corrupt { .. })), "{compression}, {magic}: {read:?}");
            }
        }
    }
}

/// A second member or frame with an intact beginning is never skipped as padding, whatever its other damage.
#[test]
fn a_second_part_that_is_damaged_is_an_error() {
    let (one, two) = (records(5_000), records(300));
    for (compression, magic) in cases() {
        let codec = compression.codec();
        let (first, second) = (compressed(compression, magic, &one), compressed(compression, magic, &two));
        for cut in second.len() / 2..second.len() {
            let read = codec.decompress(magic, &[&first[..], &second[..cut]].concat(), NO_CEILING);
            assert!(matches!(read, Err(DecompressError::Corrupt { .. })), "{codec} cut to {cut}: {read:?}");
        }
    }
}

#[test]
fn frames_and_members_may_follow_one_another() {
    let (one, two) = (records(100_000), records(300));
    for (compression, magic) in cases() {
        let codec = compression.codec();
        let packed = [
            compressed(compression, magic, &one),
            compressed(compression, magic, b""),
            compressed(compression, magic, &two),
        ]
        .concat();
        let whole = [&one[..], &two].concat();
        assert_eq!(codec.decompress(magic, &packed, whole.len()).as_ref(), Ok(&whole));
        let ceiling = whole.len() - 1;
        assert_eq!(codec.decompress(magic, &packed, ceiling), Err(DecompressError::TooLarge { codec, ceiling }));
    }
}

#[test]
fn no_bytes_are_an_error_but_for_none() {
    for (compression, magic) in cases() {
        let codec = compression.codec();
        let expected = DecompressError::Corrupt { codec, at: 0, what: Corruption::Empty };
        assert_eq!(codec.decompress(magic, b"", 10), Err(expected));
    }
    assert_eq!(Codec::None.decompress(Magic::V2, b"", 0), Ok(vec![]));
}

#[test]
fn none_copies_within_the_ceiling() {
    let mut out = vec![1];
    assert_eq!(Compression::None.compress(Magic::V0, &[2, 3], &mut out), Ok(()));
    assert_eq!(out, [1, 2, 3]);
    assert_eq!(Codec::None.decompress(Magic::V0, &out, 3), Ok(out.clone()));
    let codec = Codec::None;
    assert_eq!(codec.decompress(Magic::V0, &out, 2), Err(DecompressError::TooLarge { codec, ceiling: 2 }));
}

#[test]
fn the_same_bytes_compress_to_the_same_bytes() {
    let raw = records(100_000);
    for (compression, magic) in cases() {
        let first = compressed(compression, magic, &raw);
        compressed(compression, magic, b"something else in between");
        assert!(compressed(compression, magic, &raw) == first, "{compression}");
        assert!(first.len() < raw.len() / 2, "{compression}: {} bytes", first.len());
    }
}

#[test]
fn a_codec_that_is_not_compiled_in_names_its_feature() {
    for codec in Codec::ALL.into_iter().filter(|codec| !codec.is_compiled()) {
        let error = codec.decompress(Magic::V2, b"x", 10).expect_err("is not compiled in");
        assert!(error.to_string().contains(&format!("`{codec}`")), "{error}");
        let error = codec.name().parse::<Compression>().expect_err("does not exist");
        assert!(error.to_string().contains(&format!("`{codec}`")), "{error}");
        assert_eq!(Compression::with_default_level(codec), None);
    }
}
