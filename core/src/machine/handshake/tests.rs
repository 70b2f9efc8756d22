use alloc::string::String;

use super::*;
use crate::machine::backoff::Seed;
use crate::machine::scram::tests::Server;
use crate::machine::{SaslMechanism, ScramError};
use crate::magic::Magic;

fn config(sasl: bool) -> MachineConfig {
    config_with(sasl.then_some(SaslMechanism::Plain))
}

fn config_with(mechanism: Option<SaslMechanism>) -> MachineConfig {
    let sasl = mechanism.map(|mechanism| Sasl::new(mechanism, "me", "secret").unwrap());
    MachineConfig { sasl, ..MachineConfig::new([("h", 1)]) }
}

const RNG: ConnectionRng = ConnectionRng { seed: Seed(7), connection: 3, authentications: 0 };

fn sent(step: Result<HandshakeStep, ConnectionErrorKind>) -> (Vec<u8>, Handshake) {
    match step {
        Ok(HandshakeStep::Send(bytes, next)) => (bytes.concat(), next),
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

/// Completes ApiVersions: sent in v3, refused in favour of v0, sent again.
fn after_api_versions(config: &MachineConfig, listed: &[(i16, i16)]) -> Result<HandshakeStep, ConnectionErrorKind> {
    let (first, waiting) = sent(Handshake::begin(config, None));
    assert_eq!(first[4..12], [0, 18, 0, 3, 255, 255, 255, 255]);
    assert!(waiting.awaits_api_versions());
    let (second, waiting) = sent(waiting.on_frame(config, RNG, &apis(-1, 35, &[])));
    assert_eq!(second[4..12], [0, 18, 0, 0, 255, 255, 255, 254]);
    waiting.on_frame(config, RNG, &apis(-2, 0, listed))
}

#[test]
fn an_old_broker_gets_api_versions_in_its_own_version() {
    match after_api_versions(&config(false), &[(0, 2), (3, 1), (18, 0)]) {
        Ok(HandshakeStep::Ready { versions, .. }) => {
            assert_eq!(
                versions,
                Versions {
                    produce: 2,
                    metadata: 1,
                    init_producer_id: None,
                    transactions: Default::default(),
                    telemetry: None
                }
            );
            assert_eq!(versions.magic(), Magic::V1);
        }
        other => panic!("{other:?}"),
    }
}

/// librdkafka's mock cluster answers like this: the list has the layout of the requested version, and a wrong count.
#[test]
fn a_broker_that_refuses_the_version_in_another_layout_gets_api_versions_v0() {
    let config = config(false);
    let (_, waiting) = sent(Handshake::begin(&config, None));
    let answer = [&(-1_i32).to_be_bytes()[..], &[0, 35, 1, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0]].concat();
    let (second, waiting) = sent(waiting.on_frame(&config, RNG, &answer));
    assert_eq!(second[4..12], [0, 18, 0, 0, 255, 255, 255, 254]);
    let ready = waiting.on_frame(&config, RNG, &apis(-2, 0, &[(0, 10), (3, 12), (18, 2), (22, 4)]));
    assert!(matches!(ready, Ok(HandshakeStep::Ready { versions, .. }) if versions.produce == 10), "{ready:?}");
}

#[test]
fn a_broker_without_produce_is_incompatible() {
    assert!(matches!(
        after_api_versions(&config(false), &[(3, 1), (18, 0)]),
        Err(ConnectionErrorKind::Incompatible(ApiKey::Produce))
    ));
}

#[test]
fn plain_in_sasl_authenticate() {
    let config = config(true);
    let (mechanism, waiting) = sent(after_api_versions(&config, &[(0, 7), (3, 5), (17, 1), (36, 0)]));
    assert_eq!(mechanism[4..8], [0, 17, 0, 1]);
    assert!(mechanism.ends_with(b"\0\x05PLAIN"));
    let answer = [&MECHANISM.to_be_bytes()[..], &[0, 0, 0, 0, 0, 1, 0, 5], b"PLAIN"].concat();
    let (token, waiting) = sent(waiting.on_frame(&config, RNG, &answer));
    assert_eq!(token[4..8], [0, 36, 0, 0]);
    assert!(token.ends_with(b"\0me\0secret"));
    let answer = [&AUTHENTICATE.to_be_bytes()[..], &[0, 0, 255, 255, 0, 0, 0, 0]].concat();
    assert!(
        matches!(waiting.on_frame(&config, RNG, &answer), Ok(HandshakeStep::Ready { versions, .. }) if versions.produce == 7)
    );
}

#[test]
fn plain_in_a_bare_frame_before_kafka_1_0() {
    let config = config(true);
    let (mechanism, waiting) = sent(after_api_versions(&config, &[(0, 2), (3, 1), (17, 0)]));
    assert_eq!(mechanism[4..8], [0, 17, 0, 0]);
    let answer = [&MECHANISM.to_be_bytes()[..], &[0, 0, 0, 0, 0, 0]].concat();
    let (token, waiting) = sent(waiting.on_frame(&config, RNG, &answer));
    assert_eq!(token, b"\0\0\0\x0a\0me\0secret");
    assert!(matches!(waiting.on_frame(&config, RNG, &[]), Ok(HandshakeStep::Ready { .. })));
}

#[test]
fn refusals_name_the_reason() {
    let config = config(true);
    let (_, waiting) = sent(after_api_versions(&config, &[(0, 7), (3, 5), (17, 1), (36, 0)]));
    let answer = [&MECHANISM.to_be_bytes()[..], &[0, 33, 0, 0, 0, 1, 0, 6], b"GSSAPI"].concat();
    match waiting.on_frame(&config, RNG, &answer) {
        Err(refused @ ConnectionErrorKind::Refused(_)) => {
            let text = "the broker answered SaslHandshake v1 with UNSUPPORTED_SASL_MECHANISM (33): it offers GSSAPI, and not PLAIN \
                        (sasl.mechanism)";
            assert_eq!(refused.to_string(), text);
            assert!(refused.is_authentication());
        }
        other => panic!("{other:?}"),
    }
    let channel = Channel::Requests { version: 0, correlation: AUTHENTICATE };
    let versions =
        Versions { produce: 7, metadata: 5, init_producer_id: None, transactions: Default::default(), telemetry: None };
    let waiting = Authenticate {
        session: SaslSession { version: 1, channel, versions },
        channel,
        conversation: Conversation::begin(config.sasl.as_ref().unwrap(), RNG).unwrap().1,
    };
    let answer = [&AUTHENTICATE.to_be_bytes()[..], &[0, 58, 0, 2], b"no", &[0; 4]].concat();
    let refused = Handshake::Authenticate(waiting).on_frame(&config, RNG, &answer).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the broker answered SaslAuthenticate v0 with SASL_AUTHENTICATION_FAILED (58): no; check sasl.username and sasl.password"
    );
}

#[test]
fn without_api_versions_the_fallback_versions_are_used() {
    for (version, produce, metadata, init_producer_id) in
        [("0.8.2", 0, 0, None), ("0.9", 1, 0, None), ("0.10.2", 2, 1, None), ("2.8", 3, 4, Some(0))]
    {
        let step = Handshake::begin(&config(false), Some(version.parse().unwrap()));
        let Ok(HandshakeStep::Ready { versions, .. }) = step else { panic!("{version}: {step:?}") };
        let found = (versions.produce, versions.metadata, versions.init_producer_id);
        assert_eq!(found, (produce, metadata, init_producer_id), "{version}");
        assert_eq!(versions.transactions.end_txn, init_producer_id, "transactions came with idempotence");
    }
}

#[test]
fn with_credentials_api_versions_is_always_sent() {
    let (request, _) = sent(Handshake::begin(&config(true), Some("0.9".parse().unwrap())));
    assert_eq!(request[4..8], [0, 18, 0, 3]);
}

#[test]
fn a_response_with_another_correlation_id_is_an_error() {
    let (_, waiting) = sent(Handshake::begin(&config(false), None));
    assert!(matches!(waiting.on_frame(&config(false), RNG, &apis(7, 0, &[])), Err(ConnectionErrorKind::Protocol(_))));
    let (_, waiting) = sent(Handshake::begin(&config(false), None));
    assert!(matches!(waiting.on_frame(&config(false), RNG, &[0; 3]), Err(ConnectionErrorKind::Protocol(_))));
}

/// Returns the token of a SaslAuthenticate v1 request.
fn token_of(request: &[u8]) -> String {
    let client = usize::from(request[13]);
    let token = &request[14 + client..];
    assert_eq!(i32::from_be_bytes(token[..4].try_into().unwrap()) as usize, token.len() - 4);
    String::from_utf8(token[4..].to_vec()).unwrap()
}

/// A SaslAuthenticate v1 response.
fn authenticated(correlation: i32, token: &str, session: i64) -> Vec<u8> {
    let head = [&correlation.to_be_bytes()[..], &[0, 0, 255, 255], &(token.len() as i32).to_be_bytes()].concat();
    [&head[..], token.as_bytes(), &session.to_be_bytes()].concat()
}

/// Returns the request with the first SCRAM message, in SaslAuthenticate v1.
fn scram_begun(config: &MachineConfig) -> (Vec<u8>, Handshake) {
    let (mechanism, waiting) = sent(after_api_versions(config, &[(0, 7), (3, 5), (17, 1), (36, 1)]));
    assert!(mechanism.ends_with(config.sasl.as_ref().unwrap().mechanism().name().as_bytes()));
    let answer = [&MECHANISM.to_be_bytes()[..], &[0; 6]].concat();
    sent(waiting.on_frame(config, RNG, &answer))
}

#[test]
fn scram_in_sasl_authenticate_each_with_its_correlation_id() {
    for mechanism in [SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
        let config = config_with(Some(mechanism));
        let (first, waiting) = scram_begun(&config);
        assert_eq!((&first[4..8], &first[8..12]), (&[0, 36, 0, 1][..], &(-4_i32).to_be_bytes()[..]));
        let (server, challenge) = Server::new(mechanism, "me", "secret").on_first(&token_of(&first));
        let (last, waiting) = sent(waiting.on_frame(&config, RNG, &authenticated(-4, &challenge, 0)));
        assert_eq!(last[8..12], (-5_i32).to_be_bytes());
        let signature = server.on_last(&token_of(&last)).unwrap();
        match waiting.on_frame(&config, RNG, &authenticated(-5, &signature, 3_600_000)) {
            Ok(HandshakeStep::Ready { session: Some((lifetime, _)), .. }) => {
                assert_eq!(lifetime, Duration::from_secs(3_600));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn scram_in_bare_frames_before_kafka_1_0() {
    let config = config_with(Some(SaslMechanism::ScramSha256));
    let (mechanism, waiting) = sent(after_api_versions(&config, &[(0, 2), (3, 1), (17, 0)]));
    assert_eq!(mechanism[4..8], [0, 17, 0, 0]);
    let (first, waiting) = sent(waiting.on_frame(&config, RNG, &[&MECHANISM.to_be_bytes()[..], &[0; 6]].concat()));
    let bare = |frame: &[u8]| String::from_utf8(frame[4..].to_vec()).unwrap();
    let (server, challenge) = Server::new(SaslMechanism::ScramSha256, "me", "secret").on_first(&bare(&first));
    let (last, waiting) = sent(waiting.on_frame(&config, RNG, challenge.as_bytes()));
    let signature = server.on_last(&bare(&last)).unwrap();
    let ready = waiting.on_frame(&config, RNG, signature.as_bytes());
    assert!(matches!(ready, Ok(HandshakeStep::Ready { session: None, .. })), "{ready:?}");
}

#[test]
fn a_broker_that_does_not_know_the_password_fails_authentication() {
    let config = config_with(Some(SaslMechanism::ScramSha256));
    let (first, waiting) = scram_begun(&config);
    let (server, challenge) = Server::new(SaslMechanism::ScramSha256, "me", "guessed").on_first(&token_of(&first));
    let (last, waiting) = sent(waiting.on_frame(&config, RNG, &authenticated(-4, &challenge, 0)));
    assert_eq!(server.on_last(&token_of(&last)), None, "an honest broker refuses the proof");
    let signature = server.signature();
    let kind = waiting.on_frame(&config, RNG, &authenticated(-5, &signature, 0)).unwrap_err();
    assert_eq!(kind, ConnectionErrorKind::Scram(ScramError::WrongSignature));
}

#[test]
fn a_session_lifetime_of_0_or_less_is_no_limit() {
    let config = config(true);
    for session in [0, -1, i64::MIN] {
        let (mechanism, waiting) = sent(after_api_versions(&config, &[(0, 7), (3, 5), (17, 1), (36, 1)]));
        assert!(mechanism.ends_with(b"PLAIN"));
        let (_, waiting) = sent(waiting.on_frame(&config, RNG, &[&MECHANISM.to_be_bytes()[..], &[0; 6]].concat()));
        let ready = waiting.on_frame(&config, RNG, &authenticated(-4, "", session));
        assert!(matches!(ready, Ok(HandshakeStep::Ready { session: None, .. })), "{ready:?}");
    }
}

/// A SaslAuthenticate v1 response that refuses with this message.
fn refusal(correlation: i32, message: &str) -> Vec<u8> {
    let head = [&correlation.to_be_bytes()[..], &[0, 58], &(message.len() as i16).to_be_bytes()].concat();
    [&head[..], message.as_bytes(), &[0; 12]].concat()
}

/// Returns the `Display` and `Debug` texts of a failure.
fn texts(step: Result<HandshakeStep, ConnectionErrorKind>) -> String {
    let kind = step.unwrap_err();
    format!("{kind} {kind:?}")
}

#[test]
fn a_broker_that_repeats_the_password_is_not_quoted() {
    const PASSWORD: &str = "correct horse";
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
        let sasl = Sasl::new(mechanism, "me", PASSWORD).unwrap();
        let config = MachineConfig { sasl: Some(sasl), ..MachineConfig::new([("h", 1)]) };
        // In its list of mechanisms: it has the password from another connection.
        let (_, waiting) = sent(after_api_versions(&config, &[(0, 7), (3, 5), (17, 1), (36, 1)]));
        let offers = [&[0, 33, 0, 0, 0, 1, 0, PASSWORD.len() as u8], PASSWORD.as_bytes()].concat();
        let text = texts(waiting.on_frame(&config, RNG, &[&MECHANISM.to_be_bytes()[..], &offers].concat()));
        assert!(text.contains("not shown") && !text.contains("horse"), "{text}");
        // In the message of its refusal.
        for message in [format!("no user me/{PASSWORD}"), format!("{:?}", PASSWORD.as_bytes())] {
            let (_, waiting) = scram_begun(&config);
            let text = texts(waiting.on_frame(&config, RNG, &refusal(-4, &message)));
            assert!(text.contains("not shown") && !text.contains(&message), "{text}");
        }
        let (_, waiting) = scram_begun(&config);
        let text = texts(waiting.on_frame(&config, RNG, &refusal(-4, "Invalid username or password")));
        assert!(text.contains("Invalid username or password"), "{text}");
    }
}

#[test]
fn a_broker_that_repeats_what_is_derived_from_the_password_is_not_quoted() {
    for mechanism in [SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
        let config = config_with(Some(mechanism));
        let proven = || {
            let (first, waiting) = scram_begun(&config);
            let (server, challenge) = Server::new(mechanism, "me", "secret").on_first(&token_of(&first));
            let (last, waiting) = sent(waiting.on_frame(&config, RNG, &authenticated(-4, &challenge, 0)));
            let proof = token_of(&last).rsplit_once("p=").unwrap().1.to_string();
            (waiting, proof, server.signature())
        };
        let (_, proof, signature) = proven();
        for repeated in [&proof, &signature[2..], &proof[10..30]] {
            let in_an_error = refusal(-5, &format!("not {repeated}"));
            let in_a_token = authenticated(-5, &format!("e=not {repeated}"), 0);
            for answer in [in_an_error, in_a_token] {
                let (waiting, ..) = proven();
                let text = texts(waiting.on_frame(&config, RNG, &answer));
                assert!(text.contains("not shown") && !text.contains(repeated), "{text}");
            }
        }
        let (waiting, ..) = proven();
        let text = texts(waiting.on_frame(&config, RNG, &authenticated(-5, "e=invalid-proof", 0)));
        assert!(text.contains("invalid-proof"), "{text}");
    }
}

#[test]
fn debug_of_a_handshake_shows_no_secret() {
    let config = MachineConfig {
        sasl: Some(Sasl::new(SaslMechanism::ScramSha256, "me", "correct horse").unwrap()),
        ..MachineConfig::new([("h", 1)])
    };
    let (first, waiting) = scram_begun(&config);
    let mut seen = format!("{config:?} {waiting:?}");
    let (server, challenge) =
        Server::new(SaslMechanism::ScramSha256, "me", "correct horse").on_first(&token_of(&first));
    let (last, waiting) = sent(waiting.on_frame(&config, RNG, &authenticated(-4, &challenge, 0)));
    seen += &format!("{waiting:?}");
    let (token, signature) = (token_of(&last), server.signature());
    let (_, proof) = token.rsplit_once("p=").unwrap();
    for secret in ["correct horse", proof, &signature[2..]] {
        assert!(!crate::secret::is_repeated(secret.as_bytes(), &seen), "{seen}");
    }
}
