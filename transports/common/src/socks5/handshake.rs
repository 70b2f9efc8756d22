//! The handshake with a proxy as a value without I/O: what to write, how many bytes to read next, and what they mean.
//!
//! A reply is read in parts of known length, so no byte after it is read, and none of its lengths exceeds [`Handshake::MAX_READ`].

use std::net::IpAddr;
use std::{fmt, mem};

use super::Login;
use super::error::{Socks5ErrorKind, Socks5Reply};

/// The maximum length of a host name, a user name and a password in bytes: their lengths are one byte.
pub(crate) const MAX_FIELD: usize = u8::MAX as usize;

const VERSION: u8 = 5;
/// Of the messages of RFC 1929.
const LOGIN_VERSION: u8 = 1;

const NO_AUTHENTICATION: u8 = 0;
const USERNAME_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;

const CONNECT: u8 = 1;

const IPV4: u8 = 1;
const DOMAIN_NAME: u8 = 3;
const IPV6: u8 = 4;

/// The length of a port.
const PORT: usize = 2;

/// A handshake.
pub(crate) struct Handshake {
    state: State,
    /// The bytes to write before the next read.
    output: Vec<u8>,
    /// The message with user name and password, if there are any.
    login: Option<Vec<u8>>,
    request: Vec<u8>,
    /// What was received of the current part of a reply.
    received: Vec<u8>,
}

/// The part of a reply that is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Version and method.
    Method,
    /// Version and status of the login.
    Login,
    /// Version, reply, a zero byte, type of address.
    Reply,
    /// The length of a name. The address, which the proxy connects from, is of no use, but is to be read.
    NameLength,
    /// The rest of the address, and the port.
    Address(usize),
    Done,
}

impl Handshake {
    /// The maximum number of bytes that are [needed](Self::needed).
    pub(crate) const MAX_READ: usize = MAX_FIELD + PORT;

    /// Begins the handshake that connects to this host.
    ///
    /// # Errors
    /// The host name is too long.
    pub(super) fn new(login: Option<&Login>, host: &str, port: u16) -> Result<Self, Socks5ErrorKind> {
        let mut request = vec![VERSION, CONNECT, 0];
        match host.parse() {
            Ok(IpAddr::V4(address)) => {
                request.push(IPV4);
                request.extend(address.octets());
            }
            Ok(IpAddr::V6(address)) => {
                request.push(IPV6);
                request.extend(address.octets());
            }
            Err(_) => {
                request.push(DOMAIN_NAME);
                push(&mut request, host).ok_or(Socks5ErrorKind::NameTooLong { length: host.len() })?;
            }
        }
        request.extend(port.to_be_bytes());
        let output = match login {
            Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, USERNAME_PASSWORD],
            None => vec![VERSION, 1, NO_AUTHENTICATION],
        };
        let login = login.map(|Login { username, password }| {
            let mut message = vec![LOGIN_VERSION];
            for field in [username, password] {
                push(&mut message, field.expose()).expect("the length was checked with the settings");
            }
            message
        });
        Ok(Self { state: State::Method, output, login, request, received: Vec::new() })
    }

    /// Returns how many bytes to read at most, after the output is written; `None` if the handshake is complete.
    pub(crate) fn needed(&self) -> Option<usize> {
        Some(self.state.length()? - self.received.len())
    }

    /// Returns the bytes to write.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        mem::take(&mut self.output)
    }

    /// Takes bytes that were read.
    ///
    /// # Errors
    /// The proxy refuses, its reply is malformed, or there are more bytes than needed: brokers do not speak first.
    pub(crate) fn on_received(&mut self, bytes: &[u8]) -> Result<(), Socks5ErrorKind> {
        let needed = self.needed().unwrap_or(0);
        if bytes.len() > needed {
            return Err(Socks5ErrorKind::Malformed { what: "surplus byte", found: bytes[needed] });
        }
        self.received.extend(bytes);
        if bytes.len() == needed {
            let received = mem::take(&mut self.received);
            self.state = self.next(&received)?;
        }
        Ok(())
    }

    /// Returns the state after this part of a reply, which is complete.
    fn next(&mut self, part: &[u8]) -> Result<State, Socks5ErrorKind> {
        let malformed = |what, found| Err(Socks5ErrorKind::Malformed { what, found });
        match (self.state, part) {
            (State::Method, &[VERSION, method]) => match method {
                NO_AUTHENTICATION => Ok(self.request()),
                USERNAME_PASSWORD if self.login.is_some() => {
                    self.output = self.login.take().unwrap_or_default();
                    Ok(State::Login)
                }
                NO_ACCEPTABLE_METHOD => Err(Socks5ErrorKind::NoAcceptableMethod { has_login: self.login.is_some() }),
                other => malformed("method", other),
            },
            (State::Login, &[LOGIN_VERSION, 0]) => Ok(self.request()),
            (State::Login, &[LOGIN_VERSION, status]) => Err(Socks5ErrorKind::LoginRefused { status }),
            (State::Reply, &[VERSION, 0, _, address_type]) => match address_type {
                IPV4 => Ok(State::Address(4)),
                IPV6 => Ok(State::Address(16)),
                DOMAIN_NAME => Ok(State::NameLength),
                other => malformed("type of address", other),
            },
            (State::Reply, &[VERSION, reply, _, _]) => Err(Socks5ErrorKind::Refused(Socks5Reply::from_code(reply))),
            (State::NameLength, &[length]) => Ok(State::Address(length.into())),
            (State::Address(_), _) => Ok(State::Done),
            (_, &[version, ..]) => malformed("version", version),
            (_, []) => Ok(State::Done),
        }
    }

    fn request(&mut self) -> State {
        self.output = mem::take(&mut self.request);
        State::Reply
    }
}

impl State {
    /// Returns the length of the part in bytes.
    const fn length(self) -> Option<usize> {
        match self {
            Self::Method | Self::Login => Some(2),
            Self::Reply => Some(4),
            Self::NameLength => Some(1),
            Self::Address(length) => Some(length + PORT),
            Self::Done => None,
        }
    }
}

/// Does not show the messages, since they contain a password.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handshake").field(&self.state).finish()
    }
}

/// Appends a text after its length. `None` if it is too long.
fn push(message: &mut Vec<u8>, field: &str) -> Option<()> {
    message.push(u8::try_from(field.len()).ok()?);
    message.extend(field.as_bytes());
    Some(())
}
