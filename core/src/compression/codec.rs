//! The codecs, with their names and their numbers in a batch's attributes.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::magic::Magic;

/// A compression codec of Kafka, whether or not it is compiled into this build.
///
/// The number is the low three bits of a batch's attributes (of a message's, for magic 0 and 1;
/// Kafka protocol guide, "Record Batch"). The names are the values of Kafka's `compression.type`.
///
/// The setting for batches to be written is a [`Compression`](super::Compression) instead, which has
/// levels and exists only for codecs that are compiled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
// Exhaustive on purpose: code that reads batches must handle each codec that the format can name.
pub enum Codec {
    /// No compression: number 0.
    #[default]
    None,
    /// gzip, RFC 1952: number 1.
    Gzip,
    /// Snappy, in xerial framing or raw: number 2.
    Snappy,
    /// LZ4, in the LZ4 frame format: number 3.
    Lz4,
    /// Zstandard, RFC 8878: number 4. Only in magic 2 (KIP-110).
    Zstd,
}

impl Codec {
    /// Every codec, in the order of the numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Returns the number on the wire, 0 to 4.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Returns the codec with this number, or `None` for 5 and above, which Kafka has not assigned.
    ///
    /// Mask a batch's attributes with `0b111` first.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Returns the name, as in Kafka's `compression.type`: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Returns the cargo feature that enables this codec; `None` for [`Codec::None`], which needs none.
    #[must_use]
    pub const fn feature(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip | Self::Snappy | Self::Lz4 | Self::Zstd => Some(self.name()),
        }
    }

    /// Returns `true` if this codec is compiled into this build.
    #[must_use]
    pub const fn is_compiled(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Snappy => cfg!(feature = "snappy"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// Returns `true` if batches of this magic can be compressed with it: zstd needs magic 2 (KIP-110), the
    /// others work with every format.
    #[must_use]
    pub const fn fits_magic(self, magic: Magic) -> bool {
        match self {
            Self::None | Self::Gzip | Self::Snappy | Self::Lz4 => true,
            Self::Zstd => matches!(magic, Magic::V2),
        }
    }

    /// Returns `true` if a broker whose **highest** Produce version is this one accepts batches compressed with it: zstd
    /// needs version 7, introduced in Kafka 2.1 (KIP-110).
    #[must_use]
    pub const fn fits_produce_version(self, max_version: i16) -> bool {
        match self {
            Self::None | Self::Gzip | Self::Snappy | Self::Lz4 => true,
            Self::Zstd => max_version >= 7,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Codec {
    type Err = ParseCodecError;

    /// Parses a name as returned by [`Codec::name`]: lower case, without surrounding white space.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|codec| codec.name() == text).ok_or_else(|| ParseCodecError { input: text.into() })
    }
}

/// An error for a text that is not the name of a codec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown codec {input:?}: known are none, gzip, snappy, lz4 and zstd")]
pub struct ParseCodecError {
    input: String,
}

impl ParseCodecError {
    /// Returns the text that was parsed.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }
}
