//! SASL: the mechanisms, their credentials, and the exchange of tokens.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::backoff::ConnectionRng;
use super::scram::{AwaitsSalt, AwaitsSignature, Hash};
use crate::cause::ScramError;
use crate::secret::{NOT_SHOWN, Secret, has_encoded};

/// A SASL mechanism: Kafka's `sasl.mechanism`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SaslMechanism {
    /// `PLAIN` (RFC 4616): sends the password itself, so an eavesdropper can read it. Use it only with TLS.
    Plain,
    /// `SCRAM-SHA-256` (RFC 7677, KIP-84): the password is never sent, and the broker must prove that it knows it too.
    /// An eavesdropper can guess the password offline, so weak passwords require TLS.
    ScramSha256,
    /// `SCRAM-SHA-512`: the same with a longer hash.
    ScramSha512,
}

impl SaslMechanism {
    /// All mechanisms.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// Returns the name in Kafka's settings and on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl fmt::Display for SaslMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SaslMechanism {
    type Err = ParseSaslMechanismError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name).ok_or(ParseSaslMechanismError)
    }
}

/// The name is of no supported SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512: no other SASL mechanism is supported")]
#[non_exhaustive]
pub struct ParseSaslMechanismError;

/// `sasl.mechanism`, `sasl.username` and `sasl.password`: credentials that the mechanism supports. `Debug` does not
/// show the password.
///
/// ```
/// use kafka_batch_core::machine::{CredentialsError, Sasl, SaslMechanism};
///
/// let sasl = Sasl::new(SaslMechanism::ScramSha512, "alice", "secret, as it should be")?;
/// assert_eq!(sasl.mechanism().name(), "SCRAM-SHA-512");
/// assert!(matches!(Sasl::new(SaslMechanism::Plain, "", "secret"), Err(CredentialsError::Empty(_))));
/// # Ok::<(), CredentialsError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    mechanism: SaslMechanism,
    username: String,
    password: Secret,
}

impl Sasl {
    /// Creates credentials for this mechanism.
    ///
    /// # Errors
    /// The mechanism does not support them: neither may be empty, with PLAIN neither may contain a NUL, which ends
    /// each, and SCRAM supports only printable ASCII. (SCRAM's standard requires that other characters are prepared by
    /// RFC 4013, and Kafka uses them unprepared, so the two sides may disagree on them.)
    pub fn new(
        mechanism: SaslMechanism,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, CredentialsError> {
        let (username, password) = (username.into(), password.into());
        for (which, text) in [(Credential::Username, &username), (Credential::Password, &password)] {
            if text.is_empty() {
                return Err(CredentialsError::Empty(which));
            }
            match mechanism {
                SaslMechanism::Plain if text.contains('\0') => return Err(CredentialsError::Nul(which)),
                SaslMechanism::Plain => {}
                SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512 => {
                    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                        return Err(CredentialsError::NotPrintableAscii(which));
                    }
                }
            }
        }
        Ok(Self { mechanism, username, password: Secret::new(password) })
    }

    /// Returns the mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> SaslMechanism {
        self.mechanism
    }

    /// Returns the user name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Returns a broker's message, redacted if it repeats the password: a broker that was sent it may do so.
    pub(super) fn redacted(&self, message: String) -> String {
        let is_secret = self.password.is_repeated_in(&message) || has_encoded(&message);
        if is_secret { String::from(NOT_SHOWN) } else { message }
    }
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mechanism, username, .. } = self;
        f.debug_struct("Sasl").field("mechanism", mechanism).field("username", username).finish_non_exhaustive()
    }
}

/// The user name or the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The user name.
    Username,
    /// The password.
    Password,
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Username => "user name",
            Self::Password => "password",
        })
    }
}

/// Why a mechanism does not support these credentials. A retry with the same credentials cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// It is empty, which brokers refuse.
    #[error("the {0} is empty")]
    Empty(Credential),
    /// It contains a NUL, which PLAIN uses as the separator.
    #[error("the {0} contains a NUL, which PLAIN does not support")]
    Nul(Credential),
    /// It contains a character that SCRAM requires to be prepared, which Kafka does not do.
    #[error("the {0} contains a character that is not printable ASCII, which SCRAM does not support here")]
    NotPrintableAscii(Credential),
}

impl CredentialsError {
    /// Returns which of the two is not supported.
    #[must_use]
    pub const fn credential(self) -> Credential {
        match self {
            Self::Empty(which) | Self::Nul(which) | Self::NotPrintableAscii(which) => which,
        }
    }
}

/// The exchange of tokens, waiting for one from the broker.
#[derive(Debug)]
pub(super) enum Conversation {
    /// The password was sent. Any response that is not an error means success.
    Plain,
    /// The first SCRAM message was sent.
    Salt(AwaitsSalt),
    /// The SCRAM proof was sent.
    Signature(AwaitsSignature),
}

impl Conversation {
    /// Returns the first token, and the state that handles the response.
    pub(super) fn begin(sasl: &Sasl, rng: ConnectionRng) -> (Vec<u8>, Self) {
        let hash = match sasl.mechanism {
            SaslMechanism::Plain => {
                // RFC 4616, without an authorization id.
                return (format!("\0{}\0{}", sasl.username, sasl.password.expose()).into_bytes(), Self::Plain);
            }
            SaslMechanism::ScramSha256 => Hash::Sha256,
            SaslMechanism::ScramSha512 => Hash::Sha512,
        };
        let (token, next) = AwaitsSalt::begin(hash, &sasl.username, rng.nonce());
        (token, Self::Salt(next))
    }

    /// Returns a broker's message, redacted if it repeats the password or a token that was sent.
    pub(super) fn redacted(&self, sasl: &Sasl, message: String) -> String {
        let message = sasl.redacted(message);
        match self {
            Self::Signature(state) => state.redacted(message),
            Self::Plain | Self::Salt(_) => message,
        }
    }

    /// Handles a token of the broker. Returns the next token to send, or `None` once authentication is complete, of
    /// both sides if the mechanism supports that.
    pub(super) fn on_token(self, sasl: &Sasl, token: &[u8]) -> Result<Option<(Vec<u8>, Self)>, ScramError> {
        let next = match self {
            Self::Plain => Ok(None),
            Self::Salt(state) => {
                state.on_token(sasl.password.expose(), token).map(|(token, next)| Some((token, Self::Signature(next))))
            }
            Self::Signature(state) => state.on_token(token).map(|()| None),
        };
        next.map_err(|error| error.map_message(|message| sasl.redacted(message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mechanism_is_parsed_from_its_name() {
        for mechanism in SaslMechanism::ALL {
            assert_eq!(mechanism.name().parse(), Ok(mechanism));
        }
        for name in ["", "plain", "SCRAM", "SCRAM-SHA-1", "GSSAPI", "OAUTHBEARER"] {
            assert_eq!(name.parse::<SaslMechanism>(), Err(ParseSaslMechanismError));
        }
    }

    #[test]
    fn credentials_must_be_supported_by_the_mechanism() {
        use Credential::{Password, Username};
        use CredentialsError::{Empty, NotPrintableAscii, Nul};
        use SaslMechanism::{Plain, ScramSha256, ScramSha512};
        for mechanism in SaslMechanism::ALL {
            assert!(Sasl::new(mechanism, "a=b,c d~", "p").is_ok());
            assert_eq!(Sasl::new(mechanism, "", "p"), Err(Empty(Username)));
            assert_eq!(Sasl::new(mechanism, "u", ""), Err(Empty(Password)));
        }
        assert!(Sasl::new(Plain, "müller", "pässword").is_ok());
        assert_eq!(Sasl::new(Plain, "u\0", "p"), Err(Nul(Username)));
        assert_eq!(Sasl::new(Plain, "u", "\0p"), Err(Nul(Password)));
        for mechanism in [ScramSha256, ScramSha512] {
            for odd in ["müller", "a\u{ad}b", "tab\t", "nul\0", "\u{7f}"] {
                assert_eq!(Sasl::new(mechanism, odd, "p"), Err(NotPrintableAscii(Username)));
                assert_eq!(Sasl::new(mechanism, "u", odd), Err(NotPrintableAscii(Password)));
            }
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let shown = format!("{:?}", Sasl::new(SaslMechanism::Plain, "me", "hunter2").unwrap());
        assert!(shown.contains("me") && !shown.contains("hunter2"), "{shown}");
    }
}
