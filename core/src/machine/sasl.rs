//! SASL: the exchange of tokens.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::backoff::ConnectionRng;
use super::credentials::{PlainCredentials, Sasl, ScramCredentials};
use super::scram::{AwaitsSalt, AwaitsSignature};
use crate::cause::ScramError;

/// The exchange of tokens, waiting for one from the broker.
#[derive(Debug)]
pub(super) enum Conversation {
    /// The password was sent. Any response that is not an error means success.
    Plain(PlainCredentials),
    /// The first SCRAM message was sent.
    Salt(ScramCredentials, AwaitsSalt),
    /// The SCRAM proof was sent.
    Signature(ScramCredentials, AwaitsSignature),
}

impl Conversation {
    /// Returns the first token, and the state that handles the response.
    pub(super) fn begin(sasl: Sasl, rng: ConnectionRng) -> (Vec<u8>, Self) {
        match sasl {
            Sasl::Plain(credentials) => {
                // RFC 4616, without an authorization id.
                let token = format!("\0{}\0{}", credentials.username(), credentials.password().expose());
                (token.into_bytes(), Self::Plain(credentials))
            }
            Sasl::Scram(credentials) => {
                let (token, next) = AwaitsSalt::begin(credentials.hash(), credentials.username(), rng.nonce());
                (token, Self::Salt(credentials, next))
            }
        }
    }

    /// Returns a broker's message, redacted if it repeats the password or a token that was sent.
    pub(super) fn redacted(&self, message: String) -> String {
        match self {
            Self::Plain(credentials) => credentials.redacted(message),
            Self::Salt(credentials, _) => credentials.redacted(message),
            Self::Signature(credentials, state) => state.redacted(credentials.redacted(message)),
        }
    }

    /// Handles a token of the broker. Returns the next token to send, or `None` once authentication is complete, of
    /// both sides if the mechanism supports that.
    pub(super) fn on_token(self, token: &[u8]) -> Result<Option<(Vec<u8>, Self)>, ScramError> {
        match self {
            Self::Plain(_) => Ok(None),
            Self::Salt(credentials, state) => match state.on_token(credentials.password().expose(), token) {
                Ok((token, next)) => Ok(Some((token, Self::Signature(credentials, next)))),
                Err(error) => Err(error.map_message(|message| credentials.redacted(message))),
            },
            Self::Signature(credentials, state) => match state.on_token(token) {
                Ok(()) => Ok(None),
                Err(error) => Err(error.map_message(|message| credentials.redacted(message))),
            },
        }
    }
}
