//! gzip: header, trailer and levels.

use super::*;

#[test]
fn gzip_checks_its_trailer_and_needs_no_true_size_in_it() {
    let raw = records(50_000);
    let packed = compressed(Compression::gzip(), Magic::V2, &raw);
    assert_eq!(packed[4..8], [0; 4], "no time of compression");
    for at in packed.len() - 8..packed.len() {
        let mut wrong = packed.clone();
        wrong[at] ^= 0x55;
        let read = Codec::Gzip.decompress(Magic::V2, &wrong, NO_CEILING);
        assert!(matches!(read, Err(DecompressError::Corrupt { .. })), "byte {at}: {read:?}");
    }
    for level in 1..=9 {
        let level = GzipLevel::new(level).expect("in range");
        let noise: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let packed = compressed(Compression::Gzip(level), Magic::V2, &noise);
        assert_eq!(Codec::Gzip.decompress(Magic::V2, &packed, noise.len()), Ok(noise));
    }
}
