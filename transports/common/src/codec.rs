//! The codec of the batches that a producer makes: `compression.type` and the levels.

use kafka_batch_core::{Codec, Compression, ParseCompressionError};

use crate::error::ConfigError;
use crate::settings::{Setting, Settings};

const TYPE: &str = "compression.type";

/// librdkafka's name, for whichever codec it is; and Kafka's (KIP-390).
const LEVELS: [(&str, Option<Codec>); 4] = [
    ("compression.level", None),
    ("compression.gzip.level", Some(Codec::Gzip)),
    ("compression.lz4.level", Some(Codec::Lz4)),
    ("compression.zstd.level", Some(Codec::Zstd)),
];

/// What is read here.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    [TYPE].into_iter().chain(LEVELS.map(|(name, _)| name))
}

pub(crate) fn read(settings: &Settings) -> Result<Option<Compression>, ConfigError> {
    let mut levels = LEVELS.iter().filter_map(|(name, of)| Some((Setting::of(settings, name)?, *of)));
    let (level, another) = (levels.next(), levels.next());
    if let (Some((level, _)), Some((another, _))) = (level, another) {
        return Err(ConfigError::Together(format!("set {} or {}, not both", level.name, another.name)));
    }
    let codec = Setting::of(settings, TYPE);
    let compression: Option<Compression> = codec.map(Setting::parsed).transpose()?;
    let (Some((level, of)), Some(codec), Some(compression)) = (level, codec, compression) else {
        return match level {
            Some((level, of)) if !is_default(level, of) => level.wrong("say of which codec: set compression.type too"),
            _ => Ok(compression),
        };
    };
    if let Some(of) = of.filter(|of| *of != compression.codec()) {
        return level.wrong(format!("it is used only with {TYPE}={of}"));
    }
    if is_default(level, of) {
        return Ok(Some(compression));
    }
    let both = format!("{}:{}", codec.found.trim(), level.found.trim());
    both.parse().map(Some).or_else(|error| match error {
        ParseCompressionError::NoLevels { codec, .. } => {
            level.wrong(format!("{codec} has no levels here: leave this setting out"))
        }
        error => level.wrong(error.to_string()),
    })
}

/// zstd has a level of this number.
fn is_default(level: Setting<'_>, of: Option<Codec>) -> bool {
    of != Some(Codec::Zstd) && level.found.trim() == "-1"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(settings: &[(&str, &str)]) -> Result<Option<Compression>, ConfigError> {
        read(&settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
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
    fn a_level_of_another_codec_or_two_of_them_are_a_mistake() {
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
