//! The producer's private key: plain, or encrypted with a password.

use futures_rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use pkcs8::der::ErrorKind;
use pkcs8::{EncryptedPrivateKeyInfoRef, pkcs5};

use super::pem::{Label, PemError, Section};
use super::text::Pem;
use crate::error::ConfigError;
use crate::security::KEY_PASSWORD;
use crate::settings::Setting;

/// Why a text contains no usable key. The errors of the libraries that parse it are not passed on, since they may quote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum KeyError {
    #[error("no private key found: {0}; {HOW}")]
    Pem(PemError),
    #[error("no private key found, but {}: use a PEM text with BEGIN PRIVATE KEY or BEGIN ENCRYPTED PRIVATE KEY; {HOW}", .0.name())]
    NoKey(Label),
    #[error("the private key is encrypted: set {KEY_PASSWORD} too")]
    NoPassword,
    #[error("the encrypted private key cannot be read: it is damaged or truncated; {HOW}")]
    Damaged,
    #[error("the encrypted private key cannot be read: its encryption is not supported; {HOW}")]
    UnsupportedEncryption,
}

const HOW: &str = "create one with `openssl pkcs8 -topk8 -v2 aes-256-cbc`";

/// Returns the first key of a PEM text. The text determines the work of decrypting it, which is acceptable because it comes
/// from the user.
pub(super) fn read(pem: &Pem<'_>, password: Option<Setting<'_>>) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let wrong = |error: KeyError| pem.setting.wrong(error.to_string());
    let section = match find(pem) {
        Ok(section) => section,
        Err(error) => return wrong(error),
    };
    let der = match section.decode() {
        Ok(der) => der,
        Err(error) => return wrong(KeyError::Pem(error)),
    };
    Ok(match section.label {
        Label::RsaPrivateKey => PrivatePkcs1KeyDer::from(der).into(),
        Label::EcPrivateKey => PrivateSec1KeyDer::from(der).into(),
        Label::EncryptedPrivateKey => {
            let Some(password) = password else { return wrong(KeyError::NoPassword) };
            match decrypt(&der, password.found) {
                Ok(key) => key.into(),
                Err(None) => {
                    return password.wrong(format!("this is not the password of the key in {}", pem.setting.name));
                }
                Err(Some(error)) => return wrong(error),
            }
        }
        _ => PrivatePkcs8KeyDer::from(der).into(),
    })
}

fn find<'t>(pem: &'t Pem<'_>) -> Result<Section<'t>, KeyError> {
    const KEYS: [Label; 4] = [Label::PrivateKey, Label::EncryptedPrivateKey, Label::RsaPrivateKey, Label::EcPrivateKey];
    let sections = super::pem::sections(pem.bytes).map_err(KeyError::Pem)?;
    let found = sections.iter().find(|section| KEYS.contains(&section.label));
    found.copied().ok_or(KeyError::NoKey(sections[0].label))
}

/// Decrypts a key. Fails with `None` if the password is wrong.
fn decrypt(der: &[u8], password: &str) -> Result<PrivatePkcs8KeyDer<'static>, Option<KeyError>> {
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| match error {
        pkcs8::Error::Asn1(error) if matches!(error.kind(), ErrorKind::OidUnknown { .. }) => {
            KeyError::UnsupportedEncryption
        }
        _ => KeyError::Damaged,
    })?;
    match encrypted.decrypt(password) {
        Ok(key) => Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec())),
        // A wrong password may pass the check of the padding; then the plaintext is not a key.
        Err(pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed) | pkcs8::Error::Asn1(_)) => Err(None),
        Err(_) => Err(Some(KeyError::UnsupportedEncryption)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::KEY_PEM;

    /// A key that is used nowhere else. Made by OpenSSL 3.0.19: `openssl genpkey -algorithm EC -pkeyopt
    /// ec_paramgen_curve:P-256`.
    const PLAIN: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgm+n+n43Jz3HUzP8L
1nZfP7ryoQxyX/E3/VgXuAzpSkahRANCAASkIEmUo6IWmlK9ECmEOW7MxT9nLa12
Pw8OpDOrUUY/gE9q+UGLDx2TwJtQrR8k3ivAJTL3yZnm6uJ2VMq8aX2E
-----END PRIVATE KEY-----
";
    /// By `openssl pkcs8 -topk8 -v2 aes-256-cbc`: PBES2, with PBKDF2 by HMAC-SHA-256.
    const PBKDF2: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAh0SCUDVe2augICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEE/K2kl9uzOZjgrLuPyfVqAEgZCX
QimB2A0xEumfrI+FuIIbMJdlBM+kOEbp1eS6iOCEwyS8ICeJcCtIauWnJqfKu6gQ
d1Z9YzCwZ2atGQF/p6mYFAzwNSQd3jQvTgpCCblFqcqtZ+VoTsNJrpVdscyT5OVo
yQvsqe0O70ijkhQEv4Fhw1rAiN9RHHzygqqKGTEjn5BUQRnwcy/z2CAjFZXHpLA=
-----END ENCRYPTED PRIVATE KEY-----
";
    /// By `openssl pkcs8 -topk8 -scrypt -scrypt_N 16`: less work than it has by default.
    const SCRYPT: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHjME4GCSqGSIb3DQEFDTBBMCAGCSsGAQQB2kcECzATBAgobmp0VvaHTgIBEAIB
CAIBATAdBglghkgBZQMEASoEEJEkIqpRjMGJilFc5EgFB9kEgZBiXwDeqJtG6TWK
xdiIw68VwNnSE7JhODkYWa4Oh5LnUY3MmtGT9fqaaxaNGC4JKwKfhH/gGkrtowuL
QNBOm/Dh2noWITWPLaJA85lLJtvXOnn5rNJ9Id7yMU51ySRkwUqgeJFTVSs3WzTZ
QF1/FAHFE6kYfrdEQNV+DG7SUiLElCpm4HydeIivD5hsMfda9Bw=
-----END ENCRYPTED PRIVATE KEY-----
";
    /// By `openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES`: PKCS#12, which is not supported.
    const OLD: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGxMBwGCiqGSIb3DQEMAQMwDgQIB8hzKmsQB0cCAggABIGQYGBh3sRdt5TEdl+z
vzykLoFhD/JseqWMBedEzDgVHLJpVazxgE2hzDSGK3TV7qVQ9jvTiD98XNR3KA4B
l/FyFQVgg7abBklbJSRvN/hbmyg0LWGyDqvoSaMG4pxOJZFHnxBbmEPEUQC5oDeE
fv5MCIrwESxhI6RNOg4jVpm3CswoM1CsL1xM+mKOFsZ0XPuz
-----END ENCRYPTED PRIVATE KEY-----
";
    const PASSWORD: &str = "open sesame";

    fn read_key(text: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, ConfigError> {
        let setting = Setting { name: KEY_PEM, found: text };
        let password = password.map(|found| Setting { name: KEY_PASSWORD, found });
        read(&Pem { setting, bytes: text.as_bytes() }, password)
    }

    #[track_caller]
    fn wrong(text: &str, password: Option<&str>) -> String {
        let error = read_key(text, password).unwrap_err().to_string();
        assert!(!password.is_some_and(|password| error.contains(password)), "{error}");
        error
    }

    #[test]
    fn an_encrypted_key_is_the_same_as_a_plain_one() {
        let plain = read_key(PLAIN, None).unwrap();
        assert_eq!(read_key(PLAIN, Some(PASSWORD)).unwrap(), plain, "a password that is not needed");
        for text in [PBKDF2, SCRYPT] {
            assert_eq!(read_key(text, Some(PASSWORD)).unwrap(), plain);
            let among_others = format!("Bag Attributes\r\n{}\r\nmore\r\n", text.replace('\n', "\r\n"));
            assert_eq!(read_key(&among_others, Some(PASSWORD)).unwrap(), plain);
        }
    }

    #[test]
    fn a_wrong_or_missing_password_is_reported() {
        for text in [PBKDF2, SCRYPT] {
            let message = wrong(text, None);
            assert!(message.starts_with("ssl.key.pem") && message.contains("set ssl.key.password too"), "{message}");
            for password in ["open sesam", "", "Open sesame"] {
                let message = read_key(text, Some(password)).unwrap_err().to_string();
                let expected = "ssl.key.password = \"(not shown)\": this is not the password of the key in ssl.key.pem";
                assert_eq!(message, expected);
            }
        }
    }

    #[test]
    fn errors_of_unreadable_keys_have_a_remedy() {
        let garbled = PBKDF2.replace("MIHs", "MIHt");
        let cut = PBKDF2.replace("yQvsqe0O70ijkhQEv4Fhw1rAiN9RHHzygqqKGTEjn5BUQRnwcy/z2CAjFZXHpLA=\n", "");
        for text in [OLD, &garbled, &cut] {
            let message = wrong(text, Some(PASSWORD));
            assert!(
                message.starts_with("ssl.key.pem = \"(not shown)\": the encrypted private key cannot be read"),
                "{message}"
            );
            assert!(message.contains("openssl pkcs8 -topk8"), "{message}");
        }
        let header = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n";
        let (begin, end) = ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----");
        for text in ["", end, begin, &PLAIN.replace("KEY-----\n", &format!("KEY-----\n{header}"))] {
            let message = wrong(text, Some(PASSWORD));
            assert!(message.contains("no private key found") && message.contains("openssl pkcs8 -topk8"), "{message}");
        }
    }
}
