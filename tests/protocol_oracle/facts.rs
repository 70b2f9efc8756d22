//! Versions, headers, error codes, ids.

use kafka_batch_core::protocol::{ApiKey, ErrorCode, SaslAuthenticateRequest, Uuid, VersionRange, choose_version};
use kafka_batch_witnesses::kafka_protocol::error::ResponseError;
use kafka_batch_witnesses::kafka_protocol::messages as oracle;
use proptest::prelude::*;

#[test]
fn versions_and_headers_equal_those_of_the_oracle() {
    for &api in ApiKey::ALL {
        let theirs = oracle::ApiKey::try_from(api.code()).unwrap();
        assert_eq!(format!("{theirs:?}"), api.name());
        let VersionRange { min, max } = api.versions();
        for version in min..=max {
            let flexible = theirs.request_header_version(version) == 2;
            assert_eq!(api.is_flexible(version), flexible, "{api} v{version}");
        }
        let newest = match api {
            ApiKey::ApiVersions => 4,        // v5 came after the oracle
            ApiKey::InitProducerId => 6,     // v6 is not stable
            ApiKey::AddPartitionsToTxn => 5, // from v4 on, for brokers
            _ => max,
        };
        assert_eq!(theirs.valid_versions().max, newest, "{api}");
    }
}

#[test]
fn error_codes_equal_those_of_the_oracle() {
    for number in -100..1_000 {
        let code = ErrorCode(number);
        assert_eq!(code.is_error(), number != 0);
        assert!(code.is_retriable() || !code.invalidates_metadata());
        let theirs = match ResponseError::try_from_code(number) {
            None => {
                assert_eq!(code.name(), Some("NONE"));
                continue;
            }
            Some(ResponseError::Unknown(_)) if (134..=136).contains(&number) => continue, // Kafka 4.4
            Some(ResponseError::Unknown(_)) => {
                assert_eq!((code.name(), code.is_retriable()), (None, false));
                assert_eq!(code.to_string(), format!("unknown error code {number}"));
                continue;
            }
            Some(theirs) => theirs,
        };
        let name = code.name().unwrap();
        assert_eq!(code.to_string(), format!("{name} ({number})"));
        assert_eq!(name.replace('_', "").to_lowercase(), format!("{theirs:?}").to_lowercase());
        // Kafka has made CONCURRENT_TRANSACTIONS retriable since the oracle's version.
        let retriable = theirs.is_retriable() || code == ErrorCode::CONCURRENT_TRANSACTIONS;
        assert_eq!(code.is_retriable(), retriable, "{code}");
    }
}

#[test]
fn the_highest_common_version_is_chosen() {
    let range = |min, max| VersionRange { min, max };
    assert_eq!(choose_version(range(0, 13), range(0, 13)), Some(13));
    assert_eq!(choose_version(range(0, 12), range(0, 13)), Some(12));
    assert_eq!(choose_version(range(0, 13), range(0, 2)), Some(2));
    assert_eq!(choose_version(range(3, 13), range(0, 2)), None);
    assert_eq!(choose_version(range(0, 2), range(3, 13)), None);
    assert_eq!(choose_version(range(0, 13), range(5, 4)), None);
    assert_eq!(choose_version(range(0, 13), range(-5, -1)), None);
}

#[test]
fn the_client_throttles_from_the_version_of_kip_219_on() {
    let first = |api: ApiKey| (0..=13).find(|version| api.client_throttles(*version));
    let found: Vec<_> = ApiKey::ALL.iter().copied().map(first).collect();
    assert_eq!(
        found,
        [
            Some(6),
            Some(6),
            Some(2),
            None,
            Some(2),
            Some(1),
            Some(1),
            Some(1),
            Some(1),
            Some(1),
            None,
            Some(0),
            Some(0),
            Some(0)
        ]
    );
}

proptest! {
    /// Kafka shows an id as URL-safe base64, which is decoded here digit by digit.
    #[test]
    fn a_uuid_is_shown_in_base64(id in any::<[u8; 16]>()) {
        let shown = Uuid(id).to_string();
        prop_assert_eq!(shown.len(), 22);
        let digit = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            other => panic!("{other}"),
        };
        let bits: String = shown.bytes().map(|c| format!("{:06b}", digit(c))).collect();
        let expected: String = id.iter().map(|byte| format!("{byte:08b}")).collect();
        prop_assert_eq!(&bits[..128], expected);
        prop_assert_eq!(&bits[128..], "0000");
    }
}

#[test]
fn a_sasl_token_is_not_shown() {
    let request = SaslAuthenticateRequest { auth_bytes: b"\0user\0secret" };
    assert_eq!(format!("{request:?}"), "SaslAuthenticateRequest { auth_bytes: 12 bytes }");
}
