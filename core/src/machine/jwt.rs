//! What the machine needs to know of a JSON Web Token (RFC 7519): when it expires.

use alloc::vec::Vec;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// The longest payload that is read, in bytes.
const LONGEST: usize = 64 << 10;

/// Base64 for URLs, without padding (RFC 7515); with padding, too, since some issuers add it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the claim `exp` of a token, in seconds since 1970; `None` if the token is no JWT or has no such claim. The
/// signature is not verified: the token is passed on, not relied on.
pub(super) fn expiry(token: &str) -> Option<i64> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || payload.len() > LONGEST {
        return None;
    }
    number(&BASE64.decode(payload).ok()?, b"exp")
}

/// Returns a member of a JSON object that is a number, rounded down.
fn number(json: &[u8], name: &[u8]) -> Option<i64> {
    let mut depth = 0_u32;
    // The last string of the outermost object, and whether a colon follows it.
    let (mut last, mut is_name): (Vec<u8>, bool) = (Vec::new(), false);
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' => {
                let start = at;
                while *json.get(at)? != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                (last, is_name) = (json[start..at].to_vec(), false);
                at += 1;
            }
            b':' => is_name = depth == 1,
            b',' => is_name = false,
            b'-' | b'0'..=b'9' => {
                let start = at - 1;
                while json.get(at).is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
                    at += 1;
                }
                if is_name && last == name {
                    let text = core::str::from_utf8(&json[start..at]).ok()?;
                    // As `NumericDate` may have a fraction.
                    let number: f64 = text.parse().ok()?;
                    return (number.abs() < 9e15).then_some(number as i64);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn of(payload: &str) -> Option<i64> {
        expiry(&format!("e30.{}.c2ln", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn the_expiry_of_a_token_is_its_claim() {
        assert_eq!(of(r#"{"exp":1700000000}"#), Some(1_700_000_000));
        assert_eq!(of(r#"{"sub":"exp","a":{"exp":1,"b":[{"exp":2}]},"exp" : 1.7e9, "iat":3}"#), Some(1_700_000_000));
        assert_eq!(of(r#"{"a":"\"exp\":1","exp":-5}"#), Some(-5));
        assert_eq!(of(r#"{"exp":1700000000.9}"#), Some(1_700_000_000));
    }

    #[test]
    fn any_other_token_has_none() {
        for payload in [
            "",
            "{}",
            "exp",
            r#"{"exp":"1"}"#,
            r#"{"exp":null}"#,
            r#"{"x":{"exp":1}}"#,
            r#"{"exp":1e300}"#,
            "}",
            r#"{"exp"#,
            r#"{"a":"\"#,
            r#"{"exp","a":1}"#,
        ] {
            assert_eq!(of(payload), None, "{payload}");
        }
        for token in ["", "opaque", "a.b", "a.b.c.d", "e30.!!.c2ln", "e30..c2ln"] {
            assert_eq!(expiry(token), None, "{token}");
        }
    }

    #[test]
    fn padding_is_ignored() {
        let payload = base64::engine::general_purpose::URL_SAFE.encode(br#"{"exp":12}"#);
        assert!(payload.ends_with('='));
        assert_eq!(expiry(&format!("e30.{payload}.c2ln")), Some(12));
    }
}
