//! The handshake of a connection, as a typestate: each state has only the data that it needs, and returns the next.
//!
//! ```text
//! ApiVersions ──UNSUPPORTED_VERSION──▶ ApiVersions (older)
//!      │ ├──────────────────────────────no SASL──────────────────────────▶ Ready
//!      └──▶ Mechanism ──▶ Authenticate ─────────────────────────────────────▲
//!             ▲  │           │   ▲ ▲ └──────────────────────────────────────┘
//!             │  │           └───│─┘ token by token: in SaslAuthenticate requests (v1), or in bare frames (v0)
//!             │  └──▶ AwaitsToken┘ of OAUTHBEARER, from the application
//!             └── a session that ends (KIP-368)
//! ```

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::backoff::ConnectionRng;
use super::config::MachineConfig;
use super::credentials::Sasl;
use super::sasl::Conversation;
use super::versions::Versions;
use crate::cause::ConnectionErrorKind;
use crate::magic::BrokerVersion;
use crate::protocol::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, BrokerError, ErrorCode, RequestEncodeError, RequestHeader,
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse, correlation_id,
    sasl_token_frame,
};

/// A handshake that waits for a response.
#[derive(Debug)]
pub(super) enum Handshake {
    ApiVersions(ApiVersions),
    Mechanism(Mechanism),
    AwaitsToken(SaslSession),
    Authenticate(Authenticate),
}

/// The next step of a connection.
#[derive(Debug)]
pub(super) enum HandshakeStep {
    /// Send these bytes, and wait for the response.
    Send(Vec<Bytes>, Handshake),
    /// Wait for a token of OAUTHBEARER: see [`Handshake::on_token`].
    AwaitToken(Handshake),
    /// The connection is ready. `session`: how long it may be used, if that is limited, and how to authenticate again then.
    Ready { versions: Versions, session: Option<(Duration, SaslSession)> },
    /// The broker does not authenticate again on this connection.
    CannotReauthenticate,
}

impl HandshakeStep {
    const fn ready(versions: Versions) -> Self {
        Self::Ready { versions, session: None }
    }
}

/// What was negotiated for SASL, and is used again when the session ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct SaslSession {
    /// The version of SaslHandshake.
    version: i16,
    channel: Channel,
    versions: Versions,
}

/// ApiVersions was sent, in this version.
#[derive(Debug)]
pub(super) struct ApiVersions {
    version: i16,
    correlation: i32,
}

/// SaslHandshake was sent, in this version.
#[derive(Debug)]
pub(super) struct Mechanism {
    correlation: i32,
    sasl: Sasl,
    session: SaslSession,
    /// Whether the connection was authenticated before.
    is_again: bool,
}

/// A SASL token was sent.
#[derive(Debug)]
pub(super) struct Authenticate {
    /// The channel as it was negotiated.
    session: SaslSession,
    channel: Channel,
    conversation: Conversation,
}

/// How SASL tokens are sent.
#[derive(Clone, Copy, Debug)]
enum Channel {
    /// In frames without a header.
    Bare,
    /// In SaslAuthenticate, in this version; the next one with this correlation id.
    Requests { version: i16, correlation: i32 },
}

/// The version of ApiVersions to send first. Each broker since 2.4 answers v3 without a second request; v4 and v5 add
/// nothing that a producer needs.
const FIRST_VERSION: i16 = 3;
/// Negative, unlike the correlation ids after the handshake, so that its responses are never taken for theirs.
const MECHANISM: i32 = -3;
const AUTHENTICATE: i32 = -4; // counts down, token by token

impl Handshake {
    /// Starts the handshake on an established connection. With `fallback` ApiVersions is skipped, because the broker
    /// did not respond to it, unless SASL is configured: brokers with SaslHandshake (0.10 and newer, KIP-43) answer
    /// ApiVersions.
    pub(super) fn begin(
        config: &MachineConfig,
        fallback: Option<BrokerVersion>,
    ) -> Result<HandshakeStep, ConnectionErrorKind> {
        match fallback.filter(|_| config.sasl.is_none()) {
            Some(version) => Ok(HandshakeStep::ready(Versions::fallback(version))),
            None => send_api_versions(config, FIRST_VERSION, -1),
        }
    }

    /// Starts another authentication on a connection that was authenticated before (KIP-368).
    pub(super) fn again(config: &MachineConfig, session: SaslSession) -> Result<HandshakeStep, ConnectionErrorKind> {
        match &config.sasl {
            Some(sasl) => send_mechanism(config, sasl, session, true),
            None => Ok(HandshakeStep::CannotReauthenticate),
        }
    }

    /// Continues after [`HandshakeStep::AwaitToken`], if the credentials have a token now.
    pub(super) fn on_token(
        self,
        config: &MachineConfig,
        rng: ConnectionRng,
    ) -> Result<HandshakeStep, ConnectionErrorKind> {
        match (self, &config.sasl) {
            (Self::AwaitsToken(session), Some(sasl)) => session.authenticate(config, sasl, rng),
            (waiting, _) => Ok(HandshakeStep::AwaitToken(waiting)),
        }
    }

    /// Returns `true` while a token of OAUTHBEARER is awaited from the application.
    pub(super) const fn awaits_token(&self) -> bool {
        matches!(self, Self::AwaitsToken(_))
    }

    /// Returns the pending request: API and version. A bare SASL token belongs to SaslHandshake v0. `None` if the broker
    /// waits.
    pub(super) const fn request(&self) -> Option<(ApiKey, i16)> {
        Some(match self {
            Self::ApiVersions(ApiVersions { version, .. }) => (ApiKey::ApiVersions, *version),
            Self::Mechanism(Mechanism { session, .. }) => (ApiKey::SaslHandshake, session.version),
            Self::AwaitsToken(_) => return None,
            Self::Authenticate(Authenticate { channel: Channel::Bare, .. }) => (ApiKey::SaslHandshake, 0),
            Self::Authenticate(Authenticate { channel: Channel::Requests { version, .. }, .. }) => {
                (ApiKey::SaslAuthenticate, *version)
            }
        })
    }

    /// Returns `true` while ApiVersions is unanswered: a broker that closes the connection now, or does not respond,
    /// may not support it.
    pub(super) const fn awaits_api_versions(&self) -> bool {
        matches!(self, Self::ApiVersions(_))
    }

    pub(super) fn on_frame(
        self,
        config: &MachineConfig,
        rng: ConnectionRng,
        frame: &[u8],
    ) -> Result<HandshakeStep, ConnectionErrorKind> {
        match self {
            Self::ApiVersions(state) => state.on_frame(config, frame),
            Self::Mechanism(state) => state.on_frame(config, rng, frame),
            Self::AwaitsToken(_) => {
                Err(ConnectionErrorKind::Protocol("it sends a response, and no request is pending".into()))
            }
            Self::Authenticate(state) => state.on_frame(config, frame),
        }
    }
}

impl ApiVersions {
    fn on_frame(self, config: &MachineConfig, frame: &[u8]) -> Result<HandshakeStep, ConnectionErrorKind> {
        expect(self.correlation, frame)?;
        let response = ApiVersionsResponse::decode(frame, self.version)?;
        match response.error_code {
            ErrorCode::NONE => {
                let versions = Versions::from_response(&response)?;
                match &config.sasl {
                    None => Ok(HandshakeStep::ready(versions)),
                    Some(sasl) => send_sasl_handshake(config, sasl, &response, versions),
                }
            }
            ErrorCode::UNSUPPORTED_VERSION if self.version > 0 => {
                let older = response.choose(ApiKey::ApiVersions).unwrap_or(0).clamp(0, self.version - 1);
                send_api_versions(config, older, self.correlation - 1)
            }
            code => Err(BrokerError::new(ApiKey::ApiVersions, code).with_version(self.version).into()),
        }
    }
}

impl Mechanism {
    fn on_frame(
        self,
        config: &MachineConfig,
        rng: ConnectionRng,
        frame: &[u8],
    ) -> Result<HandshakeStep, ConnectionErrorKind> {
        expect(self.correlation, frame)?;
        let Self { sasl, session, is_again, .. } = self;
        let version = session.version;
        let response = SaslHandshakeResponse::decode(frame, version)?;
        if is_again && response.error_code == ErrorCode::ILLEGAL_SASL_STATE {
            return Ok(HandshakeStep::CannotReauthenticate);
        }
        if response.error_code.is_error() {
            // A port without SASL lists no mechanisms.
            let offers = (!response.mechanisms.is_empty()).then(|| sasl.redacted(response.mechanisms.join(", ")));
            let message =
                offers.map(|offers| format!("it offers {offers}, and not {} (sasl.mechanism)", sasl.mechanism()));
            let error = BrokerError::new(ApiKey::SaslHandshake, response.error_code).with_version(version);
            return Err(error.with_message(message).into());
        }
        // The token of OAUTHBEARER may be another one since.
        session.authenticate(config, config.sasl.as_ref().unwrap_or(&sasl), rng)
    }
}

impl SaslSession {
    /// Returns the step that sends the first token.
    fn authenticate(
        self,
        config: &MachineConfig,
        sasl: &Sasl,
        rng: ConnectionRng,
    ) -> Result<HandshakeStep, ConnectionErrorKind> {
        match Conversation::begin(sasl, rng) {
            Some((token, conversation)) => {
                Authenticate { session: self, channel: self.channel, conversation }.send(config, &token)
            }
            None => Ok(HandshakeStep::AwaitToken(Handshake::AwaitsToken(self))),
        }
    }
}

impl Authenticate {
    /// Returns the step that sends a token.
    fn send(self, config: &MachineConfig, token: &[u8]) -> Result<HandshakeStep, ConnectionErrorKind> {
        let bytes = match self.channel {
            Channel::Bare => Vec::from([sasl_token_frame(token).map_err(encode_error)?]),
            Channel::Requests { version, correlation } => {
                let header = RequestHeader { correlation_id: correlation, client_id: Some(&config.client_id) };
                SaslAuthenticateRequest { auth_bytes: token }.encode(version, header).map_err(encode_error)?
            }
        };
        Ok(HandshakeStep::Send(bytes, Handshake::Authenticate(self)))
    }

    fn on_frame(self, config: &MachineConfig, frame: &[u8]) -> Result<HandshakeStep, ConnectionErrorKind> {
        let Self { session: negotiated, mut channel, conversation } = self;
        let response;
        let (token, session) = match &mut channel {
            Channel::Bare => (frame, None),
            Channel::Requests { version, correlation } => {
                expect(*correlation, frame)?;
                response = SaslAuthenticateResponse::decode(frame, *version)?;
                if response.error_code.is_error() {
                    let error = BrokerError::new(ApiKey::SaslAuthenticate, response.error_code).with_version(*version);
                    return Err(conversation.error(error, response.error_message));
                }
                *correlation -= 1;
                let lifetime = u64::try_from(response.session_lifetime_ms).ok().filter(|millis| *millis > 0);
                (&*response.auth_bytes, lifetime.map(|millis| (Duration::from_millis(millis), negotiated)))
            }
        };
        match conversation.on_token(token)? {
            Some((token, conversation)) => Self { session: negotiated, channel, conversation }.send(config, &token),
            None => Ok(HandshakeStep::Ready { versions: negotiated.versions, session }),
        }
    }
}

fn send_api_versions(
    config: &MachineConfig,
    version: i16,
    correlation: i32,
) -> Result<HandshakeStep, ConnectionErrorKind> {
    let header = RequestHeader { correlation_id: correlation, client_id: Some(&config.client_id) };
    let request = ApiVersionsRequest {
        client_software_name: "kafka-batch",
        client_software_version: env!("CARGO_PKG_VERSION"),
        cluster_id: None,
        node_id: -1,
    };
    let frame = request.encode(version, header).map_err(encode_error)?;
    Ok(HandshakeStep::Send(frame, Handshake::ApiVersions(ApiVersions { version, correlation })))
}

fn send_sasl_handshake(
    config: &MachineConfig,
    sasl: &Sasl,
    response: &ApiVersionsResponse,
    versions: Versions,
) -> Result<HandshakeStep, ConnectionErrorKind> {
    let version =
        response.choose(ApiKey::SaslHandshake).ok_or(ConnectionErrorKind::Incompatible(ApiKey::SaslHandshake))?;
    // After SaslHandshake v1, tokens are sent in SaslAuthenticate, which the broker must support then.
    let (version, channel) = match response.choose(ApiKey::SaslAuthenticate) {
        Some(authenticate) if version >= 1 => {
            (version, Channel::Requests { version: authenticate, correlation: AUTHENTICATE })
        }
        _ => (0, Channel::Bare),
    };
    send_mechanism(config, sasl, SaslSession { version, channel, versions }, false)
}

fn send_mechanism(
    config: &MachineConfig,
    sasl: &Sasl,
    session: SaslSession,
    is_again: bool,
) -> Result<HandshakeStep, ConnectionErrorKind> {
    let header = RequestHeader { correlation_id: MECHANISM, client_id: Some(&config.client_id) };
    let mechanism = sasl.mechanism().name();
    let frame = SaslHandshakeRequest { mechanism }.encode(session.version, header).map_err(encode_error)?;
    let next = Mechanism { correlation: MECHANISM, sasl: sasl.clone(), session, is_again };
    Ok(HandshakeStep::Send(frame, Handshake::Mechanism(next)))
}

fn expect(correlation: i32, frame: &[u8]) -> Result<(), ConnectionErrorKind> {
    match correlation_id(frame) {
        Ok(id) if id == correlation => Ok(()),
        Ok(id) => Err(ConnectionErrorKind::Protocol(format!(
            "it answers request {id}, where the response to {correlation} is next"
        ))),
        Err(error) => Err(ConnectionErrorKind::Protocol(error.to_string())),
    }
}

fn encode_error(error: RequestEncodeError) -> ConnectionErrorKind {
    ConnectionErrorKind::Protocol(error.to_string())
}

#[cfg(test)]
mod tests;
