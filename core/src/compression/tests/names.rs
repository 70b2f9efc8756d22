//! Names, numbers, levels and their text forms.

use alloc::format;
use alloc::string::ToString;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn levels_and_texts_round_trip(gzip in 1..=9i32, zstd in -131_072..=22i32) {
        prop_assert_eq!(GzipLevel::new(gzip).map(i32::from), Ok(gzip));
        prop_assert_eq!(ZstdLevel::new(zstd).map(i32::from), Ok(zstd));
        for text in [format!("gzip:{gzip}"), format!("zstd:{zstd}")] {
            match text.parse::<Compression>() {
                Ok(compression) => prop_assert_eq!(compression.to_string(), text),
                Err(error) => prop_assert!(matches!(error, ParseCompressionError::NotCompiled { .. }), "{}", error),
            }
        }
    }
}

#[test]
fn codecs_have_the_numbers_and_names_of_kafka() {
    for (id, name) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let codec = Codec::from_id(id as u8).expect("there are five");
        assert_eq!((codec.id(), codec.name(), codec), (id as u8, name, Codec::ALL[id]));
        assert_eq!(name.parse(), Ok(codec));
        assert_eq!(format!("{codec:>6}"), format!("{name:>6}"));
        let fits = Magic::ALL.map(|magic| codec.fits_magic(magic));
        assert_eq!(fits, [codec != Codec::Zstd, codec != Codec::Zstd, true]);
    }
    assert_eq!((Codec::from_id(5), Codec::from_id(255)), (None, None));
    let error = "GZIP\n".parse::<Codec>().expect_err("not a name");
    assert_eq!(error.to_string(), "unknown codec \"GZIP\\n\": known are none, gzip, snappy, lz4 and zstd");
}

#[test]
fn invalid_levels_and_texts_are_typed_errors() {
    assert_eq!(
        GzipLevel::new(0).map_err(|error| error.to_string()),
        Err("gzip has no level 0: its levels are 1 to 9".to_string())
    );
    assert!(ZstdLevel::new(23).is_err() && ZstdLevel::new(-131_073).is_err());
    assert_eq!("none".parse(), Ok(Compression::None));
    assert!(matches!("".parse::<Compression>(), Err(ParseCompressionError::Unknown { .. })));
    assert!(matches!("brotli:3".parse::<Compression>(), Err(ParseCompressionError::Unknown { .. })));
    assert!(matches!("none:1".parse::<Compression>(), Err(ParseCompressionError::NoLevels { .. })));
    if cfg!(feature = "gzip") {
        let error = |text: &str| text.parse::<Compression>().expect_err("is wrong").to_string();
        assert_eq!(error("gzip:10"), "compression \"gzip:10\": gzip has no level 10: its levels are 1 to 9");
        assert_eq!(error("gzip:"), "compression \"gzip:\": the level of gzip must be a whole number");
        assert_eq!(error("gzip:1:1"), "compression \"gzip:1:1\": the level of gzip must be a whole number");
    }
}
