//! The message format ("magic") of a batch, and how it is chosen.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// A message format of Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
// Exhaustive on purpose: code that reads or writes a format must handle each of them, and a new one is a new format.
pub enum Magic {
    /// Kafka 0.8 and 0.9: no timestamps, no headers, absolute inner offsets.
    V0,
    /// Kafka 0.10: adds timestamps and relative inner offsets (KIP-31, KIP-32).
    V1,
    /// Kafka 0.11 and later: the record batch, with headers, producer ids and varints (KIP-82, KIP-98).
    V2,
}

impl Magic {
    /// All formats, oldest first.
    pub const ALL: [Self; 3] = [Self::V0, Self::V1, Self::V2];

    /// Returns the magic byte.
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// Returns the format with this magic byte; `None` for other bytes than 0, 1 and 2.
    #[must_use]
    pub const fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::V0),
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// Returns the format for a broker whose **highest** Produce version is `max_version`: magic 0 up to version 1, magic 1
    /// for version 2, magic 2 from version 3 on (`ProduceRequest.requiredMagicForVersion` of the Java client).
    ///
    /// Do not pass the lowest version that a broker lists: Kafka 4 lists Produce v0 again, but rejects it (KAFKA-18659).
    #[must_use]
    pub const fn for_produce_version(max_version: i16) -> Self {
        match max_version {
            ..=1 => Self::V0,
            2 => Self::V1,
            _ => Self::V2,
        }
    }

    /// Returns `true` if records of this format can have headers.
    #[must_use]
    pub const fn has_headers(self) -> bool {
        matches!(self, Self::V2)
    }

    /// Returns `true` if records of this format have timestamps.
    #[must_use]
    pub const fn has_timestamps(self) -> bool {
        !matches!(self, Self::V0)
    }
}

impl fmt::Display for Magic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "magic {}", self.id())
    }
}

/// How the format of a batch is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MagicChoice {
    /// The batch is filled as magic 2. For an older broker the transport converts it when it is sent, or refuses it with the
    /// list of what would be lost ([`KafkaBatch::losses_at`](crate::KafkaBatch::losses_at)).
    #[default]
    Auto,
    /// The batch has this format.
    Pinned(Magic),
}

impl MagicChoice {
    /// Returns the format in which a new batch is filled.
    #[must_use]
    pub const fn initial(self) -> Magic {
        match self {
            Self::Auto => Magic::V2,
            Self::Pinned(magic) => magic,
        }
    }
}

impl From<Magic> for MagicChoice {
    fn from(magic: Magic) -> Self {
        Self::Pinned(magic)
    }
}

impl From<BrokerVersion> for MagicChoice {
    fn from(version: BrokerVersion) -> Self {
        Self::Pinned(version.magic())
    }
}

/// The version of a Kafka broker: one to four numbers, optionally with the prefix `v` or a suffix such as `-SNAPSHOT`.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::{BrokerVersion, Magic};
///
/// assert_eq!("0.10.2".parse::<BrokerVersion>()?.magic(), Magic::V1);
/// assert_eq!("v3.7.0".parse::<BrokerVersion>()?.magic(), Magic::V2);
/// assert_eq!("4.0.0-IV3".parse::<BrokerVersion>()?.magic(), Magic::V2);
/// assert!("latest".parse::<BrokerVersion>().is_err());
/// # Ok::<(), kafka_batch_core::error::InvalidBrokerVersion>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerVersion([u32; 4]);

impl BrokerVersion {
    /// Returns the newest format that such a broker stores: magic 2 from 0.11 on, magic 1 from 0.10 on, else magic 0.
    #[must_use]
    pub const fn magic(self) -> Magic {
        match self.0 {
            [0, 0..=9, ..] => Magic::V0,
            [0, 10, ..] => Magic::V1,
            _ => Magic::V2,
        }
    }
}

impl FromStr for BrokerVersion {
    type Err = InvalidBrokerVersion;

    fn from_str(text: &str) -> Result<Self, InvalidBrokerVersion> {
        let invalid = || InvalidBrokerVersion { found: text.to_owned() };
        let numbers = text.strip_prefix('v').unwrap_or(text);
        let (numbers, suffix) = match numbers.split_once('-') {
            Some((numbers, suffix)) => (numbers, Some(suffix)),
            None => (numbers, None),
        };
        let plain_suffix = |suffix: &str| {
            !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        };
        if !suffix.is_none_or(plain_suffix) {
            return Err(invalid());
        }
        let mut parts = [0; 4];
        for (index, number) in numbers.split('.').enumerate() {
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let part = parts.get_mut(index).filter(|_| digits).ok_or_else(invalid)?;
            *part = number.parse().map_err(|_| invalid())?;
        }
        Ok(Self(parts))
    }
}

/// Prints two to four numbers, without trailing zeros after the second: `0.9`, `0.11.0.3`, `4.1`.
impl fmt::Display for BrokerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.0.iter().rposition(|&part| part != 0).map_or(2, |last| (last + 1).max(2));
        for (index, part) in self.0[..used].iter().enumerate() {
            write!(f, "{}{part}", if index == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

/// The error of parsing a text that is not a broker version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a Kafka version: write one to four numbers, such as 0.10.2, 2.8.1 or 4.1")]
#[non_exhaustive]
pub struct InvalidBrokerVersion {
    /// The text.
    pub found: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn versions_of_all_forms_are_parsed() {
        for (text, magic, printed) in [
            ("0.8.2", Magic::V0, "0.8.2"),
            ("0.9", Magic::V0, "0.9"),
            ("0.10.2", Magic::V1, "0.10.2"),
            ("0.11.0.3", Magic::V2, "0.11.0.3"),
            ("1", Magic::V2, "1.0"),
            ("2.8.1", Magic::V2, "2.8.1"),
            ("v3.7.0", Magic::V2, "3.7"),
            ("4.1", Magic::V2, "4.1"),
            ("4.0.0-IV3", Magic::V2, "4.0"),
            ("4.2.0-SNAPSHOT", Magic::V2, "4.2"),
            ("97.1", Magic::V2, "97.1"),
        ] {
            let version: BrokerVersion = text.parse().unwrap();
            assert_eq!(version.magic(), magic, "{text}");
            assert_eq!(version.to_string(), printed);
        }
    }

    #[test]
    fn other_texts_are_errors_that_quote_them() {
        for text in
            ["", "v", "4.", ".4", "1.2.3.4.5", "latest", "-1", "4.0-", "+4", "4 .1", "4.1 ", "99999999999", "vv1"]
        {
            let error = text.parse::<BrokerVersion>().unwrap_err();
            assert!(error.to_string().contains(&alloc::format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn produce_versions() {
        let magics = [-1, 0, 1, 2, 3, 7, 13, i16::MAX].map(Magic::for_produce_version);
        use Magic::{V0, V1, V2};
        assert_eq!(magics, [V0, V0, V0, V1, V2, V2, V2, V2]);
    }
}
