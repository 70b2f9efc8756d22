//! Passwords, keys and tokens: values that no error or log may contain.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A password, a key or a token. `Debug` does not show it, and there is no `Display`.
///
/// ```
/// use kafka_batch_core::machine::Secret;
///
/// let password = Secret::from("correct horse");
/// assert_eq!(format!("{password:?}"), "Secret(not shown)");
/// assert_eq!(password.expose(), "correct horse");
/// assert!(password.is_repeated_in("the broker answered: no user bob/correct horse"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the value.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns `true` if `text` contains any 8 consecutive bytes of the value, or all of a shorter value: verbatim,
    /// escaped as by `Debug`, as a list of decimal numbers, in hexadecimal digits or in base64.
    ///
    /// For text from brokers and other libraries, before it is passed on. Values of fewer than 4 bytes are not searched
    /// for, because text contains them by chance.
    #[must_use]
    pub fn is_repeated_in(&self, text: &str) -> bool {
        is_repeated(self.0.as_bytes(), text)
    }

    /// Returns a message of a broker during authentication, redacted if it may repeat the value.
    pub(crate) fn redacted(&self, message: String) -> String {
        let is_secret = self.is_repeated_in(&message) || has_encoded(&message);
        if is_secret { String::from(NOT_SHOWN) } else { message }
    }
}

impl<S: Into<String>> From<S> for Secret {
    fn from(value: S) -> Self {
        Self::new(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// Replaces a message that repeats a secret.
pub(crate) const NOT_SHOWN: &str = "(the message is not shown: it may repeat a secret)";

/// How many consecutive bytes count as a repetition.
const WINDOW: usize = 8;
/// The least length of a value to search for, in bytes.
const SHORTEST: usize = 4;

/// [`Secret::is_repeated_in`], for bytes that need not be text.
pub(crate) fn is_repeated(secret: &[u8], text: &str) -> bool {
    if secret.len() < SHORTEST {
        return false;
    }
    let length = secret.len().min(WINDOW);
    let windows: BTreeSet<&[u8]> = secret.windows(length).collect();
    let has = |bytes: &[u8]| bytes.windows(length).any(|window| windows.contains(window));
    has(text.as_bytes())
        || has(&unescaped(text))
        || decimals(text).iter().any(|bytes| has(bytes))
        || hex(text).iter().any(|bytes| has(bytes))
        || base64(text).iter().any(|bytes| has(bytes))
}

/// The least number of consecutive letters and digits that count as encoded bytes: longer than any word of a broker's messages.
const ENCODED: usize = 20;
/// The same, of digits alone.
const ENCODED_DIGITS: usize = 9;

/// Returns true if a text has what may be encoded bytes: hexadecimal digits, base64, numbers without separators, or escapes.
///
/// For messages of brokers during authentication. They know what is derived from a password (RFC 5802: SaltedPassword,
/// StoredKey, ServerKey), which this side need not have calculated, so it cannot be searched for.
pub(crate) fn has_encoded(text: &str) -> bool {
    let is_encoded = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '/' | '=');
    text.contains('\\')
        || text.split(|char| !is_encoded(char)).any(|run| run.len() >= ENCODED)
        || text.split(|char: char| !char.is_ascii_digit()).any(|run| run.len() >= ENCODED_DIGITS)
}

/// Returns the text with the escapes of `Debug` decoded.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let char = match char {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('0') => '\0',
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).collect();
                    match u8::from_str_radix(&digits, 16) {
                        Ok(byte) => {
                            bytes.push(byte);
                            continue;
                        }
                        Err(_) => continue,
                    }
                }
                Some('u') => {
                    let digits: String = chars.by_ref().take_while(|char| *char != '}').skip(1).collect();
                    match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
                        Some(char) => char,
                        None => continue,
                    }
                }
                Some(escaped) => escaped,
                None => break,
            },
            char => char,
        };
        bytes.extend(char.encode_utf8(&mut [0; 4]).bytes());
    }
    bytes
}

/// Returns the lists of numbers up to 255 in the text, separated by spaces and punctuation.
fn decimals(text: &str) -> Vec<Vec<u8>> {
    let mut lists = Vec::from([Vec::new()]);
    let mut number: Option<u16> = None;
    for byte in text.bytes().chain([b'.']) {
        match byte {
            b'0'..=b'9' => {
                number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(u16::from(byte - b'0')));
            }
            _ => {
                let list = lists.last_mut().expect("there is always one");
                match number.take().map(u8::try_from) {
                    Some(Ok(value)) => list.push(value),
                    Some(Err(_)) => lists.push(Vec::new()),
                    None => {}
                }
                if byte.is_ascii_alphabetic() {
                    lists.push(Vec::new());
                }
            }
        }
    }
    lists
}

/// Decodes the runs of hexadecimal digits in the text, skipping `0x`, `\x`, spaces and punctuation, each from its first
/// digit and from its second.
fn hex(text: &str) -> Vec<Vec<u8>> {
    let mut runs: Vec<Vec<u8>> = Vec::from([Vec::new()]);
    for char in text.chars() {
        let run = runs.last_mut().expect("there is always one");
        match char {
            'x' | 'X' if run.last() == Some(&0) => drop(run.pop()), // of `0x`; `\x` has none
            'x' | 'X' => {}
            char if char.is_ascii_alphanumeric() => match char.to_digit(16) {
                Some(digit) => run.push(digit as u8),
                None => runs.push(Vec::new()),
            },
            _ => {}
        }
    }
    let bytes = |digits: &[u8]| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    runs.iter().flat_map(|run| [bytes(run), bytes(run.get(1..).unwrap_or_default())]).collect()
}

/// Decodes the runs of base64 characters in the text (of either alphabet), each from its first four characters on.
fn base64(text: &str) -> Vec<Vec<u8>> {
    let mut decoded = Vec::new();
    for run in text.split(|char: char| !char.is_ascii_alphanumeric() && !matches!(char, '+' | '/' | '-' | '_')) {
        let sextets: Vec<u32> = run.bytes().map(sextet).collect();
        for from in 0..sextets.len().min(4) {
            let quads = sextets[from..].chunks(4).flat_map(|quad| {
                let bits = quad.iter().fold(0, |bits, sextet| bits << 6 | sextet) << (6 * (4 - quad.len()));
                let complete_bytes = quad.len() * 6 / 8;
                bits.to_be_bytes().into_iter().skip(1).take(complete_bytes)
            });
            decoded.push(quads.collect());
        }
    }
    decoded
}

const fn sextet(byte: u8) -> u32 {
    (match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        _ => 63,
    }) as u32
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const PASSWORD: &str = "\"p\\ä\n\0|correct=horse~battery";

    #[test]
    fn debug_does_not_show_it() {
        let secret = Secret::from(PASSWORD);
        assert_eq!(format!("{secret:?}"), "Secret(not shown)");
        assert_eq!(format!("{:#?}", Some(&secret)), "Some(\n    Secret(not shown),\n)");
    }

    #[test]
    fn any_eight_bytes_of_it_are_found_in_each_encoding() {
        let secret = Secret::from(PASSWORD);
        let join = |bytes: &[u8], before: &str, between: &str| {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{before}{byte:02x}")).collect();
            bytes.join(between)
        };
        for window in PASSWORD.as_bytes().windows(8) {
            let mut forms = Vec::from([
                format!("{window:?}"),
                format!("{window:#?}"),
                join(window, "", ""),
                join(window, "", ":").to_uppercase(),
                join(window, "0x", ", "),
                join(window, "\\x", ""),
                format!("\"{}\"", window.escape_ascii()),
                format!("1{}", join(window, "", "")), // from the second digit
            ]);
            if let Ok(text) = str::from_utf8(window) {
                forms.extend([text.into(), format!("{text:?}")]);
            }
            for before in ["", "x", "xy"] {
                let bytes = [before.as_bytes(), window].concat();
                forms.extend([STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)]);
            }
            for form in forms {
                let text = format!("the broker answered: {form}!");
                assert!(secret.is_repeated_in(&text), "{text}");
            }
        }
    }

    #[test]
    fn a_short_value_is_found_whole_and_one_below_four_bytes_is_not_searched_for() {
        assert!(Secret::from("hunter2").is_repeated_in("no user bob:hunter2"));
        assert!(!Secret::from("hunter2").is_repeated_in("no user bob:hunter"));
        assert!(!Secret::from("bob").is_repeated_in("no user bob"));
        assert!(!Secret::from("").is_repeated_in(""));
    }

    #[test]
    fn encoded_bytes_in_a_message_are_recognised() {
        for text in [
            "no: XE1zq4dYjlyLD47kHGGE1M47rB0=",
            "no: 5c4d73ab87588e5c8b0f8ee41c6184d4",
            "no: 084114048117",
            "no: \\124\\162",
            "no: \\u0054\\u0072",
        ] {
            assert!(has_encoded(text), "{text}");
        }
        for text in [
            "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256",
            "Authentication failed: Invalid username or password",
            "invalid-username-encoding",
            "server-does-support-channel-binding",
            "broker-1.example.org:9092: 20261129",
        ] {
            assert!(!has_encoded(text), "{text}");
        }
    }

    #[test]
    fn text_that_does_not_repeat_it_may_be_shown() {
        let secret = Secret::from("correct horse battery staple");
        for text in [
            "",
            "Authentication failed: Invalid username or password",
            "ssl.key.location failed: error:1608010C:STORE routines::unsupported",
            "a horse, [99, 111, 114, 114, 101], 636f7272",
            "\\",
            "\\x9",
            "\\u{zz}",
        ] {
            assert!(!secret.is_repeated_in(text), "{text}");
        }
    }
}
