//! `compression.type` and the compression levels.

use kafka_batch_core::Compression;
use kafka_batch_core::compression::{Codec, ParseCompressionError};

use super::table::ProducerConfig;
use super::{conflict, wrong};
use crate::error::ConfigError;

const TYPE: &str = "compression.type";

/// Combines the settings. A level that would have no effect is an error.
pub(super) fn compression(config: &ProducerConfig) -> Result<Option<Compression>, ConfigError> {
    // The first is librdkafka's, for any codec; the others are Kafka's (KIP-390).
    let levels = [
        ("compression.level", None, config.compression_level),
        ("compression.gzip.level", Some(Codec::Gzip), config.compression_gzip_level),
        ("compression.lz4.level", Some(Codec::Lz4), config.compression_lz4_level),
        ("compression.zstd.level", Some(Codec::Zstd), config.compression_zstd_level),
    ];
    let mut levels = levels.into_iter().filter_map(|(name, of, level)| Some((name, of, level?)));
    let (level, another) = (levels.next(), levels.next());
    if let (Some((name, ..)), Some((another, ..))) = (level, another) {
        return conflict(name, another, config, "both are levels: set the one of the codec, not both");
    }
    let compression: Option<Compression> = match config.compression_type {
        Some(codec) => Some(codec.name().parse().or_else(|error| wrong(TYPE, config, without_input(&error)))?),
        None => None,
    };
    let Some((name, of, level)) = level else { return Ok(compression) };
    let wrong = |reason: String| wrong(name, config, reason);
    // -1 is the default level, except for `compression.zstd.level`, where it is one of zstd's levels.
    let is_default = of != Some(Codec::Zstd) && level == -1;
    let Some(compression) = compression else {
        return if is_default { Ok(None) } else { wrong("it needs a codec: set compression.type too".to_owned()) };
    };
    let codec = compression.codec();
    if let Some(of) = of.filter(|of| *of != codec) {
        return wrong(format!("it is used only with {TYPE}={of}"));
    }
    if is_default {
        return Ok(Some(compression));
    }
    format!("{codec}:{level}").parse().map(Some).or_else(|error| wrong(without_input(&error)))
}

/// Describes the error without the text that was parsed, which is made of the values of two settings here.
fn without_input(error: &ParseCompressionError) -> String {
    match error {
        ParseCompressionError::NotCompiled { codec, feature, .. } => {
            format!("{codec} is not compiled in: enable the Cargo feature `{feature}`, or use another codec")
        }
        ParseCompressionError::NoLevels { codec, .. } => format!("{codec} has no levels here: leave this setting out"),
        ParseCompressionError::LevelOutOfRange { reason, .. } => reason.to_string(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Setting, table};
    use super::*;

    fn given(settings: &[(&str, &str)]) -> Result<Option<Compression>, ConfigError> {
        let mut config = ProducerConfig::default();
        for &(name, found) in settings {
            (table::row(name).unwrap().read)(&mut config, found)
                .or_else(|reason| Setting { name, found }.wrong(reason))?;
        }
        compression(&config)
    }

    #[track_caller]
    fn wrong(settings: &[(&str, &str)]) -> String {
        given(settings).unwrap_err().to_string()
    }

    #[test]
    fn without_a_codec_there_is_no_level() {
        assert_eq!(given(&[]).unwrap(), None);
        assert_eq!(given(&[("compression.level", "-1")]).unwrap(), None);
        assert_eq!(given(&[(TYPE, "none"), ("compression.level", "-1")]).unwrap(), Some(Compression::None));
        assert!(wrong(&[("compression.level", "3")]).contains("set compression.type too"));
        assert!(wrong(&[("compression.zstd.level", "-1")]).contains("set compression.type too"));
        assert!(wrong(&[(TYPE, "brotli")]).contains("brotli"));
        assert!(wrong(&[(TYPE, "none"), ("compression.level", "3")]).contains("none has no levels here"));
    }

    #[test]
    fn a_level_of_another_codec_and_two_levels_are_errors() {
        assert!(wrong(&[(TYPE, "none"), ("compression.gzip.level", "3")]).contains("only with compression.type=gzip"));
        assert!(wrong(&[("compression.level", "3"), ("compression.gzip.level", "3")]).contains("not both"));
    }

    #[test]
    fn a_level_by_either_name_is_the_same() {
        for name in ["compression.level", "compression.gzip.level"] {
            for level in ["1", " 9 "] {
                let expected = format!("gzip:{}", level.trim()).parse().unwrap();
                assert_eq!(given(&[(TYPE, "gzip"), (name, level)]).unwrap(), Some(expected));
            }
            assert_eq!(given(&[(TYPE, "gzip"), (name, "-1")]).unwrap(), Some(Compression::gzip()));
            for level in ["0", "10", "-2", "best"] {
                assert!(wrong(&[(TYPE, "gzip"), (name, level)]).starts_with(name));
            }
        }
    }

    #[cfg(feature = "__witnesses")]
    #[test]
    fn zstd_has_a_level_of_minus_one() {
        let level = |name, level: &str| given(&[(TYPE, "zstd"), (name, level)]);
        assert_eq!(level("compression.zstd.level", "-1").unwrap(), Some("zstd:-1".parse().unwrap()));
        assert_eq!(level("compression.level", "-1").unwrap(), Some(Compression::zstd()));
        assert!(level("compression.zstd.level", "23").is_err());
    }

    #[test]
    fn lz4_has_no_levels() {
        for name in ["compression.level", "compression.lz4.level"] {
            assert!(wrong(&[(TYPE, "lz4"), (name, "9")]).contains("lz4 has no levels here: leave this setting out"));
        }
        assert_eq!(given(&[(TYPE, "lz4"), ("compression.lz4.level", "-1")]).unwrap(), Some(Compression::Lz4));
    }
}
