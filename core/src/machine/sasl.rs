//! Who we are to the brokers: a mechanism, credentials that it can carry, and what is said in it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::backoff::ConnectionRng;
use super::scram::{AwaitsSalt, AwaitsSignature, Hash, ScramError};

/// How one says who one is: Kafka's `sasl.mechanism`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SaslMechanism {
    /// `PLAIN` (RFC 4616): the password itself, so whoever reads along has it. Use it within TLS alone.
    Plain,
    /// `SCRAM-SHA-256` (RFC 7677, KIP-84): the password is never sent, and the broker has to prove that it knows it too.
    /// Whoever reads along can guess at leisure whether a password is the one, so weak passwords want TLS.
    ScramSha256,
    /// `SCRAM-SHA-512`: the same with the longer hash.
    ScramSha512,
}

impl SaslMechanism {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// Its name in Kafka's settings and on the wire.
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

/// There is no such mechanism here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512: there is no other mechanism here")]
#[non_exhaustive]
pub struct ParseSaslMechanismError;

/// `sasl.mechanism`, `sasl.username` and `sasl.password`: credentials that the mechanism can carry. `Debug` does not show
/// the password.
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
    password: String,
}

impl Sasl {
    /// These credentials, for this mechanism.
    ///
    /// # Errors
    /// It cannot carry them: neither may be empty, PLAIN ends each with a NUL, and SCRAM takes printable ASCII alone. (For
    /// other characters its standard wants them prepared, by RFC 4013, and Kafka takes them as they come: what one of the
    /// two sides makes of them may not be what the other does.)
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
        Ok(Self { mechanism, username, password })
    }

    /// How they are told.
    #[must_use]
    pub const fn mechanism(&self) -> SaslMechanism {
        self.mechanism
    }

    /// The user name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mechanism, username, .. } = self;
        f.debug_struct("Sasl").field("mechanism", mechanism).field("username", username).finish_non_exhaustive()
    }
}

/// One of the two.
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

/// Credentials that a mechanism cannot carry. With the same ones no retry can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// Brokers refuse that.
    #[error("the {0} is empty")]
    Empty(Credential),
    /// PLAIN would end there.
    #[error("the {0} has a NUL in it, which PLAIN cannot carry")]
    Nul(Credential),
    /// SCRAM wants such characters prepared, and Kafka does not.
    #[error("the {0} has a character that is not printable ASCII, which is all that SCRAM can carry here")]
    NotPrintableAscii(Credential),
}

impl CredentialsError {
    /// Which of the two it is about.
    #[must_use]
    pub const fn credential(self) -> Credential {
        match self {
            Self::Empty(which) | Self::Nul(which) | Self::NotPrintableAscii(which) => which,
        }
    }
}

/// What is said once the mechanism is agreed upon: it waits for an answer.
#[derive(Debug)]
pub(super) enum Conversation {
    /// The password is out, and whatever is answered, if it is no refusal, means yes.
    Plain,
    Salt(AwaitsSalt),
    Signature(AwaitsSignature),
}

impl Conversation {
    /// The first token, and what to do with the answer.
    pub(super) fn begin(sasl: &Sasl, rng: ConnectionRng) -> (Vec<u8>, Self) {
        let hash = match sasl.mechanism {
            SaslMechanism::Plain => {
                // RFC 4616, without an authorization id.
                return (format!("\0{}\0{}", sasl.username, sasl.password).into_bytes(), Self::Plain);
            }
            SaslMechanism::ScramSha256 => Hash::Sha256,
            SaslMechanism::ScramSha512 => Hash::Sha512,
        };
        let (token, next) = AwaitsSalt::begin(hash, &sasl.username, rng.nonce());
        (token, Self::Salt(next))
    }

    /// The next token, or `None`: we are who we say, and so is the broker, as far as the mechanism tells.
    pub(super) fn go_on(self, sasl: &Sasl, token: &[u8]) -> Result<Option<(Vec<u8>, Self)>, ScramError> {
        match self {
            Self::Plain => Ok(None),
            Self::Salt(state) => {
                let (token, next) = state.on_token(&sasl.password, token)?;
                Ok(Some((token, Self::Signature(next))))
            }
            Self::Signature(state) => state.on_token(token).map(|()| None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mechanism_is_read_by_its_name() {
        for mechanism in SaslMechanism::ALL {
            assert_eq!(mechanism.name().parse(), Ok(mechanism));
        }
        for name in ["", "plain", "SCRAM", "SCRAM-SHA-1", "GSSAPI", "OAUTHBEARER"] {
            assert_eq!(name.parse::<SaslMechanism>(), Err(ParseSaslMechanismError));
        }
    }

    #[test]
    fn credentials_are_what_the_mechanism_can_carry() {
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
