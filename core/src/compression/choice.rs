//! The compression setting of a batch, and its text form for configurations.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::Codec;
#[cfg(feature = "gzip")]
use super::GzipLevel;
use super::LevelError;
#[cfg(feature = "zstd")]
use super::ZstdLevel;

/// A compression setting: Kafka's `compression.type`, and for the codecs that have levels
/// `compression.gzip.level` and `compression.zstd.level` (KIP-390).
///
/// Only codecs that are compiled in have a variant, so every value can be used.
///
/// Its text form is the codec's name, for gzip and zstd with an optional level: `none`, `lz4`, `zstd`,
/// `gzip:9`, `zstd:-5`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip. Of the pure Rust codecs it has the best ratio and by far the lowest speed.
    #[cfg(feature = "gzip")]
    Gzip(GzipLevel),
    /// Snappy, as the Java client writes it: in xerial framing, with blocks of 32 KiB.
    #[cfg(feature = "snappy")]
    Snappy,
    /// LZ4, as the Java client writes it: one frame of independent 64 KiB blocks without
    /// checksums.
    ///
    /// It has no level (Kafka's `compression.lz4.level`), since the library implements only the fast
    /// mode.
    #[cfg(feature = "lz4")]
    Lz4,
    /// zstd, for magic 2 only (KIP-110).
    #[cfg(feature = "zstd")]
    Zstd(ZstdLevel),
}

impl Compression {
    /// Returns gzip at its default level, 6.
    #[cfg(feature = "gzip")]
    #[must_use]
    pub const fn gzip() -> Self {
        Self::Gzip(GzipLevel::DEFAULT)
    }

    /// Returns zstd at its default level, 3.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub const fn zstd() -> Self {
        Self::Zstd(ZstdLevel::DEFAULT)
    }

    /// Returns this codec at its default level, or `None` if it is not compiled in.
    #[must_use]
    pub const fn with_default_level(codec: Codec) -> Option<Self> {
        match codec {
            Codec::None => Some(Self::None),
            #[cfg(feature = "gzip")]
            Codec::Gzip => Some(Self::gzip()),
            #[cfg(feature = "snappy")]
            Codec::Snappy => Some(Self::Snappy),
            #[cfg(feature = "lz4")]
            Codec::Lz4 => Some(Self::Lz4),
            #[cfg(feature = "zstd")]
            Codec::Zstd => Some(Self::zstd()),
            #[allow(unreachable_patterns)] // with all codecs compiled in
            _ => None,
        }
    }

    /// Returns the codec for the batch's attributes.
    #[must_use]
    pub const fn codec(self) -> Codec {
        match self {
            Self::None => Codec::None,
            #[cfg(feature = "gzip")]
            Self::Gzip(_) => Codec::Gzip,
            #[cfg(feature = "snappy")]
            Self::Snappy => Codec::Snappy,
            #[cfg(feature = "lz4")]
            Self::Lz4 => Codec::Lz4,
            #[cfg(feature = "zstd")]
            Self::Zstd(_) => Codec::Zstd,
        }
    }
}

impl fmt::Display for Compression {
    /// Writes the text that [`FromStr`] parses; gzip and zstd with their level.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "gzip")]
            Self::Gzip(level) => write!(f, "gzip:{level}"),
            #[cfg(feature = "zstd")]
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            _ => fmt::Display::fmt(&self.codec(), f),
        }
    }
}

impl FromStr for Compression {
    type Err = ParseCompressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let input = || String::from(text);
        let Ok(codec) = name.parse() else {
            return Err(ParseCompressionError::Unknown { input: input() });
        };
        let Some(default) = Self::with_default_level(codec) else {
            return Err(ParseCompressionError::NotCompiled { input: input(), codec, feature: codec.name() });
        };
        let Some(level) = level else {
            return Ok(default);
        };
        if !matches!(codec, Codec::Gzip | Codec::Zstd) {
            return Err(ParseCompressionError::NoLevels { input: input(), codec });
        }
        let Ok(_level) = level.parse::<i32>() else {
            return Err(ParseCompressionError::LevelNotANumber { input: input(), codec });
        };
        match default {
            #[cfg(feature = "gzip")]
            Self::Gzip(_) => GzipLevel::new(_level).map(Self::Gzip),
            #[cfg(feature = "zstd")]
            Self::Zstd(_) => ZstdLevel::new(_level).map(Self::Zstd),
            _ => Ok(default),
        }
        .map_err(|reason| ParseCompressionError::LevelOutOfRange { input: input(), reason })
    }
}

/// An error for a text that is not a [`Compression`] of this build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCompressionError {
    /// No codec has that name.
    #[error("unknown compression {input:?}: known are none, gzip, snappy, lz4 and zstd")]
    Unknown {
        /// The text that was parsed.
        input: String,
    },
    /// The codec is not compiled into this build.
    #[error("compression {input:?}: {codec} is not compiled in: enable the Cargo feature `{feature}`")]
    NotCompiled {
        /// The text that was parsed.
        input: String,
        /// The codec in the text.
        codec: Codec,
        /// The Cargo feature to enable.
        feature: &'static str,
    },
    /// The text has a level, but the codec has no levels.
    #[error("compression {input:?}: {codec} takes no level, write it alone")]
    NoLevels {
        /// The text that was parsed.
        input: String,
        /// The codec in the text.
        codec: Codec,
    },
    /// The text after the colon is not a whole number.
    #[error("compression {input:?}: the level of {codec} must be a whole number")]
    LevelNotANumber {
        /// The text that was parsed.
        input: String,
        /// The codec in the text.
        codec: Codec,
    },
    /// The level is outside the codec's range.
    #[error("compression {input:?}: {reason}")]
    LevelOutOfRange {
        /// The text that was parsed.
        input: String,
        /// The error with the level and the range.
        reason: LevelError,
    },
}
