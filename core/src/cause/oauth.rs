//! Errors of OAUTHBEARER.

use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::millis::Limit;
use crate::one_line::OneLine;
use crate::transport_error::TransportError;

/// Why authentication by OAUTHBEARER failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OAuthError {
    /// The broker refused the token.
    Refused(OAuthRefusal),
    /// The program that was asked for a token reported this error. The machine asks again.
    NoToken(TransportError),
    /// The program that was asked for a token has not brought one within `request.timeout.ms`. A later one is used.
    Timeout {
        /// The value of that setting.
        limit: Duration,
    },
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::NoToken(error) => write!(f, "no token: {error}"),
            Self::Timeout { limit } => {
                write!(f, "no token was brought within {}", Limit("request.timeout.ms", *limit))
            }
        }
    }
}

impl Error for OAuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoToken(error) => error.source(),
            Self::Refused(_) | Self::Timeout { .. } => None,
        }
    }
}

/// A broker's answer to a token that it does not accept (RFC 7628, section 3.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OAuthRefusal {
    /// The status: `invalid_token`, `insufficient_scope` or `invalid_request`; empty if the answer has none.
    pub status: String,
    /// The scope that the broker requires.
    pub scope: Option<String>,
    /// Where clients find how to get tokens for this broker.
    pub openid_configuration: Option<String>,
}

/// The longest answer that is read, in bytes.
const LONGEST: usize = 4_096;

impl OAuthRefusal {
    /// Reads the broker's JSON object; members that are not strings are ignored.
    pub(crate) fn read(json: &[u8]) -> Self {
        let json = core::str::from_utf8(&json[..json.len().min(LONGEST)]).unwrap_or_default();
        let mut members = members(json);
        let mut take = |name: &str| {
            let at = members.iter().position(|(other, _)| other == name)?;
            Some(members.swap_remove(at).1).filter(|value| !value.is_empty())
        };
        Self {
            status: take("status").unwrap_or_default(),
            scope: take("scope"),
            openid_configuration: take("openid-configuration"),
        }
    }

    /// Applies a function to the broker's texts.
    pub(crate) fn map(self, map: impl Fn(String) -> String) -> Self {
        Self {
            status: map(self.status),
            scope: self.scope.map(&map),
            openid_configuration: self.openid_configuration.map(&map),
        }
    }
}

impl fmt::Display for OAuthRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, scope, openid_configuration } = self;
        f.write_str("the broker refuses the token: ")?;
        match status.as_str() {
            "" => f.write_str("it does not say why")?,
            "invalid_token" => f.write_str(
                "invalid_token, so it has expired, is not valid yet, has another audience or issuer than the broker expects, or \
                 is not signed with a key that the broker knows (the broker's log has the reason)",
            )?,
            other => write!(f, "{}", OneLine(other))?,
        }
        if let Some(scope) = scope {
            write!(f, "; it requires the scope {}", OneLine(scope))?;
        }
        match openid_configuration {
            Some(configuration) => write!(f, "; tokens for it are described at {}", OneLine(configuration)),
            None => Ok(()),
        }
    }
}

/// Returns the members of a JSON object whose values are strings. What is not such an object has none.
fn members(json: &str) -> Vec<(String, String)> {
    let mut members = Vec::new();
    let mut strings = Vec::new();
    let mut chars = json.trim_start().strip_prefix('{').unwrap_or_default().chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => {
                let Some(string) = string(&mut chars) else { return members };
                strings.push(string);
            }
            ',' | '}' => {
                if let Ok([name, value]) = <[String; 2]>::try_from(core::mem::take(&mut strings)) {
                    members.push((name, value));
                }
            }
            _ => {}
        }
    }
    members
}

/// Reads a string after its opening quote. `None` if it does not end.
fn string(chars: &mut core::str::Chars<'_>) -> Option<String> {
    let mut string = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(string),
            '\\' => string.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).ok();
                    code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
                other => other,
            }),
            other => string.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn the_answer_of_a_broker_is_read() {
        let refusal = OAuthRefusal::read(br#"{"status":"invalid_token"}"#);
        assert_eq!(refusal.status, "invalid_token");
        assert!(refusal.to_string().contains("has expired"), "{refusal}");
        let refusal = OAuthRefusal::read(
            br#" {"status" : "insufficient_scope", "n": 1, "scope":"a \"b\" \u0041","openid-configuration":"https://idp/x"}"#,
        );
        let expected = "the broker refuses the token: insufficient_scope; it requires the scope a \"b\" A; tokens for it are \
                        described at https://idp/x";
        assert_eq!(refusal.to_string(), expected);
    }

    #[test]
    fn any_other_answer_has_no_status() {
        let other: [&[u8]; 7] =
            [b"", b"{", b"[1]", br#"{"status":"inval"#, br#"{"status":7}"#, b"\xff", b"invalid_token"];
        for json in other {
            let refusal = OAuthRefusal::read(json);
            assert_eq!(refusal.status, "", "{json:?}");
            assert_eq!(refusal.to_string(), "the broker refuses the token: it does not say why");
        }
        let long = [&br#"{"status":""#[..], &[b'x'; 10_000], br#""}"#].concat();
        assert_eq!(OAuthRefusal::read(&long).status, "");
    }
}
