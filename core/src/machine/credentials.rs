//! SASL mechanisms and their credentials.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::oauth::OAuthBearer;
use crate::secret::Secret;

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
    /// `OAUTHBEARER` (RFC 7628, KIP-255): sends a token, which an eavesdropper can use until it expires. Use it only with TLS.
    OAuthBearer,
}

impl SaslMechanism {
    /// All mechanisms.
    pub const ALL: &'static [Self] = &[Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OAuthBearer];

    /// Returns the name in Kafka's settings and on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
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
        Self::ALL.iter().copied().find(|mechanism| mechanism.name() == name).ok_or(ParseSaslMechanismError)
    }
}

/// The name is of no supported SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER: no other SASL mechanism is supported")]
#[non_exhaustive]
pub struct ParseSaslMechanismError;

/// A SASL mechanism with credentials that it supports: `sasl.mechanism`, `sasl.username` and `sasl.password`, or tokens.
/// `Debug` does not show the password or the token.
///
/// ```
/// use kafka_batch_core::machine::{CredentialsError, Sasl, SaslMechanism};
///
/// let sasl = Sasl::new(SaslMechanism::ScramSha512, "alice", "secret, as it should be")?;
/// assert_eq!((sasl.mechanism().name(), sasl.username()), ("SCRAM-SHA-512", Some("alice")));
/// assert!(matches!(Sasl::new(SaslMechanism::Plain, "", "secret"), Err(CredentialsError::Empty(_))));
/// # Ok::<(), CredentialsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sasl {
    /// PLAIN.
    Plain(PlainCredentials),
    /// SCRAM, with either hash.
    Scram(ScramCredentials),
    /// OAUTHBEARER.
    OAuthBearer(OAuthBearer),
}

/// The user name and password for PLAIN.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainCredentials {
    username: String,
    password: Secret,
}

/// The user name and password for SCRAM, and the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredentials {
    hash: ScramHash,
    username: String,
    password: Secret,
}

/// The hash of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScramHash {
    /// SHA-256, of `SCRAM-SHA-256`.
    Sha256,
    /// SHA-512, of `SCRAM-SHA-512`.
    Sha512,
}

impl Sasl {
    /// Creates credentials for a mechanism that authenticates by user name and password.
    ///
    /// # Errors
    /// The mechanism does not support them: see [`PlainCredentials::new`] and [`ScramCredentials::new`]. OAUTHBEARER has none:
    /// it is `OAuthBearer::new().into()`.
    pub fn new(
        mechanism: SaslMechanism,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, CredentialsError> {
        match mechanism {
            SaslMechanism::Plain => PlainCredentials::new(username, password).map(Self::Plain),
            SaslMechanism::ScramSha256 => ScramCredentials::new(ScramHash::Sha256, username, password).map(Self::Scram),
            SaslMechanism::ScramSha512 => ScramCredentials::new(ScramHash::Sha512, username, password).map(Self::Scram),
            SaslMechanism::OAuthBearer => Err(CredentialsError::Unused(Credential::Password)),
        }
    }

    /// Returns the mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> SaslMechanism {
        match self {
            Self::Plain(_) => SaslMechanism::Plain,
            Self::Scram(ScramCredentials { hash: ScramHash::Sha256, .. }) => SaslMechanism::ScramSha256,
            Self::Scram(ScramCredentials { hash: ScramHash::Sha512, .. }) => SaslMechanism::ScramSha512,
            Self::OAuthBearer(_) => SaslMechanism::OAuthBearer,
        }
    }

    /// Returns the user name; `None` for a mechanism without one. PLAIN and SCRAM have one.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Plain(credentials) => Some(&credentials.username),
            Self::Scram(credentials) => Some(&credentials.username),
            Self::OAuthBearer(_) => None,
        }
    }

    /// Returns a broker's message, redacted if it repeats the password: a broker that was sent it may do so.
    pub(super) fn redacted(&self, message: String) -> String {
        match self {
            Self::Plain(credentials) => credentials.redacted(message),
            Self::Scram(credentials) => credentials.redacted(message),
            Self::OAuthBearer(credentials) => credentials.redacted(message),
        }
    }
}

impl PlainCredentials {
    /// Creates credentials for PLAIN.
    ///
    /// # Errors
    /// The user name or the password is empty, or contains a NUL, which ends each of them in the message (RFC 4616).
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Result<Self, CredentialsError> {
        let (username, password) = checked(username, password, |which, text| match text.contains('\0') {
            true => Err(CredentialsError::Nul(which)),
            false => Ok(()),
        })?;
        Ok(Self { username, password })
    }

    /// Returns the user name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    pub(super) const fn password(&self) -> &Secret {
        &self.password
    }

    pub(super) fn redacted(&self, message: String) -> String {
        self.password.redacted(message)
    }
}

impl ScramCredentials {
    /// Creates credentials for SCRAM with this hash.
    ///
    /// # Errors
    /// The user name or the password is empty, or contains a character that is not printable ASCII. (The standard
    /// requires that other characters are prepared by RFC 4013, and Kafka uses them unprepared, so the two sides may
    /// disagree on them.)
    pub fn new(
        hash: ScramHash,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, CredentialsError> {
        let (username, password) =
            checked(username, password, |which, text| match text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                true => Ok(()),
                false => Err(CredentialsError::NotPrintableAscii(which)),
            })?;
        Ok(Self { hash, username, password })
    }

    /// Returns the hash.
    #[must_use]
    pub const fn hash(&self) -> ScramHash {
        self.hash
    }

    /// Returns the user name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    pub(super) const fn password(&self) -> &Secret {
        &self.password
    }

    pub(super) fn redacted(&self, message: String) -> String {
        self.password.redacted(message)
    }
}

/// Checks the user name and the password: neither may be empty, and both must pass `check`.
fn checked(
    username: impl Into<String>,
    password: impl Into<String>,
    check: impl Fn(Credential, &str) -> Result<(), CredentialsError>,
) -> Result<(String, Secret), CredentialsError> {
    let (username, password) = (username.into(), password.into());
    for (which, text) in [(Credential::Username, &username), (Credential::Password, &password)] {
        if text.is_empty() {
            return Err(CredentialsError::Empty(which));
        }
        check(which, text)?;
    }
    Ok((username, Secret::new(password)))
}

impl fmt::Debug for PlainCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainCredentials").field("username", &self.username).finish_non_exhaustive()
    }
}

impl fmt::Debug for ScramCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hash, username, .. } = self;
        f.debug_struct("ScramCredentials").field("hash", hash).field("username", username).finish_non_exhaustive()
    }
}

impl From<PlainCredentials> for Sasl {
    fn from(credentials: PlainCredentials) -> Self {
        Self::Plain(credentials)
    }
}

impl From<OAuthBearer> for Sasl {
    fn from(credentials: OAuthBearer) -> Self {
        Self::OAuthBearer(credentials)
    }
}

impl From<ScramCredentials> for Sasl {
    fn from(credentials: ScramCredentials) -> Self {
        Self::Scram(credentials)
    }
}

/// A part of the credentials: `sasl.username` or `sasl.password`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    #[error("the {0} is empty, which brokers refuse: set it")]
    Empty(Credential),
    /// It contains a NUL, which PLAIN uses as the separator.
    #[error("the {0} contains a NUL, which PLAIN does not support")]
    Nul(Credential),
    /// It contains a character that SCRAM requires to be prepared, which Kafka does not do.
    #[error(
        "the {0} contains a character that is not printable ASCII, and Kafka's SCRAM does not normalize others (SASLprep): \
         choose printable ASCII"
    )]
    NotPrintableAscii(Credential),
    /// The mechanism has no user name and password, but tokens.
    #[error("the {0} is not used by OAUTHBEARER, which has tokens: leave it out")]
    Unused(Credential),
}

impl CredentialsError {
    /// Returns which credential is not supported.
    #[must_use]
    pub const fn credential(self) -> Credential {
        match self {
            Self::Empty(which) | Self::Nul(which) | Self::NotPrintableAscii(which) | Self::Unused(which) => which,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn a_mechanism_is_parsed_from_its_name() {
        for &mechanism in SaslMechanism::ALL {
            assert_eq!(mechanism.name().parse(), Ok(mechanism));
        }
        for name in ["", "plain", "SCRAM", "SCRAM-SHA-1", "GSSAPI", "oauthbearer"] {
            assert_eq!(name.parse::<SaslMechanism>(), Err(ParseSaslMechanismError));
        }
    }

    #[test]
    fn credentials_must_be_supported_by_the_mechanism() {
        use Credential::{Password, Username};
        use CredentialsError::{Empty, NotPrintableAscii, Nul};
        use SaslMechanism::{OAuthBearer, Plain, ScramSha256, ScramSha512};
        assert_eq!(Sasl::new(OAuthBearer, "u", "p"), Err(CredentialsError::Unused(Password)));
        for mechanism in [Plain, ScramSha256, ScramSha512] {
            let sasl = Sasl::new(mechanism, "a=b,c d~", "p").unwrap();
            assert_eq!((sasl.mechanism(), sasl.username()), (mechanism, Some("a=b,c d~")));
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
        for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
            let shown = format!("{:?}", Sasl::new(mechanism, "me", "hunter2").unwrap());
            assert!(shown.contains("me") && !shown.contains("hunter2"), "{shown}");
        }
    }
}
