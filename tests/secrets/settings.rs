//! Secrets in settings.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use kafka_batch::{AsyncStdProducer, RdkafkaProducer, SmolProducer, TokioProducer};
use proptest::prelude::*;

use crate::keys::{Identity, body, damaged_forms, pem};
use crate::log;
use crate::needles::Needles;

type Setting<'s> = (&'s str, &'s str);

/// A file that is removed when it is dropped.
struct File(PathBuf);

impl File {
    fn new(bytes: &[u8]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("secrets-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Creates a producer with these settings, and searches its `Debug` text, its errors and the log.
macro_rules! check_one {
    ($producer:ident, $needles:ident, $settings:ident) => {{
        let names: Vec<&str> = $settings.iter().map(|(name, _)| *name).filter(|name| name.len() < 60).collect();
        let context = format!("{} with {names:?}", stringify!($producer));
        let mark = log::mark();
        let builder = $producer::builder().seed(0x5ec3_e75e_ed5e_c2e7);
        let builder = $settings.iter().fold(builder, |builder, (name, value)| builder.set(*name, *value));
        $needles.are_not_in_debug_of(&builder, &context);
        match builder.build_with_task() {
            Ok((producer, _)) => $needles.are_not_in_debug_of(&producer, &context),
            Err(error) => $needles.are_not_in_error(&error, &context),
        }
        $needles.are_not_in_log_of_this_thread(mark, &context);
    }};
}

/// Checks each transport over the machine.
#[track_caller]
fn check_each(needles: &Needles, settings: &[Setting<'_>]) {
    check_one!(TokioProducer, needles, settings);
    check_one!(AsyncStdProducer, needles, settings);
    check_one!(SmolProducer, needles, settings);
}

/// Checks one of them, where there are many cases: all of them parse settings with the same code.
#[track_caller]
fn check_tokio(needles: &Needles, settings: &[Setting<'_>]) {
    check_one!(TokioProducer, needles, settings);
}

/// Checks the transport over librdkafka, some of whose settings have other names.
#[track_caller]
fn check_librdkafka(needles: &Needles, settings: &[Setting<'_>]) {
    let names: Vec<&str> = settings.iter().map(|(name, _)| *name).filter(|name| name.len() < 60).collect();
    let context = format!("over librdkafka, with {names:?}");
    let mark = log::mark();
    let builder = settings.iter().fold(RdkafkaProducer::builder(), |builder, (name, value)| builder.set(*name, *value));
    needles.are_not_in_debug_of(&builder, &context);
    match builder.build() {
        Ok(producer) => needles.are_not_in_debug_of(&producer, &context),
        Err(error) => needles.are_not_in_error(&error, &context),
    }
    needles.are_not_in_log_of_this_thread(mark, &context);
}

const SERVER: Setting<'_> = ("bootstrap.servers", "localhost:1");

/// A secret that a person may choose: printable, or any characters. It is not shrunk, because simple texts are found by chance.
fn password() -> impl Strategy<Value = String> {
    prop_oneof![Just("[!-~]{12,40}"), Just("[a-z0-9]{8,16}"), Just("\\PC{12,40}")]
        .prop_flat_map(|pattern| prop::string::string_regex(pattern).unwrap())
        .no_shrink()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_contains_a_key_however_it_is_damaged_and_wherever_it_is_set(at in any::<usize>()) {
        let (client, other) = (Identity::new(), Identity::new());
        let texts = [("PRIVATE KEY", client.der.clone()), ("ENCRYPTED PRIVATE KEY", client.encrypted("open sesame"))];
        for (label, der) in texts {
            let text = pem(label, &der);
            // The text itself, and the key in it, which may be written in other forms.
            let needles = Needles::of([body(&text).as_bytes(), &der, &client.der]);
            for damaged_text in damaged_forms(&text, at) {
                let tls = [SERVER, ("security.protocol", "ssl")];
                let (certificate, ca) = (("ssl.certificate.pem", &*client.certificate), ("ssl.ca.pem", &*other.certificate));
                let file = File::new(damaged_text.as_bytes());
                for (in_text, in_file) in [
                    ("ssl.key.pem", "ssl.key.location"),
                    ("ssl.certificate.pem", "ssl.certificate.location"),
                    ("ssl.ca.pem", "ssl.ca.location"),
                ] {
                    // As it should be, as a text where a file's name belongs, and in a file.
                    for slot in [(in_text, damaged_text.as_str()), (in_file, &damaged_text), (in_file, file.path())] {
                        let others = match in_text {
                            "ssl.key.pem" => vec![certificate, ca],
                            "ssl.certificate.pem" => vec![("ssl.key.pem", text.as_str()), ca],
                            _ => vec![],
                        };
                        check_tokio(&needles, &[&tls[..], &others, &[slot]].concat());
                        check_tokio(&needles, &[&tls[..], &others, &[slot, ("ssl.key.password", "open sesame")]].concat());
                        check_librdkafka(&needles, &[&tls[..], &others, &[slot]].concat());
                    }
                }
                for misplaced in ["ssl.key", "ssl.keystore.key", "sasl.password", "client.id", "bootstrap.servers", "acks"] {
                    check_tokio(&needles, &[SERVER, (misplaced, &damaged_text)]);
                    check_librdkafka(&needles, &[SERVER, (misplaced, &damaged_text)]);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_contains_a_key_of_a_file_that_is_not_text(at in any::<usize>()) {
        let client = Identity::new();
        let needles = Needles::of([&client.der]);
        let encrypted = client.encrypted("open sesame");
        let text = client.pem().into_bytes();
        let mut latin_1 = text.clone();
        latin_1.insert(at % text.len(), 0xe9);
        let utf16: Vec<u8> = client.pem().encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [client.der.clone(), encrypted, latin_1, utf16] {
            let file = File::new(&bytes);
            for setting in ["ssl.key.location", "ssl.certificate.location", "ssl.ca.location"] {
                let settings = [SERVER, ("security.protocol", "ssl"), (setting, file.path())];
                let client = [("ssl.ca.pem", &*client.certificate), ("ssl.certificate.pem", &*client.certificate)];
                check_tokio(&needles, &settings);
                check_tokio(&needles, &[&settings[..], &client].concat());
                check_librdkafka(&needles, &settings);
            }
        }
    }

    #[test]
    fn no_text_contains_the_password_of_a_key_or_the_decrypted_key(
        right in password(), wrong in password(), at in any::<prop::sample::Index>()
    ) {
        let client = Identity::new();
        let encrypted = client.encrypted(&right);
        let needles = Needles::of([right.as_bytes(), wrong.as_bytes(), &client.der, &encrypted]);
        let mut damaged = encrypted.clone();
        damaged[at.index(encrypted.len())] ^= 0x15;
        let mut unsupported = encrypted.clone();
        // The last byte of AES-256-CBC's object identifier, changed to one that is not assigned.
        let number = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2a];
        let aes = unsupported.windows(9).position(|window| window == number).unwrap();
        unsupported[aes + 8] = 0x3f;
        // Another number of iterations could make decryption take years.
        let iterations = encrypted.windows(3).position(|window| window == [2, 1, 10]).unwrap();
        damaged[iterations..iterations + 3].copy_from_slice(&[2, 1, 10]);
        for der in [&encrypted, &damaged, &unsupported, &encrypted[..encrypted.len() / 2].to_vec()] {
            let key = pem("ENCRYPTED PRIVATE KEY", der);
            let identity = [
                SERVER,
                ("security.protocol", "ssl"),
                ("ssl.ca.pem", &client.certificate),
                ("ssl.certificate.pem", &client.certificate),
                ("ssl.key.pem", &key),
            ];
            check_each(&needles, &identity);
            for password in [&*right, &wrong, "", &right[..right.char_indices().nth(5).unwrap().0]] {
                check_each(&needles, &[&identity[..], &[("ssl.key.password", password)]].concat());
                check_librdkafka(&needles, &[&identity[..], &[("ssl.key.password", password)]].concat());
            }
        }
        check_each(&needles, &[SERVER, ("ssl.key.password", &right)]);
        let tls = [SERVER, ("security.protocol", "ssl"), ("ssl.ca.pem", &client.certificate)];
        check_each(&needles, &[&tls[..], &[("ssl.key.password", &right)]].concat());
    }

    #[test]
    fn no_text_contains_a_password_or_token(secret in password()) {
        let needles = Needles::of([&secret]);
        let jaas = format!("org.example.PlainLoginModule required username=\"u\" password=\"{secret}\";");
        let odd = [format!("{secret}\0"), format!("{secret}ü\u{1}"), format!("{secret}\n")];
        let servers = ["bob:SECRET@localhost:9092", "a:1,kafka+ssl://bob:SECRET@b", "SECRET@b:x", "bob:SECRET,SECRET@b"];
        let servers = servers.map(|servers| servers.replace("SECRET", &secret));
        let name = format!("sasl.password={secret}");
        let properties = format!("sasl.password: {secret}");
        let sasl = [SERVER, ("security.protocol", "sasl_plaintext"), ("sasl.username", "bob")];
        let mut cases: Vec<Vec<Setting<'_>>> = vec![
            vec![SERVER, ("sasl.password", &secret)],
            vec![SERVER, (&name, "")],
            vec![SERVER, (&properties, "x")],
            vec![SERVER, (&secret, "sasl.password")],
            sasl.iter().copied().chain([("sasl.mechanism", "GSSAPI"), ("sasl.password", &secret)]).collect(),
            sasl.iter().copied().chain([("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.password", &secret)]).collect(),
            sasl.iter().copied().chain([("sasl.password", &*secret), ("acks", "7")]).collect(),
            vec![SERVER, ("security.protocol", "sasl_plaintext"), ("sasl.password", &secret)],
            vec![SERVER, ("security.protocol", "sasl_plaintext"), ("sasl.username", ""), ("sasl.password", &secret)],
        ];
        for odd in &odd {
            for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
                cases.push(sasl.iter().copied().chain([("sasl.mechanism", mechanism), ("sasl.password", odd)]).collect());
            }
        }
        cases.extend(servers.iter().map(|servers| vec![("bootstrap.servers", servers.as_str())]));
        for setting in [
            "sasl.passwrd", "sasl.Password", "password", "ssl.keystore.password", "ssl.truststore.password", "ssl.key.passwort",
            "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config", "sasl.oauthbearer.token", "ssl.keystore.key",
            "sasl.oauthbearer.assertion.private.key.passphrase", "",
        ] {
            cases.push(vec![SERVER, (setting, &secret)]);
            cases.push(sasl.iter().copied().chain([("sasl.password", "x"), (setting, &*secret)]).collect());
        }
        cases.push(vec![SERVER, ("sasl.jaas.config", &jaas)]);
        for case in cases {
            check_each(&needles, &case);
            check_librdkafka(&needles, &case);
        }
    }
}

/// SCRAM nonces are derived from the seed, so it must stay secret.
#[test]
fn no_debug_text_contains_the_seed() {
    const SEED: u64 = 0x1234_5678_9abc_def1;
    let builder = TokioProducer::builder().set("bootstrap.servers", "localhost:1").seed(SEED);
    let machine = kafka_batch::machine::Machine::new(
        kafka_batch::machine::MachineConfig::new([("localhost", 1)]),
        kafka_batch::machine::Clock {
            now: kafka_batch::machine::Instant::START,
            wall: kafka_batch::Timestamp::from_millis(0),
        },
        SEED,
    );
    for text in [format!("{builder:?}"), format!("{machine:?}")] {
        assert!(!text.contains(&SEED.to_string()) && !text.contains("Random(1"), "{text}");
    }
}
