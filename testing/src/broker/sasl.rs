//! SASL on the broker: the mechanism is negotiated, then tokens are exchanged, in SaslAuthenticate requests or (before 1.0)
//! in frames without a header.

mod bearer;
mod scram;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use self::bearer::Bearer;
pub use self::scram::ScramHash;
use self::scram::{Credential, Exchange};
use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::Moment;
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
    /// The tokens of OAUTHBEARER, each with the time at which it expires.
    tokens: BTreeMap<String, Moment>,
    /// `connections.max.reauth.ms`.
    longest_session: Option<Duration>,
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

    /// Adds a token of SASL/OAUTHBEARER, which expires this long after the cluster was started.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>, expires: Duration) -> Self {
        self.tokens.insert(token.into(), expires);
        self
    }

    /// Sets the time after which clients must authenticate again (`connections.max.reauth.ms`, KIP-368): on the same connection
    /// or on another one. A connection that does neither is closed at its next request. With OAUTHBEARER a session ends when
    /// the token expires, at the latest.
    #[must_use]
    pub const fn longest_session(mut self, limit: Duration) -> Self {
        self.longest_session = Some(limit);
        self
    }

    /// Returns true if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.scram.is_empty() && self.tokens.is_empty()
    }

    /// Returns the names of the mechanisms, in the order in which a broker lists them.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<&'static str> {
        let has = |hash| self.scram.keys().any(|(of, _)| *of == hash);
        let each = [
            ("PLAIN", !self.plain.is_empty()),
            (ScramHash::Sha256.mechanism(), has(ScramHash::Sha256)),
            (ScramHash::Sha512.mechanism(), has(ScramHash::Sha512)),
            (bearer::MECHANISM, !self.tokens.is_empty()),
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
            None if mechanism == bearer::MECHANISM => Mechanism::Bearer(Bearer::default()),
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
    Bearer(Bearer),
}

/// The result of a token.
enum Outcome {
    /// The client must send another token after this one.
    Challenge(Bytes),
    /// The client is authenticated; this token is the last one.
    Authenticated(Bytes),
    /// The client is authenticated until this time.
    AuthenticatedUntil(Moment),
    Failed,
}

impl Mechanism {
    fn token(&mut self, token: &[u8], users: &Users, random: &mut Random, now: Moment) -> Outcome {
        match self {
            Self::Plain if users.is_right(token) => Outcome::Authenticated(Bytes::new()),
            Self::Plain => Outcome::Failed,
            Self::Scram(exchange) => exchange.token(token, users, random),
            Self::Bearer(bearer) => bearer.token(token, users, now),
        }
    }

    /// Returns the message of an error.
    const fn error_message(&self) -> &'static str {
        match self {
            Self::Plain | Self::Scram(_) => "Authentication failed",
            Self::Bearer(_) => bearer::REFUSAL,
        }
    }
}

/// The state of a connection.
#[derive(Debug, Default)]
pub(super) enum SaslState {
    /// Any request is accepted: SASL is not used, or has succeeded.
    #[default]
    Authenticated,
    /// Any request is accepted until a time (KIP-368). The connection was authenticated at `since`.
    Session { since: Moment, until: Moment },
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

/// The least time between two authentications of a connection (Kafka's
/// `SaslServerAuthenticator.MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS`).
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

impl SaslState {
    /// Returns true if a mechanism can be negotiated now.
    fn accepts_handshake(&self, now: Moment) -> bool {
        match self {
            Self::Handshake => true,
            Self::Session { since, .. } => now >= *since + LEAST_INTERVAL,
            _ => false,
        }
    }
}

impl Broker {
    /// Returns the state of a connection that is authenticated now, and the lifetime of its session in milliseconds: 0 if it
    /// is not limited. `token`: when the client's token expires.
    fn authenticated(&self, token: Option<Moment>, now: Moment) -> (SaslState, i64) {
        let limit = self.users.longest_session.map(|limit| now + limit);
        let Some(until) = limit.into_iter().chain(token).min() else { return (SaslState::Authenticated, 0) };
        let lifetime = i64::try_from(until.saturating_sub(now).as_millis()).unwrap_or(i64::MAX);
        (SaslState::Session { since: now, until }, lifetime.max(1))
    }

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
            _ if !login.accepts_handshake(call.now) => ILLEGAL_SASL_STATE,
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
        let (mut auth_bytes, mut session_lifetime_ms) = (Bytes::new(), 0);
        let mut message = "Authentication failed";
        let next = if self.users.is_empty() { SaslState::Authenticated } else { SaslState::Handshake };
        let error_code = match (call.fault, std::mem::replace(login, next)) {
            (Some(FaultKind::Refuse { code, .. } | FaultKind::ExecuteAndRefuse { code }), _) => *code,
            (_, SaslState::Token(Negotiated(mut mechanism))) => {
                match mechanism.token(&decoded.auth_bytes, &self.users, &mut self.random, call.now) {
                    Outcome::Challenge(token) => {
                        auth_bytes = token;
                        *login = SaslState::Token(Negotiated(mechanism));
                        0
                    }
                    Outcome::Authenticated(token) => {
                        auth_bytes = token;
                        (*login, session_lifetime_ms) = self.authenticated(None, call.now);
                        0
                    }
                    Outcome::AuthenticatedUntil(expiry) => {
                        (*login, session_lifetime_ms) = self.authenticated(Some(expiry), call.now);
                        0
                    }
                    Outcome::Failed => {
                        message = mechanism.error_message();
                        SASL_AUTHENTICATION_FAILED
                    }
                }
            }
            _ => ILLEGAL_SASL_STATE,
        };
        let error_message = (error_code != 0).then(|| message.to_owned());
        let body = SaslAuthenticateResponse { error_code, error_message, auth_bytes, session_lifetime_ms };
        self.sasl_answer(error_code, wire::answer(request, request.version, &body))
    }

    /// Responds to a token in a frame without a header. Returns `None` if the connection is to be closed.
    pub(super) fn bare_token(
        &mut self,
        token: &[u8],
        Negotiated(mut mechanism): Negotiated,
        now: Moment,
    ) -> Option<(Bytes, SaslState)> {
        let (token, state) = match mechanism.token(token, &self.users, &mut self.random, now) {
            Outcome::Challenge(token) => (token, SaslState::BareToken(Negotiated(mechanism))),
            Outcome::Authenticated(token) => (token, SaslState::Authenticated),
            Outcome::AuthenticatedUntil(_) => (Bytes::new(), SaslState::Authenticated),
            Outcome::Failed => return None,
        };
        let length = token.len() as u32;
        Some(([&length.to_be_bytes()[..], &token].concat().into(), state))
    }
}
