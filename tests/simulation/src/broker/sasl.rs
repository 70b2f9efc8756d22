//! SASL/PLAIN on the broker: the mechanism is negotiated, then the token is received, in a SaslAuthenticate request or
//! (before 1.0) in a raw frame.

use bytes::Bytes;
use kafka_batch_core::machine::{Sasl, SaslMechanism};
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Broker, Done, Intercept};
use crate::wire::{self, Request};

const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const ILLEGAL_SASL_STATE: i16 = 34;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// The only user that there is.
pub const USER: &str = "simulation";
/// Their password.
pub const PASSWORD: &str = "open sesame";

/// The user with this password.
///
/// # Panics
/// Not with a password that can be one.
#[must_use]
pub fn credentials(password: &str) -> Sasl {
    Sasl::new(SaslMechanism::Plain, USER, password).expect("PLAIN carries any password without a NUL")
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Login {
    /// Anything may be asked: there is no SASL, or it is over.
    #[default]
    Done,
    /// The mechanism has to be asked for.
    Mechanism,
    /// The token comes in a request.
    Token,
    /// The next frame is the token.
    BareToken,
    /// The client has heard garbage, and may take it for anything.
    Misled,
}

/// Whether this is the token of the only user.
pub(super) fn is_right(token: &[u8]) -> bool {
    token == format!("\0{USER}\0{PASSWORD}").as_bytes()
}

/// The answer to a bare token that is right. One that is wrong ends the connection.
pub(super) const BARE_ANSWER: Bytes = Bytes::from_static(&[0; 4]);

impl Broker {
    /// Answers a SaslHandshake request.
    pub(super) fn sasl_handshake(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        login: &mut Login,
    ) -> Done {
        let asked: SaslHandshakeRequest = match wire::body(request) {
            Ok(asked) => asked,
            Err(error) => {
                self.complain(format!("a SaslHandshake request that cannot be read: {error}"));
                return Done::HangUp;
            }
        };
        let code = match intercept {
            Some(Intercept::Refuse { code, .. } | Intercept::DoAndRefuse { code }) => *code,
            _ if *login != Login::Mechanism => ILLEGAL_SASL_STATE,
            _ if asked.mechanism.as_str() != "PLAIN" => UNSUPPORTED_SASL_MECHANISM,
            _ => 0,
        };
        if code == 0 {
            *login = if request.version == 0 { Login::BareToken } else { Login::Token };
        }
        let mechanisms = if code == 0 { "PLAIN" } else { "GSSAPI" };
        let body = SaslHandshakeResponse::default()
            .with_error_code(code)
            .with_mechanisms(vec![StrBytes::from_static_str(mechanisms)]);
        Done::Answer(wire::answer(request, request.version, &body))
    }

    /// Answers a SaslAuthenticate request.
    pub(super) fn sasl_authenticate(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        login: &mut Login,
    ) -> Done {
        let asked: SaslAuthenticateRequest = match wire::body(request) {
            Ok(asked) => asked,
            Err(error) => {
                self.complain(format!("a SaslAuthenticate request that cannot be read: {error}"));
                return Done::HangUp;
            }
        };
        let code = match intercept {
            Some(Intercept::Refuse { code, .. } | Intercept::DoAndRefuse { code }) => *code,
            _ if *login != Login::Token => ILLEGAL_SASL_STATE,
            _ if !is_right(&asked.auth_bytes) => SASL_AUTHENTICATION_FAILED,
            _ => 0,
        };
        *login = if code == 0 { Login::Done } else { Login::Mechanism };
        let words = (code != 0).then(|| StrBytes::from_static_str("no"));
        let body = SaslAuthenticateResponse::default().with_error_code(code).with_error_message(words);
        Done::Answer(wire::answer(request, request.version, &body))
    }
}
