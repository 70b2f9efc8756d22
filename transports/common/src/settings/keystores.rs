//! Settings of Java's client about keystores, which have other names here (KIP-651), or need a file in another format.

/// Returns what to do in place of setting this, if it is one of them.
pub(super) fn remedy(name: &str) -> Option<&'static str> {
    Some(match name {
        "ssl.keystore.certificate.chain" => "set ssl.certificate.pem to this text instead",
        "ssl.keystore.key" => "set ssl.key.pem to this text instead",
        "ssl.truststore.certificates" => "set ssl.ca.pem to this text instead",
        "ssl.keystore.location" | "ssl.keystore.type" | "ssl.keystore.password" => {
            "keystores are not read, but PEM files: convert it with `keytool -importkeystore -srckeystore FILE -destkeystore FILE.p12 \
             -deststoretype pkcs12` (unless it is PKCS#12 already) and `openssl pkcs12 -in FILE.p12 -noenc -out FILE.pem`, and set \
             ssl.certificate.location and ssl.key.location to FILE.pem"
        }
        "ssl.truststore.location" | "ssl.truststore.type" | "ssl.truststore.password" => {
            "keystores are not read, but PEM files: convert it with `keytool -importkeystore -srckeystore FILE -destkeystore FILE.p12 \
             -deststoretype pkcs12` (unless it is PKCS#12 already) and `openssl pkcs12 -in FILE.p12 -nokeys -out FILE.pem`, and set \
             ssl.ca.location to FILE.pem"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kafka_batch_core::BatchOptions;

    use super::*;
    use crate::settings::{parse, table};

    #[test]
    fn a_setting_of_a_keystore_is_an_error_that_says_how_to_convert_it() {
        for (name, expected) in [
            ("ssl.keystore.location", "and set ssl.certificate.location and ssl.key.location to FILE.pem"),
            ("ssl.keystore.type", "openssl pkcs12 -in FILE.p12 -noenc"),
            ("ssl.keystore.password", "keytool -importkeystore"),
            ("ssl.keystore.certificate.chain", "set ssl.certificate.pem to this text"),
            ("ssl.keystore.key", "set ssl.key.pem to this text"),
            ("ssl.truststore.location", "and set ssl.ca.location to FILE.pem"),
            ("ssl.truststore.type", "openssl pkcs12 -in FILE.p12 -nokeys"),
            ("ssl.truststore.password", "keytool -importkeystore"),
            ("ssl.truststore.certificates", "set ssl.ca.pem to this text"),
        ] {
            let settings = BTreeMap::from(
                [("bootstrap.servers", "SSL://a:1"), (name, "hunter2")]
                    .map(|(name, value)| (name.into(), value.into())),
            );
            let error = parse(&settings, &Default::default(), BatchOptions::default()).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains(expected) && !error.contains("hunter2"), "{error}");
            for set in expected.split(' ').filter(|word| word.starts_with("ssl.")) {
                assert!(table::row(set).is_some(), "{set} exists");
            }
        }
        assert_eq!(remedy("ssl.keystore"), None);
    }
}
