//! Responses of InitProducerId, SaslHandshake and SaslAuthenticate, encoded by the oracle.

use kafka_batch_core::protocol::{InitProducerIdResponse, SaslAuthenticateResponse, SaslHandshakeResponse};
use kafka_batch_witnesses::kafka_protocol::messages::{
    InitProducerIdResponse as InitOracle, SaslAuthenticateResponse as AuthenticateOracle,
    SaslHandshakeResponse as HandshakeOracle,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::responses::{check, unknown};
use super::{nullable, str_bytes, string};

fn init_back(decoded: InitProducerIdResponse) -> InitOracle {
    InitOracle::default()
        .with_throttle_time_ms(decoded.throttle_time_ms)
        .with_error_code(decoded.error_code.0)
        .with_producer_id(decoded.producer_id.into())
        .with_producer_epoch(decoded.producer_epoch)
}

fn handshake_back(decoded: SaslHandshakeResponse) -> HandshakeOracle {
    HandshakeOracle::default()
        .with_error_code(decoded.error_code.0)
        .with_mechanisms(decoded.mechanisms.into_iter().map(str_bytes).collect())
}

fn authenticate_back(decoded: SaslAuthenticateResponse) -> AuthenticateOracle {
    AuthenticateOracle::default()
        .with_error_code(decoded.error_code.0)
        .with_error_message(decoded.error_message.map(str_bytes))
        .with_auth_bytes(decoded.auth_bytes)
        .with_session_lifetime_ms(decoded.session_lifetime_ms)
}

proptest! {
    #[test]
    fn decoded(
        throttle in any::<i32>(),
        error in any::<i16>(),
        producer in any::<(i64, i16)>(),
        mechanisms in vec(string(), 0..4),
        message in nullable(),
        token in vec(any::<u8>(), 0..200),
        lifetime in any::<i64>(),
    ) {
        let init = InitOracle::default()
            .with_throttle_time_ms(throttle)
            .with_error_code(error)
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1);
        let tagged = init.clone().with_unknown_tagged_fields(unknown());
        for version in 0..=5 {
            check(version, &init, &tagged, InitProducerIdResponse::decode, init_back);
        }
        let handshake = HandshakeOracle::default().with_error_code(error).with_mechanisms(mechanisms);
        for version in 0..=1 {
            check(version, &handshake, &handshake, SaslHandshakeResponse::decode, handshake_back);
        }
        let authenticate = AuthenticateOracle::default()
            .with_error_code(error)
            .with_error_message(message)
            .with_auth_bytes(token.into())
            .with_session_lifetime_ms(lifetime);
        let tagged = authenticate.clone().with_unknown_tagged_fields(unknown());
        for version in 0..=2 {
            check(version, &authenticate, &tagged, SaslAuthenticateResponse::decode, authenticate_back);
        }
    }
}
