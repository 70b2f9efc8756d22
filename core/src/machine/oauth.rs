//! SASL OAUTHBEARER: tokens, and the exchange in which one is sent (RFC 7628; in Kafka KIP-255).
//!
//! ```text
//! client                                          broker
//!   n,,^Aauth=Bearer token^Aname=value^A^A  ──▶
//!                                           ◀──  nothing: the token is accepted
//!                                           ◀──  {"status":"invalid_token"}
//!   ^A                                      ──▶
//!                                           ◀──  an error
//! ```
//!
//! `^A` is the byte 1.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::jwt;
use crate::secret::Secret;
use crate::time::Timestamp;

/// The token of OAUTHBEARER. `Debug` does not show it.
///
/// ```
/// use core::time::Duration;
/// use kafka_batch_core::machine::OAuthToken;
///
/// let token = OAuthToken::new("eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl")?
///     .lifetime(Duration::from_secs(3_600))
///     .extension("logicalCluster", "lkc-4711")?;
/// assert!(!format!("{token:?}").contains("eyJ"));
/// # Ok::<(), kafka_batch_core::machine::OAuthTokenError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OAuthToken {
    value: Secret,
    lifetime: Option<Duration>,
    extensions: Vec<(String, String)>,
}

impl OAuthToken {
    /// Creates a token that does not expire and has no extensions.
    ///
    /// # Errors
    /// The token is empty, or has a character that no token has (RFC 6750): it consists of ASCII letters, digits and
    /// `-._~+/`, with `=` at the end.
    pub fn new(value: impl Into<Secret>) -> Result<Self, OAuthTokenError> {
        let value = value.into();
        let unpadded = value.expose().trim_end_matches('=');
        if unpadded.is_empty() {
            return Err(OAuthTokenError::Empty);
        }
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        match unpadded.bytes().all(is_valid) {
            true => Ok(Self { value, lifetime: None, extensions: Vec::new() }),
            false => Err(OAuthTokenError::InvalidCharacter),
        }
    }

    /// Creates a token that may be a JWT (RFC 7519): it is valid until its claim `exp`, by this clock. The signature is not
    /// verified.
    ///
    /// ```
    /// use core::time::Duration;
    /// use kafka_batch_core::Timestamp;
    /// use kafka_batch_core::machine::OAuthToken;
    ///
    /// // Its payload is {"exp":1700003600}.
    /// let token = OAuthToken::jwt("e30.eyJleHAiOjE3MDAwMDM2MDB9.c2ln", Timestamp::from_millis(1_700_000_000_000))?;
    /// assert_eq!(token.valid_for(), Some(Duration::from_secs(3_600)));
    /// # Ok::<(), kafka_batch_core::machine::OAuthTokenError>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn jwt(value: impl Into<Secret>, now: impl Into<Timestamp>) -> Result<Self, OAuthTokenError> {
        let token = Self::new(value)?;
        let Some(expiry) = jwt::expiry(token.value.expose()) else { return Ok(token) };
        let millis = expiry.saturating_mul(1_000).saturating_sub(now.into().millis());
        Ok(token.lifetime(Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
    }

    /// Sets how long the token is valid from now on: until `exp` of a JWT, or for `expires_in` of a token endpoint. Another
    /// one is asked for after 80 to 85 % of this time.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Adds a SASL extension (KIP-342), such as `logicalCluster` of Confluent Cloud.
    ///
    /// # Errors
    /// The name is `auth`, is there already, or does not consist of ASCII letters; or the value is empty, or has other
    /// characters than printable ASCII, space, tab and line ends.
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<Self, OAuthTokenError> {
        let (name, value) = (name.into(), value.into());
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_value =
            !value.is_empty() && value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
        if !is_name || !is_value || name == "auth" || self.extensions.iter().any(|(other, _)| *other == name) {
            return Err(OAuthTokenError::Extension(name));
        }
        self.extensions.push((name, value));
        Ok(self)
    }

    /// Returns how long the token was valid when it was made; `None` if it does not expire.
    #[must_use]
    pub const fn valid_for(&self) -> Option<Duration> {
        self.lifetime
    }

    /// Returns the first message of the exchange.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = Vec::from(&b"n,,\x01auth=Bearer "[..]);
        message.extend_from_slice(self.value.expose().as_bytes());
        for (name, value) in &self.extensions {
            message.push(1);
            message.extend_from_slice(name.as_bytes());
            message.push(b'=');
            message.extend_from_slice(value.as_bytes());
        }
        message.extend_from_slice(b"\x01\x01");
        message
    }

    /// Returns a broker's message, redacted if it repeats the token.
    pub(super) fn redacted(&self, message: String) -> String {
        self.value.redacted(message)
    }
}

/// Omits the token, and the values of the extensions.
impl fmt::Debug for OAuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.extensions.iter().map(|(name, _)| name).collect();
        f.debug_struct("OAuthToken")
            .field("lifetime", &self.lifetime)
            .field("extensions", &names)
            .finish_non_exhaustive()
    }
}

/// Why a token or an extension cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthTokenError {
    /// The token is empty.
    #[error("the token is empty")]
    Empty,
    /// The token has a character that no token has.
    #[error(
        "the token has a character other than ASCII letters, digits and -._~+/ (RFC 6750): pass the token alone, without a line end"
    )]
    InvalidCharacter,
    /// The extension of this name cannot be sent.
    #[error(
        "the extension {0:?} cannot be sent: its name consists of ASCII letters, is not auth and is there once; its value is \
         printable ASCII and not empty"
    )]
    Extension(String),
}

/// The credentials of OAUTHBEARER: a token, which the machine [asks for](super::Event::TokenRequired) whenever it needs one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OAuthBearer {
    pub(super) token: Option<OAuthToken>,
}

impl OAuthBearer {
    /// Creates credentials without a token.
    #[must_use]
    pub const fn new() -> Self {
        Self { token: None }
    }

    pub(super) fn redacted(&self, message: String) -> String {
        match &self.token {
            Some(token) => token.redacted(message),
            None => message,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn the_message_has_the_token_and_the_extensions() {
        let token = OAuthToken::new("abc.def-_~+/==").unwrap();
        assert_eq!(token.message(), b"n,,\x01auth=Bearer abc.def-_~+/==\x01\x01");
        let token = token.extension("logicalCluster", "lkc 1").unwrap().extension("pool", "p").unwrap();
        assert_eq!(token.message(), b"n,,\x01auth=Bearer abc.def-_~+/==\x01logicalCluster=lkc 1\x01pool=p\x01\x01");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        assert_eq!(OAuthToken::new(""), Err(OAuthTokenError::Empty));
        assert_eq!(OAuthToken::new("=="), Err(OAuthTokenError::Empty));
        for wrong in ["a b", "a\n", "a\x01b", "a=b", "ä", "a,b"] {
            assert_eq!(OAuthToken::new(wrong), Err(OAuthTokenError::InvalidCharacter), "{wrong:?}");
        }
        let token = OAuthToken::new("t").unwrap().extension("a", "b").unwrap();
        for (name, value) in [("auth", "x"), ("a", "x"), ("", "x"), ("a1", "x"), ("b", ""), ("b", "\x01"), ("b", "ü")]
        {
            let expected = Err(OAuthTokenError::Extension(name.into()));
            assert_eq!(token.clone().extension(name, value), expected, "{name:?}={value:?}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let token = OAuthToken::new("correct.horse").unwrap().extension("pool", "battery").unwrap();
        let shown = format!("{token:?} {:?}", OAuthBearer { token: Some(token.clone()) });
        assert!(shown.contains("pool") && !shown.contains("horse") && !shown.contains("battery"), "{shown}");
    }
}
