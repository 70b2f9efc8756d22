//! Faults of a broker's certificate that the TLS library does not describe, with instructions to make a valid one. The options
//! are those of OpenSSL 3.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::x509::Facts;

/// A fault of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its X.509 version is below 3, the first with extensions.
    Version { version: u8 },
    /// It has no subjectAltName, but may have a common name.
    NoNames { host: String, common_name: Option<String> },
    /// Its subjectAltName does not contain the host.
    OtherNames { host: String, names: Vec<String> },
    /// Its key, or that of an issuer in its chain, is an RSA key of an unsupported size.
    RsaSize { bits: usize, of_issuer: bool },
}

/// The maximum number of names that are shown.
const MAX_NAMES: usize = 8;

impl Fault {
    /// The sizes in bits of RSA keys whose signatures `ring` verifies.
    pub(super) const SUPPORTED_RSA: RangeInclusive<usize> = 2_048..=8_192;

    /// Returns the fault of a certificate that does not contain this host.
    pub(super) fn name(host: &str, facts: &Facts<'_>) -> Self {
        let host = host.to_owned();
        match facts.alternative_names() {
            None => Self::NoNames { host, common_name: facts.common_name() },
            Some(names) => Self::OtherNames { host, names },
        }
    }
}

/// A host in the syntax of the extension subjectAltName.
struct AltName<'h>(&'h str);

impl fmt::Display for AltName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.0.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
        write!(f, "{kind}:{}", self.0)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WITHOUT: &str = "or disable the check of host names: ssl.endpoint.identification.algorithm=none";
        match self {
            Self::Version { version } => write!(
                f,
                "the broker's certificate has X.509 version {version}, and only version 3 is supported: create one with \
                 `openssl x509 -req` and -extfile FILE, where FILE has the line subjectAltName=DNS:HOST, or with \
                 -copy_extensions copy, if the request was created with -addext \"subjectAltName=DNS:HOST\""
            ),
            Self::NoNames { host, common_name } => {
                match common_name {
                    Some(name) if name == host => {
                        write!(
                            f,
                            "the broker's certificate contains the name {host:?} only as common name (CN), which is no longer accepted (RFC 9525)"
                        )?;
                    }
                    Some(name) => write!(
                        f,
                        "the broker's certificate has no subjectAltName, only the common name (CN) {name:?}, and is not valid for {host:?}"
                    )?,
                    None => {
                        write!(f, "the broker's certificate has no subjectAltName, so it is not valid for {host:?}")?;
                    }
                }
                let name = AltName(host);
                write!(
                    f,
                    ": create one with -addext \"subjectAltName={name}\" for `openssl req`, and with -copy_extensions copy for \
                     `openssl x509 -req`; {WITHOUT}"
                )
            }
            Self::OtherNames { host, names } => {
                let list = names.iter().take(MAX_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = if names.len() > MAX_NAMES { ", …" } else { "" };
                let list = if list.is_empty() { "no host" } else { &list };
                write!(
                    f,
                    "the broker's certificate is valid for {list}{more}, and not for {host:?}: use a name in the certificate, in \
                     bootstrap.servers and in the broker's advertised.listeners; or create a certificate with \
                     subjectAltName={} (IP:… for addresses, DNS:… for names); {WITHOUT}",
                    AltName(host)
                )
            }
            Self::RsaSize { bits, of_issuer } => write!(
                f,
                "the {} has an RSA key of {bits} bits, and {} to {} are supported: create a new one, with `-newkey rsa:3072` for \
                 `openssl req`",
                if *of_issuer {
                    "certificate of an issuer of the broker's certificate"
                } else {
                    "broker's certificate"
                },
                Self::SUPPORTED_RSA.start(),
                Self::SUPPORTED_RSA.end()
            ),
        }
    }
}

impl std::error::Error for Fault {}
