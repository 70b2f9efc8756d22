//! Numbers of things in messages.

use core::fmt;

/// Displays a number and a noun, which has an `s` unless the number is 1.
pub(crate) struct Counted(pub(crate) usize, pub(crate) &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = *self;
        write!(f, "{count} {noun}{}", if count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn one_is_singular() {
        let texts = [0, 1, 2].map(|count| Counted(count, "record").to_string());
        assert_eq!(texts, ["0 records", "1 record", "2 records"]);
    }
}
