//! What is said on a connection before it is of use: states as types, each with only what it needs, each giving the next.
//!
//! ```text
//! AskVersions ──UNSUPPORTED_VERSION──▶ AskVersions (older)
//!      │ ├──────────────────────────────no SASL──────────────────────────▶ Ready
//!      └──▶ Mechanism ──v0──▶ BareToken ────────────────────────────────────▲
//!                     └─v1──▶ Authenticate ─────────────────────────────────┘
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use super::config::{ProducerConfig, SaslPlain};
use super::event::Trouble;
use crate::magic::{BrokerVersion, Magic};
use crate::protocol::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, EncodeError, ErrorCode, ProtocolError, RequestHeader,
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse, correlation_id,
    sasl_token_frame,
};

/// The versions to speak with one broker: of each API the newest that both sides know, or what
/// [`broker_version_fallback`](ProducerConfig::broker_version_fallback) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Versions {
    /// Of Produce. From 13 on topics have ids instead of names; as long as the cluster has told none, 12 is spoken.
    pub produce: i16,
    /// Of Metadata.
    pub metadata: i16,
    /// Of InitProducerId; `None` where the broker knows nothing of idempotence, as those before 0.11.
    pub init_producer_id: Option<i16>,
}

impl Versions {
    /// The format in which batches go to this broker.
    #[must_use]
    pub const fn magic(&self) -> Magic {
        Magic::for_produce_version(self.produce)
    }

    fn of(response: &ApiVersionsResponse) -> Option<Self> {
        Some(Self {
            produce: response.choose(ApiKey::Produce)?,
            metadata: response.choose(ApiKey::Metadata)?,
            init_producer_id: response.choose(ApiKey::InitProducerId),
        })
    }

    /// What a broker of this version speaks, without asking it.
    pub(super) fn fallback(version: BrokerVersion) -> Self {
        let speaks = |produce, metadata, init_producer_id| Self { produce, metadata, init_producer_id };
        let no_throttle_time = "0.9".parse().is_ok_and(|nine: BrokerVersion| version < nine);
        match version.magic() {
            Magic::V0 if no_throttle_time => speaks(0, 0, None),
            Magic::V0 => speaks(1, 0, None),
            Magic::V1 => speaks(2, 1, None),
            Magic::V2 => speaks(3, 4, Some(0)),
        }
    }
}

/// A handshake that waits for an answer.
#[derive(Debug)]
pub(super) enum Handshake {
    AskVersions(AskVersions),
    Mechanism(Mechanism),
    BareToken(Versions),
    Authenticate(Authenticate),
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this, and wait for the answer.
    Send(Vec<Bytes>, Handshake),
    /// The connection is ready.
    Ready(Versions),
}

/// ApiVersions was asked in this version.
#[derive(Debug)]
pub(super) struct AskVersions {
    version: i16,
    correlation: i32,
}

/// SaslHandshake was asked in this version.
#[derive(Debug)]
pub(super) struct Mechanism {
    version: i16,
    correlation: i32,
    authenticate: Option<i16>,
    versions: Versions,
}

/// SaslAuthenticate was asked in this version.
#[derive(Debug)]
pub(super) struct Authenticate {
    version: i16,
    correlation: i32,
    versions: Versions,
}

/// With v3 every broker since 2.4 answers at once; v4 and v5 tell nothing that a producer needs.
const FIRST_ASKED: i16 = 3;
/// Beyond the correlation ids that requests begin with, so that the handshake's answers are never taken for theirs.
const MECHANISM: i32 = -3;
const AUTHENTICATE: i32 = -4;

impl Handshake {
    /// The connection stands. With `fallback` nobody is asked: the broker is known not to answer. But whoever has PLAIN
    /// (0.10 and newer, KIP-43) does answer.
    pub(super) fn begin(config: &ProducerConfig, fallback: Option<BrokerVersion>) -> Result<Step, Trouble> {
        match fallback.filter(|_| config.sasl_plain.is_none()) {
            Some(version) => Ok(Step::Ready(Versions::fallback(version))),
            None => ask_versions(config, FIRST_ASKED, -1),
        }
    }

    /// Whether a broker that hangs up now, or keeps silent, may be one that does not know the question.
    pub(super) const fn asks_versions(&self) -> bool {
        matches!(self, Self::AskVersions(_))
    }

    pub(super) fn on_frame(self, config: &ProducerConfig, frame: &[u8]) -> Result<Step, Trouble> {
        match self {
            Self::AskVersions(state) => state.on_frame(config, frame),
            Self::Mechanism(state) => state.on_frame(config, frame),
            Self::BareToken(versions) => Ok(Step::Ready(versions)),
            Self::Authenticate(state) => state.on_frame(frame),
        }
    }
}

impl AskVersions {
    fn on_frame(self, config: &ProducerConfig, frame: &[u8]) -> Result<Step, Trouble> {
        expect(self.correlation, frame)?;
        let response = ApiVersionsResponse::decode(frame, self.version).map_err(garbled)?;
        match response.error_code {
            ErrorCode::NONE => {
                let versions = Versions::of(&response).ok_or(Trouble::Incompatible)?;
                match &config.sasl_plain {
                    None => Ok(Step::Ready(versions)),
                    Some(_) => ask_mechanism(config, &response, versions),
                }
            }
            ErrorCode::UNSUPPORTED_VERSION if self.version > 0 => {
                let older = response.choose(ApiKey::ApiVersions).unwrap_or(0).clamp(0, self.version - 1);
                ask_versions(config, older, self.correlation - 1)
            }
            code => Err(Trouble::Refused { code, message: None }),
        }
    }
}

impl Mechanism {
    fn on_frame(self, config: &ProducerConfig, frame: &[u8]) -> Result<Step, Trouble> {
        expect(self.correlation, frame)?;
        let response = SaslHandshakeResponse::decode(frame, self.version).map_err(garbled)?;
        if response.error_code.is_error() {
            let message = Some(format!("it offers {}, and not PLAIN", response.mechanisms.join(", ")));
            return Err(Trouble::Refused { code: response.error_code, message });
        }
        let Some(credentials) = &config.sasl_plain else { return Ok(Step::Ready(self.versions)) };
        let token = plain_token(credentials);
        let Some(version) = self.authenticate.filter(|_| self.version >= 1) else {
            let frame = sasl_token_frame(token.as_bytes()).map_err(unsayable)?;
            return Ok(Step::Send(Vec::from([frame]), Handshake::BareToken(self.versions)));
        };
        let header = RequestHeader { correlation_id: AUTHENTICATE, client_id: Some(&config.client_id) };
        let frame =
            SaslAuthenticateRequest { auth_bytes: token.as_bytes() }.encode(version, header).map_err(unsayable)?;
        let next = Authenticate { version, correlation: AUTHENTICATE, versions: self.versions };
        Ok(Step::Send(frame, Handshake::Authenticate(next)))
    }
}

impl Authenticate {
    fn on_frame(self, frame: &[u8]) -> Result<Step, Trouble> {
        expect(self.correlation, frame)?;
        let response = SaslAuthenticateResponse::decode(frame, self.version).map_err(garbled)?;
        if response.error_code.is_error() {
            return Err(Trouble::Refused { code: response.error_code, message: response.error_message });
        }
        Ok(Step::Ready(self.versions))
    }
}

fn ask_versions(config: &ProducerConfig, version: i16, correlation: i32) -> Result<Step, Trouble> {
    let header = RequestHeader { correlation_id: correlation, client_id: Some(&config.client_id) };
    let request = ApiVersionsRequest {
        client_software_name: "kafka-batch",
        client_software_version: env!("CARGO_PKG_VERSION"),
        cluster_id: None,
        node_id: -1,
    };
    let frame = request.encode(version, header).map_err(unsayable)?;
    Ok(Step::Send(frame, Handshake::AskVersions(AskVersions { version, correlation })))
}

fn ask_mechanism(config: &ProducerConfig, response: &ApiVersionsResponse, versions: Versions) -> Result<Step, Trouble> {
    let version = response.choose(ApiKey::SaslHandshake).ok_or(Trouble::Incompatible)?;
    let authenticate = response.choose(ApiKey::SaslAuthenticate);
    // After v1 tokens travel in SaslAuthenticate, which has to be there then.
    let version = if authenticate.is_some() { version } else { 0 };
    let header = RequestHeader { correlation_id: MECHANISM, client_id: Some(&config.client_id) };
    let frame = SaslHandshakeRequest { mechanism: "PLAIN" }.encode(version, header).map_err(unsayable)?;
    Ok(Step::Send(frame, Handshake::Mechanism(Mechanism { version, correlation: MECHANISM, authenticate, versions })))
}

/// RFC 4616, without an authorization id.
fn plain_token(credentials: &SaslPlain) -> String {
    format!("\0{}\0{}", credentials.username, credentials.password)
}

fn expect(correlation: i32, frame: &[u8]) -> Result<(), Trouble> {
    match correlation_id(frame) {
        Ok(id) if id == correlation => Ok(()),
        Ok(id) => Err(Trouble::Protocol(format!("it answers request {id} where {correlation} was asked"))),
        Err(error) => Err(Trouble::Protocol(error.to_string())),
    }
}

pub(super) fn garbled(error: ProtocolError) -> Trouble {
    Trouble::Protocol(error.to_string())
}

fn unsayable(error: EncodeError) -> Trouble {
    Trouble::Protocol(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sasl: bool) -> ProducerConfig {
        let credentials = SaslPlain { username: "me".into(), password: "secret".into() };
        ProducerConfig { sasl_plain: sasl.then_some(credentials), ..ProducerConfig::new([("h", 1)]) }
    }

    fn sent(step: Result<Step, Trouble>) -> (Vec<u8>, Handshake) {
        match step {
            Ok(Step::Send(bytes, next)) => (bytes.concat(), next),
            other => panic!("{other:?}"),
        }
    }

    /// A frame without its length, in the layout of ApiVersions v0: these APIs, each up to this version.
    fn apis(correlation: i32, code: i16, apis: &[(i16, i16)]) -> Vec<u8> {
        let mut frame = [&correlation.to_be_bytes()[..], &code.to_be_bytes()].concat();
        frame.extend((apis.len() as i32).to_be_bytes());
        for (api, newest) in apis {
            frame.extend([&api.to_be_bytes()[..], &[0, 0], &newest.to_be_bytes()].concat());
        }
        frame
    }

    /// Through the questions what it speaks, to the mechanism: asked in v3, told that only v0 will do, asked again.
    fn asked_twice(config: &ProducerConfig, listed: &[(i16, i16)]) -> Result<Step, Trouble> {
        let (first, waiting) = sent(Handshake::begin(config, None));
        assert_eq!(first[4..12], [0, 18, 0, 3, 255, 255, 255, 255]);
        assert!(waiting.asks_versions());
        let (second, waiting) = sent(waiting.on_frame(config, &apis(-1, 35, &[])));
        assert_eq!(second[4..12], [0, 18, 0, 0, 255, 255, 255, 254]);
        waiting.on_frame(config, &apis(-2, 0, listed))
    }

    #[test]
    fn an_old_broker_is_asked_in_its_own_version() {
        match asked_twice(&config(false), &[(0, 2), (3, 1), (18, 0)]) {
            Ok(Step::Ready(versions)) => {
                assert_eq!(versions, Versions { produce: 2, metadata: 1, init_producer_id: None });
                assert_eq!(versions.magic(), Magic::V1);
            }
            other => panic!("{other:?}"),
        }
    }

    /// librdkafka's mock cluster answers so: it lays the list out as it was asked, and counts its entries wrong.
    #[test]
    fn a_broker_that_refuses_the_version_in_a_layout_of_its_own_is_asked_in_v0() {
        let config = config(false);
        let (_, waiting) = sent(Handshake::begin(&config, None));
        let answer = [&(-1_i32).to_be_bytes()[..], &[0, 35, 1, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0]].concat();
        let (second, waiting) = sent(waiting.on_frame(&config, &answer));
        assert_eq!(second[4..12], [0, 18, 0, 0, 255, 255, 255, 254]);
        let ready = waiting.on_frame(&config, &apis(-2, 0, &[(0, 10), (3, 12), (18, 2), (22, 4)]));
        assert!(matches!(ready, Ok(Step::Ready(versions)) if versions.produce == 10), "{ready:?}");
    }

    #[test]
    fn a_broker_that_cannot_take_batches_is_of_no_use() {
        assert!(matches!(asked_twice(&config(false), &[(3, 1), (18, 0)]), Err(Trouble::Incompatible)));
    }

    #[test]
    fn plain_in_requests_of_its_own() {
        let config = config(true);
        let (mechanism, waiting) = sent(asked_twice(&config, &[(0, 7), (3, 5), (17, 1), (36, 0)]));
        assert_eq!(mechanism[4..8], [0, 17, 0, 1]);
        assert!(mechanism.ends_with(b"\0\x05PLAIN"));
        let answer = [&MECHANISM.to_be_bytes()[..], &[0, 0, 0, 0, 0, 1, 0, 5], b"PLAIN"].concat();
        let (token, waiting) = sent(waiting.on_frame(&config, &answer));
        assert_eq!(token[4..8], [0, 36, 0, 0]);
        assert!(token.ends_with(b"\0me\0secret"));
        let answer = [&AUTHENTICATE.to_be_bytes()[..], &[0, 0, 255, 255, 0, 0, 0, 0]].concat();
        assert!(matches!(waiting.on_frame(&config, &answer), Ok(Step::Ready(versions)) if versions.produce == 7));
    }

    #[test]
    fn plain_in_a_bare_frame_before_kafka_1_0() {
        let config = config(true);
        let (mechanism, waiting) = sent(asked_twice(&config, &[(0, 2), (3, 1), (17, 0)]));
        assert_eq!(mechanism[4..8], [0, 17, 0, 0]);
        let answer = [&MECHANISM.to_be_bytes()[..], &[0, 0, 0, 0, 0, 0]].concat();
        let (token, waiting) = sent(waiting.on_frame(&config, &answer));
        assert_eq!(token, b"\0\0\0\x0a\0me\0secret");
        assert!(matches!(waiting.on_frame(&config, &[]), Ok(Step::Ready(_))));
    }

    #[test]
    fn refusals_say_why() {
        let config = config(true);
        let (_, waiting) = sent(asked_twice(&config, &[(0, 7), (3, 5), (17, 1), (36, 0)]));
        let answer = [&MECHANISM.to_be_bytes()[..], &[0, 33, 0, 0, 0, 1, 0, 6], b"GSSAPI"].concat();
        match waiting.on_frame(&config, &answer) {
            Err(Trouble::Refused { code: ErrorCode::UNSUPPORTED_SASL_MECHANISM, message: Some(message) }) => {
                assert_eq!(message, "it offers GSSAPI, and not PLAIN");
            }
            other => panic!("{other:?}"),
        }
        let waiting = Authenticate {
            version: 0,
            correlation: AUTHENTICATE,
            versions: Versions { produce: 7, metadata: 5, init_producer_id: None },
        };
        let answer = [&AUTHENTICATE.to_be_bytes()[..], &[0, 58, 0, 2], b"no", &[0; 4]].concat();
        let refused = Handshake::Authenticate(waiting).on_frame(&config, &answer).unwrap_err();
        assert_eq!(refused.to_string(), "it answered SASL_AUTHENTICATION_FAILED (58): no");
    }

    #[test]
    fn who_is_not_asked_is_spoken_to_as_its_version_can() {
        for (version, produce, metadata, init_producer_id) in
            [("0.8.2", 0, 0, None), ("0.9", 1, 0, None), ("0.10.2", 2, 1, None), ("2.8", 3, 4, Some(0))]
        {
            let step = Handshake::begin(&config(false), Some(version.parse().unwrap()));
            let expected = Versions { produce, metadata, init_producer_id };
            assert!(matches!(step, Ok(Step::Ready(versions)) if versions == expected), "{version}");
        }
    }

    #[test]
    fn with_credentials_every_broker_is_asked() {
        let (asked, _) = sent(Handshake::begin(&config(true), Some("0.9".parse().unwrap())));
        assert_eq!(asked[4..8], [0, 18, 0, 3]);
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let (_, waiting) = sent(Handshake::begin(&config(false), None));
        assert!(matches!(waiting.on_frame(&config(false), &apis(7, 0, &[])), Err(Trouble::Protocol(_))));
        let (_, waiting) = sent(Handshake::begin(&config(false), None));
        assert!(matches!(waiting.on_frame(&config(false), &[0; 3]), Err(Trouble::Protocol(_))));
    }
}
