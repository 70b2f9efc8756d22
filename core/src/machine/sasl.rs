//! SASL: the exchange of tokens.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::backoff::ConnectionRng;
use super::credentials::{PlainCredentials, Sasl, ScramCredentials};
use super::oauth::OAuthToken;
use super::scram::{AwaitsSalt, AwaitsSignature};
use crate::cause::{ConnectionErrorKind, OAuthError, OAuthRefusal, ScramError};
use crate::protocol::{BrokerError, ErrorCode};

/// The exchange of tokens, waiting for one from the broker.
#[derive(Debug)]
pub(super) enum Conversation {
    /// The password was sent. Any response that is not an error means success.
    Plain(PlainCredentials),
    /// The first SCRAM message was sent.
    Salt(ScramCredentials, AwaitsSalt),
    /// The SCRAM proof was sent.
    Signature(ScramCredentials, AwaitsSignature),
    /// The token of OAUTHBEARER was sent.
    Bearer(OAuthToken),
    /// The broker has refused that token, and its answer was acknowledged: an error is next.
    Refused(OAuthToken, OAuthRefusal),
}

impl Conversation {
    /// Returns the first token, and the state that handles the response; `None` if the credentials have no token of
    /// OAUTHBEARER.
    pub(super) fn begin(sasl: &Sasl, rng: ConnectionRng) -> Option<(Vec<u8>, Self)> {
        Some(match sasl {
            Sasl::Plain(credentials) => {
                // RFC 4616, without an authorization id.
                let token = format!("\0{}\0{}", credentials.username(), credentials.password().expose());
                (token.into_bytes(), Self::Plain(credentials.clone()))
            }
            Sasl::Scram(credentials) => {
                let (token, next) = AwaitsSalt::begin(credentials.hash(), credentials.username(), rng.nonce());
                (token, Self::Salt(credentials.clone(), next))
            }
            Sasl::OAuthBearer(credentials) => {
                let token = credentials.token.clone()?;
                (token.message(), Self::Bearer(token))
            }
        })
    }

    /// Returns a broker's message, redacted if it repeats the password or a token that was sent.
    fn redacted(&self, message: String) -> String {
        match self {
            Self::Plain(credentials) => credentials.redacted(message),
            Self::Salt(credentials, _) => credentials.redacted(message),
            Self::Signature(credentials, state) => state.redacted(credentials.redacted(message)),
            Self::Bearer(token) | Self::Refused(token, _) => token.redacted(message),
        }
    }

    /// Returns the error for one of the broker, with its message.
    pub(super) fn error(&self, error: BrokerError, message: Option<String>) -> ConnectionErrorKind {
        let message = message.map(|message| self.redacted(message));
        match self {
            Self::Refused(_, refusal) if error.code == ErrorCode::SASL_AUTHENTICATION_FAILED => {
                OAuthError::Refused(refusal.clone()).into()
            }
            // A broker need not send the answer before the error.
            Self::Bearer(_) if error.code == ErrorCode::SASL_AUTHENTICATION_FAILED => {
                let message = message.unwrap_or_default();
                let refusal = OAuthRefusal::read(message.as_bytes());
                let status = if refusal.status.is_empty() { message } else { refusal.status.clone() };
                OAuthError::Refused(OAuthRefusal { status, ..refusal }).into()
            }
            _ => error.with_message(message).into(),
        }
    }

    /// Handles a token of the broker. Returns the next token to send, or `None` once authentication is complete, of
    /// both sides if the mechanism supports that.
    pub(super) fn on_token(self, token: &[u8]) -> Result<Option<(Vec<u8>, Self)>, ConnectionErrorKind> {
        let redacted = |error: ScramError, credentials: &ScramCredentials| {
            error.map_message(|message| credentials.redacted(message)).into()
        };
        match self {
            Self::Plain(_) => Ok(None),
            Self::Salt(credentials, state) => match state.on_token(credentials.password().expose(), token) {
                Ok((token, next)) => Ok(Some((token, Self::Signature(credentials, next)))),
                Err(error) => Err(redacted(error, &credentials)),
            },
            Self::Signature(credentials, state) => match state.on_token(token) {
                Ok(()) => Ok(None),
                Err(error) => Err(redacted(error, &credentials)),
            },
            Self::Bearer(_) if token.is_empty() => Ok(None),
            Self::Bearer(sent) => {
                let refusal = OAuthRefusal::read(token).map(|text| sent.redacted(text));
                Ok(Some((Vec::from([1]), Self::Refused(sent, refusal))))
            }
            // A broker that reports no error has not accepted the token either.
            Self::Refused(_, refusal) => Err(OAuthError::Refused(refusal).into()),
        }
    }
}
