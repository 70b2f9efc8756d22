//! Names and messages of others in the text of an error, which is one line.

use core::fmt::{self, Write as _};

/// Displays a text with control characters, such as line ends, replaced by spaces.
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        text.chars().try_for_each(|char| f.write_char(if char.is_control() { ' ' } else { char }))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn control_characters_become_spaces() {
        assert_eq!(OneLine("no\r\nWARN \u{1b}[0mé\0").to_string(), "no  WARN  [0mé ");
    }
}
