//! Topic ids.

use core::fmt::{self, Write as _};

/// A 128-bit id, such as Kafka assigns to each topic (KIP-516).
///
/// Displayed as by Kafka's own tools: URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The id with all bits zero, which means "no id" throughout the protocol.
    pub const ZERO: Self = Self([0; 16]);

    /// Returns `true` if this is [`Uuid::ZERO`].
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let bits = u128::from_be_bytes(self.0);
        // 21 digits of 6 bits are 126 bits; the last digit has the remaining two bits, padded with zeros.
        for digit in 0..22u32 {
            let six = if digit < 21 { bits >> (122 - 6 * digit) } else { bits << 4 };
            f.write_char(char::from(ALPHABET[(six & 0x3f) as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}
