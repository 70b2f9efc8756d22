//! Detection of a port with another protocol than the configured one: TLS, SASL, or not Kafka's.

use alloc::vec::Vec;
use core::fmt;

/// Kafka's `security.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Exhaustive on purpose: these are the combinations of TLS and SASL.
pub enum SecurityProtocol {
    /// `plaintext`: neither TLS nor SASL.
    Plaintext,
    /// `ssl`: TLS without SASL.
    Ssl,
    /// `sasl_plaintext`: SASL without TLS.
    SaslPlaintext,
    /// `sasl_ssl`: SASL over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// Returns the protocol with these two properties.
    #[must_use]
    pub const fn new(tls: bool, sasl: bool) -> Self {
        match (tls, sasl) {
            (false, false) => Self::Plaintext,
            (true, false) => Self::Ssl,
            (false, true) => Self::SaslPlaintext,
            (true, true) => Self::SaslSsl,
        }
    }

    /// Returns `true` if connections are encrypted.
    #[must_use]
    pub const fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Returns `true` if clients authenticate by SASL.
    #[must_use]
    pub const fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Returns its name in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value of `security.protocol` that probably does not fit the port, and the values to try.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecurityMismatch {
    /// The value in use.
    pub configured: SecurityProtocol,
    /// The values to try, the most likely first. Not empty.
    pub suggested: Vec<SecurityProtocol>,
    /// What the port did that suggests it.
    pub evidence: MismatchEvidence,
}

/// What suggests that `security.protocol` does not fit a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MismatchEvidence {
    /// The first bytes from it are TLS.
    TlsResponse,
    /// It does not take part in a TLS handshake.
    NoTls,
    /// It closed the connection before it answered the first request, as ports do that expect TLS.
    ClosedOnApiVersions,
    /// It closed the connection before it answered the first request after ApiVersions. Kafka does so if the client
    /// should have authenticated.
    ClosedAfterApiVersions,
    /// It refuses SASL: ILLEGAL_SASL_STATE, or it does not list SaslHandshake.
    SaslRefused,
}

impl SecurityMismatch {
    /// Returns the mismatch for this evidence, if there is another value to try.
    pub(crate) fn new(configured: SecurityProtocol, evidence: MismatchEvidence) -> Option<Self> {
        let (tls, sasl) = (configured.has_tls(), configured.has_sasl());
        let of = SecurityProtocol::new;
        let suggested = match evidence {
            MismatchEvidence::TlsResponse => Vec::from([of(true, sasl)]),
            MismatchEvidence::NoTls => Vec::from([of(false, sasl)]),
            MismatchEvidence::SaslRefused => Vec::from([of(tls, false)]),
            MismatchEvidence::ClosedAfterApiVersions => Vec::from([of(tls, true)]),
            MismatchEvidence::ClosedOnApiVersions => match configured {
                SecurityProtocol::Plaintext => Vec::from([of(true, false), of(false, true), of(true, true)]),
                SecurityProtocol::Ssl | SecurityProtocol::SaslPlaintext => Vec::from([of(true, true)]),
                SecurityProtocol::SaslSsl => Vec::new(),
            },
        };
        let differs = suggested.first().is_some_and(|first| *first != configured);
        differs.then_some(Self { configured, suggested, evidence })
    }
}

impl fmt::Display for SecurityMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { configured, suggested, evidence } = self;
        f.write_str(match evidence {
            MismatchEvidence::TlsResponse => "this port requires TLS",
            MismatchEvidence::NoTls => "this port seems to use plaintext, not TLS",
            MismatchEvidence::ClosedOnApiVersions if configured.has_tls() => "if this port requires SASL",
            MismatchEvidence::ClosedOnApiVersions if configured.has_sasl() => "if this port requires TLS",
            MismatchEvidence::ClosedOnApiVersions => "if this port requires TLS or SASL",
            MismatchEvidence::ClosedAfterApiVersions => "if this port requires SASL",
            MismatchEvidence::SaslRefused => "this port does not support SASL",
        })?;
        f.write_str(match evidence {
            MismatchEvidence::ClosedOnApiVersions | MismatchEvidence::ClosedAfterApiVersions => ", ",
            _ => ": ",
        })?;
        f.write_str("set security.protocol to ")?;
        for (at, protocol) in suggested.iter().enumerate() {
            let before = match at {
                0 => "",
                _ if at + 1 == suggested.len() => " or ",
                _ => ", ",
            };
            write!(f, "{before}{protocol}")?;
        }
        write!(f, " (it is {configured})")
    }
}

/// The protocol of a port that is not Kafka's, by the first four bytes received: the first response of a broker is too
/// short to start with these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignProtocol {
    /// `15 03`: an alert of TLS (RFC 8446, section 5.1).
    TlsAlert,
    /// `16 03`: a handshake message of TLS.
    TlsHandshake,
    /// `HTTP`: a web server.
    Http,
    /// Any other bytes that cannot be the length of a first response.
    Unknown([u8; 4]),
}

impl ForeignProtocol {
    /// Returns the protocol that starts with these four bytes, if it is known.
    pub(crate) const fn recognise(first: [u8; 4]) -> Option<Self> {
        match first {
            [0x15, 3, ..] => Some(Self::TlsAlert),
            [0x16, 3, ..] => Some(Self::TlsHandshake),
            [b'H', b'T', b'T', b'P'] => Some(Self::Http),
            _ => None,
        }
    }

    pub(crate) const fn is_tls(self) -> bool {
        matches!(self, Self::TlsAlert | Self::TlsHandshake)
    }
}

impl fmt::Display for ForeignProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ADDRESS: &str = "correct the address in bootstrap.servers, or in the broker's advertised.listeners";
        match self {
            Self::TlsAlert => f.write_str("it answered with a TLS alert (15 03)"),
            Self::TlsHandshake => f.write_str("it answered with a TLS handshake (16 03)"),
            Self::Http => write!(f, "a web server answered (HTTP), not a Kafka broker: {ADDRESS}"),
            Self::Unknown([a, b, c, d]) => {
                write!(f, "it answered with {a:02x} {b:02x} {c:02x} {d:02x}, which is not Kafka's protocol: {ADDRESS}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use MismatchEvidence::{ClosedAfterApiVersions, ClosedOnApiVersions, NoTls, SaslRefused, TlsResponse};
    use SecurityProtocol::{Plaintext, SaslPlaintext, SaslSsl, Ssl};

    #[test]
    fn each_mismatch_names_the_setting_the_value_and_the_values_to_try() {
        let table = [
            (Plaintext, TlsResponse, Some("this port requires TLS: set security.protocol to ssl (it is plaintext)")),
            (
                SaslPlaintext,
                TlsResponse,
                Some("this port requires TLS: set security.protocol to sasl_ssl (it is sasl_plaintext)"),
            ),
            (Ssl, TlsResponse, None),
            (
                Ssl,
                NoTls,
                Some("this port seems to use plaintext, not TLS: set security.protocol to plaintext (it is ssl)"),
            ),
            (
                SaslSsl,
                NoTls,
                Some(
                    "this port seems to use plaintext, not TLS: set security.protocol to sasl_plaintext (it is sasl_ssl)",
                ),
            ),
            (
                Plaintext,
                ClosedOnApiVersions,
                Some(
                    "if this port requires TLS or SASL, set security.protocol to ssl, sasl_plaintext or sasl_ssl \
                     (it is plaintext)",
                ),
            ),
            (
                SaslPlaintext,
                ClosedOnApiVersions,
                Some("if this port requires TLS, set security.protocol to sasl_ssl (it is sasl_plaintext)"),
            ),
            (
                Ssl,
                ClosedOnApiVersions,
                Some("if this port requires SASL, set security.protocol to sasl_ssl (it is ssl)"),
            ),
            (SaslSsl, ClosedOnApiVersions, None),
            (
                Plaintext,
                ClosedAfterApiVersions,
                Some("if this port requires SASL, set security.protocol to sasl_plaintext (it is plaintext)"),
            ),
            (
                Ssl,
                ClosedAfterApiVersions,
                Some("if this port requires SASL, set security.protocol to sasl_ssl (it is ssl)"),
            ),
            (SaslSsl, ClosedAfterApiVersions, None),
            (
                SaslSsl,
                SaslRefused,
                Some("this port does not support SASL: set security.protocol to ssl (it is sasl_ssl)"),
            ),
            (
                SaslPlaintext,
                SaslRefused,
                Some("this port does not support SASL: set security.protocol to plaintext (it is sasl_plaintext)"),
            ),
        ];
        for (configured, evidence, expected) in table {
            let found = SecurityMismatch::new(configured, evidence).map(|mismatch| mismatch.to_string());
            assert_eq!(found.as_deref(), expected, "{configured} {evidence:?}");
        }
    }
}
