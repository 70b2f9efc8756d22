//! SASL/PLAIN on the broker: the mechanism is negotiated, then the token is received, in a SaslAuthenticate request or
//! (before 1.0) in a raw frame.

use bytes::Bytes;
use kafka_batch_core::machine::{Sasl, SaslMechanism};
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Broker, ExecuteResult, Intercept};
use crate::wire::{self, Request};

const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const ILLEGAL_SASL_STATE: i16 = 34;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// The only user.
pub const USER: &str = "simulation";
/// The user's password.
pub const PASSWORD: &str = "open sesame";

/// Returns the user with this password.
///
/// # Panics
/// The password contains a NUL.
#[must_use]
pub fn credentials(password: &str) -> Sasl {
    Sasl::new(SaslMechanism::Plain, USER, password).expect("PLAIN carries any password without a NUL")
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SaslState {
    /// Any request is accepted: SASL is not used, or has succeeded.
    #[default]
    ExecuteResult,
    /// A SaslHandshake request is expected.
    Mechanism,
    /// The token is expected in a request.
    Token,
    /// The token is expected in the next frame.
    BareToken,
    /// The client has received garbage, which it may interpret in any way.
    Undefined,
}

/// Returns true if this is the token of the only user.
pub(super) fn is_right(token: &[u8]) -> bool {
    token == format!("\0{USER}\0{PASSWORD}").as_bytes()
}

/// The response to a valid token in a raw frame. An invalid one closes the connection.
pub(super) const BARE_ANSWER: Bytes = Bytes::from_static(&[0; 4]);

impl Broker {
    /// Responds to a SaslHandshake request.
    pub(super) fn sasl_handshake(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        login: &mut SaslState,
    ) -> ExecuteResult {
        let decoded: SaslHandshakeRequest = match wire::body(request) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.report_violation(format!("a SaslHandshake request that cannot be read: {error}"));
                return ExecuteResult::CloseConnection;
            }
        };
        let code = match intercept {
            Some(Intercept::Refuse { code, .. } | Intercept::DoAndRefuse { code }) => *code,
            _ if *login != SaslState::Mechanism => ILLEGAL_SASL_STATE,
            _ if decoded.mechanism.as_str() != "PLAIN" => UNSUPPORTED_SASL_MECHANISM,
            _ => 0,
        };
        if code == 0 {
            *login = if request.version == 0 { SaslState::BareToken } else { SaslState::Token };
        }
        let mechanisms = if code == 0 { "PLAIN" } else { "GSSAPI" };
        let body = SaslHandshakeResponse::default()
            .with_error_code(code)
            .with_mechanisms(vec![StrBytes::from_static_str(mechanisms)]);
        ExecuteResult::Answer(wire::answer(request, request.version, &body))
    }

    /// Responds to a SaslAuthenticate request.
    pub(super) fn sasl_authenticate(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        login: &mut SaslState,
    ) -> ExecuteResult {
        let decoded: SaslAuthenticateRequest = match wire::body(request) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.report_violation(format!("a SaslAuthenticate request that cannot be read: {error}"));
                return ExecuteResult::CloseConnection;
            }
        };
        let code = match intercept {
            Some(Intercept::Refuse { code, .. } | Intercept::DoAndRefuse { code }) => *code,
            _ if *login != SaslState::Token => ILLEGAL_SASL_STATE,
            _ if !is_right(&decoded.auth_bytes) => SASL_AUTHENTICATION_FAILED,
            _ => 0,
        };
        *login = if code == 0 { SaslState::ExecuteResult } else { SaslState::Mechanism };
        let words = (code != 0).then(|| StrBytes::from_static_str("no"));
        let body = SaslAuthenticateResponse::default().with_error_code(code).with_error_message(words);
        ExecuteResult::Answer(wire::answer(request, request.version, &body))
    }
}
