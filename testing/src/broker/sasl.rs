//! SASL on the broker: the mechanism is negotiated, then tokens are exchanged, in SaslAuthenticate requests or (before 1.0)
//! in frames without a header.

mod scram;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use self::scram::ScramHash;
use self::scram::{Credential, Exchange};
use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::random::Random;
use crate::wire;
use crate::wire::sasl::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};

const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const ILLEGAL_SASL_STATE: i16 = 34;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// The users, and the mechanisms by which they may authenticate.
#[derive(Clone, Default)]
pub struct Users {
    plain: BTreeMap<String, String>,
    scram: BTreeMap<(ScramHash, String), Credential>,
}

/// Omits the passwords.
impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("mechanisms", &self.mechanisms()).finish_non_exhaustive()
    }
}

impl Users {
    /// Adds a user of SASL/PLAIN.
    #[must_use]
    pub fn plain(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.plain.insert(user.into(), password.into());
        self
    }

    /// Adds a user of SASL/SCRAM.
    #[must_use]
    pub fn scram(mut self, hash: ScramHash, user: impl Into<String>, password: impl Into<String>) -> Self {
        let user = user.into();
        let credential = Credential::new(hash, &user, &password.into());
        self.scram.insert((hash, user), credential);
        self
    }

    /// Returns true if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.scram.is_empty()
    }

    /// Returns the names of the mechanisms, in the order in which a broker lists them.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<&'static str> {
        let has = |hash| self.scram.keys().any(|(of, _)| *of == hash);
        let each = [
            ("PLAIN", !self.plain.is_empty()),
            (ScramHash::Sha256.mechanism(), has(ScramHash::Sha256)),
            (ScramHash::Sha512.mechanism(), has(ScramHash::Sha512)),
        ];
        each.into_iter().filter(|(_, exists)| *exists).map(|(name, _)| name).collect()
    }

    /// Begins an exchange with this mechanism.
    fn begin(&self, mechanism: &str) -> Option<Mechanism> {
        if !self.mechanisms().contains(&mechanism) {
            return None;
        }
        Some(match ScramHash::of_mechanism(mechanism) {
            Some(hash) => Mechanism::Scram(Exchange::new(hash)),
            None => Mechanism::Plain,
        })
    }

    /// Returns true if this is a token of SASL/PLAIN with a right password (RFC 4616).
    fn is_right(&self, token: &[u8]) -> bool {
        let mut parts = token.split(|&byte| byte == 0);
        let (Some(authorize), Some(user), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let user = std::str::from_utf8(user).unwrap_or_default();
        (authorize.is_empty() || authorize == user.as_bytes())
            && self.plain.get(user).is_some_and(|right| right.as_bytes() == password)
    }
}

/// A mechanism in use.
#[derive(Debug)]
enum Mechanism {
    Plain,
    Scram(Exchange),
}

/// The result of a token.
enum Outcome {
    /// The client must send another token after this one.
    Challenge(Bytes),
    /// The client is authenticated; this token is the last one.
    Authenticated(Bytes),
    Failed,
}

impl Mechanism {
    fn token(&mut self, token: &[u8], users: &Users, random: &mut Random) -> Outcome {
        match self {
            Self::Plain if users.is_right(token) => Outcome::Authenticated(Bytes::new()),
            Self::Plain => Outcome::Failed,
            Self::Scram(exchange) => exchange.token(token, users, random),
        }
    }
}

/// The state of a connection.
#[derive(Debug, Default)]
pub(super) enum SaslState {
    /// Any request is accepted: SASL is not used, or has succeeded.
    #[default]
    Authenticated,
    /// A SaslHandshake request is expected.
    Handshake,
    /// A token is expected in a request.
    Token(Negotiated),
    /// A token is expected in the next frame.
    BareToken(Negotiated),
    /// The client has received garbage, which it may interpret in any way.
    Undefined,
}

/// A negotiated mechanism.
#[derive(Debug)]
pub(super) struct Negotiated(Mechanism);

impl Broker {
    /// Responds to a SaslHandshake request.
    pub(super) fn sasl_handshake(&mut self, call: &Call<'_>, login: &mut SaslState) -> ExecuteResult {
        let request = call.request;
        let decoded: SaslHandshakeRequest = match self.body(request) {
            Ok(decoded) => decoded,
            Err(error) => return self.unreadable(request, error),
        };
        let mechanism = self.users.begin(&decoded.mechanism);
        let error_code = match (call.fault, mechanism) {
            (Some(FaultKind::Refuse { code, .. } | FaultKind::ExecuteAndRefuse { code }), _) => *code,
            _ if !matches!(login, SaslState::Handshake) => ILLEGAL_SASL_STATE,
            (_, None) => UNSUPPORTED_SASL_MECHANISM,
            (_, Some(mechanism)) => {
                let negotiated = Negotiated(mechanism);
                *login = match request.version {
                    0 => SaslState::BareToken(negotiated),
                    _ => SaslState::Token(negotiated),
                };
                0
            }
        };
        let mechanisms = self.users.mechanisms().into_iter().map(str::to_owned).collect();
        let body = SaslHandshakeResponse { error_code, mechanisms };
        self.sasl_answer(error_code, wire::answer(request, request.version, &body))
    }

    /// Closes the connection after an error, unless the listener is without SASL.
    fn sasl_answer(&self, error_code: i16, answer: Bytes) -> ExecuteResult {
        if error_code == 0 || self.variation.lenient_sasl || self.users.is_empty() {
            ExecuteResult::Answer(answer)
        } else {
            ExecuteResult::LastAnswer(answer)
        }
    }

    /// Responds to a SaslAuthenticate request.
    pub(super) fn sasl_authenticate(&mut self, call: &Call<'_>, login: &mut SaslState) -> ExecuteResult {
        let request = call.request;
        let decoded: SaslAuthenticateRequest = match self.body(request) {
            Ok(decoded) => decoded,
            Err(error) => return self.unreadable(request, error),
        };
        let mut auth_bytes = Bytes::new();
        let next = if self.users.is_empty() { SaslState::Authenticated } else { SaslState::Handshake };
        let error_code = match (call.fault, std::mem::replace(login, next)) {
            (Some(FaultKind::Refuse { code, .. } | FaultKind::ExecuteAndRefuse { code }), _) => *code,
            (_, SaslState::Token(Negotiated(mut mechanism))) => {
                match mechanism.token(&decoded.auth_bytes, &self.users, &mut self.random) {
                    Outcome::Challenge(token) => {
                        auth_bytes = token;
                        *login = SaslState::Token(Negotiated(mechanism));
                        0
                    }
                    Outcome::Authenticated(token) => {
                        auth_bytes = token;
                        *login = SaslState::Authenticated;
                        0
                    }
                    Outcome::Failed => SASL_AUTHENTICATION_FAILED,
                }
            }
            _ => ILLEGAL_SASL_STATE,
        };
        let error_message = (error_code != 0).then(|| "Authentication failed".to_owned());
        let body = SaslAuthenticateResponse { error_code, error_message, auth_bytes, session_lifetime_ms: 0 };
        self.sasl_answer(error_code, wire::answer(request, request.version, &body))
    }

    /// Responds to a token in a frame without a header. Returns `None` if the connection is to be closed.
    pub(super) fn bare_token(
        &mut self,
        token: &[u8],
        Negotiated(mut mechanism): Negotiated,
    ) -> Option<(Bytes, SaslState)> {
        let (token, state) = match mechanism.token(token, &self.users, &mut self.random) {
            Outcome::Challenge(token) => (token, SaslState::BareToken(Negotiated(mechanism))),
            Outcome::Authenticated(token) => (token, SaslState::Authenticated),
            Outcome::Failed => return None,
        };
        let length = token.len() as u32;
        Some(([&length.to_be_bytes()[..], &token].concat().into(), state))
    }
}
