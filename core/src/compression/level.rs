//! Compression levels, validated on construction so that codecs receive only valid ones.

use core::fmt;

use super::Codec;

/// A gzip compression level: 1 (fastest) to 9 (best ratio), 6 by default.
///
/// This is Kafka's `compression.gzip.level` (KIP-390) except that Kafka also accepts -1 for the default,
/// which is [`GzipLevel::default`] here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GzipLevel(u8);

impl GzipLevel {
    /// The fastest level, 1.
    pub const MIN: Self = Self(1);
    /// The level with the best ratio, 9.
    pub const MAX: Self = Self(9);
    /// The default level of Kafka and of gzip, 6.
    pub const DEFAULT: Self = Self(6);

    /// Creates the level with this number.
    ///
    /// # Errors
    /// Returns [`LevelError`] if the number is not within 1 to 9.
    pub const fn new(level: i32) -> Result<Self, LevelError> {
        if level < Self::MIN.get() || level > Self::MAX.get() {
            return Err(LevelError { codec: Codec::Gzip, given: level, min: Self::MIN.get(), max: Self::MAX.get() });
        }
        // Lossless: the range was just checked, and `TryFrom` is not const.
        Ok(Self(level as u8))
    }

    /// Returns the number, 1 to 9.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0 as i32
    }
}

/// A zstd compression level: -131072 (fastest) to 22 (best ratio), 3 by default.
///
/// This is Kafka's `compression.zstd.level` (KIP-390), whose range is that of zstd itself. Negative
/// levels trade ratio for speed, 0 means the default, and from level 10 on compressing 1 MiB takes more
/// than 10 MiB of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZstdLevel(i32);

impl ZstdLevel {
    /// The fastest level, -131072.
    pub const MIN: Self = Self(-131_072);
    /// The level with the best ratio, 22.
    pub const MAX: Self = Self(22);
    /// The default level of Kafka and of zstd, 3.
    pub const DEFAULT: Self = Self(3);

    /// Creates the level with this number.
    ///
    /// # Errors
    /// Returns [`LevelError`] if the number is not within -131072 to 22.
    pub const fn new(level: i32) -> Result<Self, LevelError> {
        if level < Self::MIN.get() || level > Self::MAX.get() {
            return Err(LevelError { codec: Codec::Zstd, given: level, min: Self::MIN.get(), max: Self::MAX.get() });
        }
        Ok(Self(level))
    }

    /// Returns the number, -131072 to 22.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

macro_rules! level_traits {
    ($level:ty) => {
        impl Default for $level {
            fn default() -> Self {
                Self::DEFAULT
            }
        }

        impl TryFrom<i32> for $level {
            type Error = LevelError;

            fn try_from(level: i32) -> Result<Self, Self::Error> {
                Self::new(level)
            }
        }

        impl From<$level> for i32 {
            fn from(level: $level) -> Self {
                level.get()
            }
        }

        impl fmt::Display for $level {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.get(), f)
            }
        }
    };
}

level_traits!(GzipLevel);
level_traits!(ZstdLevel);

/// An error for a compression level outside its codec's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{codec} has no level {given}: its levels are {min} to {max}")]
pub struct LevelError {
    codec: Codec,
    given: i32,
    min: i32,
    max: i32,
}

impl LevelError {
    /// Returns the codec.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Returns the rejected number.
    #[must_use]
    pub const fn given(&self) -> i32 {
        self.given
    }

    /// Returns the range of valid levels.
    #[must_use]
    pub const fn range(&self) -> core::ops::RangeInclusive<i32> {
        self.min..=self.max
    }
}
