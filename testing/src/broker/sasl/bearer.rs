//! SASL/OAUTHBEARER on the broker (RFC 7628; in Kafka `OAuthBearerSaslServer`).

use bytes::Bytes;

use super::{Outcome, Users};
use crate::Moment;

pub(super) const MECHANISM: &str = "OAUTHBEARER";

/// What Kafka answers to a token that its validator does not accept.
pub(super) const REFUSAL: &str = r#"{"status":"invalid_token"}"#;

/// The exchange: one message, and a second one if the first is refused.
#[derive(Debug, Default)]
pub(super) struct Bearer {
    is_refused: bool,
}

impl Bearer {
    pub(super) fn token(&mut self, message: &[u8], users: &Users, now: Moment) -> Outcome {
        if self.is_refused {
            return Outcome::Failed;
        }
        let expiry = std::str::from_utf8(message).ok().and_then(token).and_then(|token| users.tokens.get(token));
        match expiry {
            Some(&expiry) if now < expiry => Outcome::AuthenticatedUntil(expiry),
            _ => {
                self.is_refused = true;
                Outcome::Challenge(Bytes::from_static(REFUSAL.as_bytes()))
            }
        }
    }
}

/// Returns the token in the client's first message, if the message is valid.
fn token(message: &str) -> Option<&str> {
    let pairs = message.strip_prefix("n,,\u{1}")?.strip_suffix("\u{1}\u{1}")?;
    let mut pairs = pairs.split('\u{1}');
    let token = pairs.next()?.strip_prefix("auth=Bearer ")?;
    let is_extension = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or_default();
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic()) && name != "auth" && !value.is_empty()
    };
    pairs.all(is_extension).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_token_and_extensions() {
        assert_eq!(token("n,,\u{1}auth=Bearer abc\u{1}\u{1}"), Some("abc"));
        assert_eq!(token("n,,\u{1}auth=Bearer abc\u{1}pool=x\u{1}cluster=y z\u{1}\u{1}"), Some("abc"));
        for wrong in [
            "",
            "abc",
            "n,,\u{1}auth=Bearer abc\u{1}",
            "n,,\u{1}auth=Basic abc\u{1}\u{1}",
            "n,,\u{1}auth=Bearer abc\u{1}auth=x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer abc\u{1}a1=x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer abc\u{1}x\u{1}\u{1}",
        ] {
            assert_eq!(token(wrong), None, "{wrong:?}");
        }
    }
}
