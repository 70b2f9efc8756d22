use super::*;
use crate::machine::SaslMechanism;
use crate::machine::backoff::Seed;

/// The example of RFC 7677: the messages, in order.
const RFC_7677: [&str; 4] = [
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
];

/// The same with SHA-512, for which no RFC has an example; made with Python's `hashlib`.
const SHA_512: [&str; 4] = [
    RFC_7677[0],
    RFC_7677[1],
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
     p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
    "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
];

/// With characters that must be escaped in a user name only; also made with `hashlib`.
const SIGNS: [&str; 4] = [
    "n,,n=a=3Db=2Cc,r=nonce",
    "r=nonce+,s=AAECAwQFBgcICQoLDA0ODw==,i=16384",
    "c=biws,r=nonce+,p=SX2bpmB1oMKJY2FblkGmUR15quw3wyk7oVR74bGfAaWP1w5OI0PifqIqk5UNqe1ojXmSgJJocCQnL95qI5HMbg==",
    "v=I9C76C/8+0wVn8Er/RfKqQfgkbMsWpF3rIdLZGPbJce7n2i3sAgBt0Xmqddud68ZKk/GcCm9pwUqB8wBt9i3ow==",
];

fn exchange(hash: ScramHash, username: &str, password: &str, nonce: &str, messages: [&str; 4]) {
    let (first, state) = AwaitsSalt::begin(hash, username, nonce.to_string());
    assert_eq!(str::from_utf8(&first), Ok(messages[0]));
    let (last, state) = state.on_token(password, messages[1].as_bytes()).unwrap();
    assert_eq!(str::from_utf8(&last), Ok(messages[2]));
    assert_eq!(state.on_token(messages[3].as_bytes()), Ok(()));
}

#[test]
fn exchanges_match_the_test_vectors() {
    exchange(ScramHash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO", RFC_7677);
    exchange(ScramHash::Sha512, "user", "pencil", "rOprNGfwEbeRWgbNEkqO", SHA_512);
    exchange(ScramHash::Sha512, "a=b,c", "p, =~", "nonce", SIGNS);
}

fn on_challenge(challenge: &[u8]) -> Result<String, ScramError> {
    let (_, state) = AwaitsSalt::begin(ScramHash::Sha256, "user", "rOprNGfwEbeRWgbNEkqO".to_string());
    state.on_token("pencil", challenge).map(|(last, _)| String::from_utf8(last).unwrap())
}

#[test]
fn optional_extensions_are_ignored() {
    let more = format!("{},x=y,z", RFC_7677[1]);
    assert!(on_challenge(more.as_bytes()).unwrap().starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)"));
}

#[test]
fn a_hostile_challenge_is_refused_before_anything_is_hashed() {
    use ScramError::{Iterations, Malformed, NonceMismatch, Refused, TooLong};
    let good = RFC_7677[1];
    let cases: [(String, ScramError); 19] = [
        (String::new(), Malformed("a nonce must come first")),
        ("e=unknown-user".into(), Refused("unknown-user".into())),
        ("e=".into(), Refused(String::new())),
        (format!("m=ext,{good}"), Malformed("a nonce must come first")),
        (good.replace(",s=", ",t="), Malformed("a salt must come second")),
        (good.replace("s=W22ZaJ0SNY7soEsUEjb6gQ==,", ""), Malformed("a salt must come second")),
        (good.replace("gQ==", "gQ="), Malformed("the salt is not base64")),
        (good.replace("W22Z", "W22*"), Malformed("the salt is not base64")),
        (good.replace("W22ZaJ0SNY7soEsUEjb6gQ==", ""), Malformed("the salt is empty")),
        (good.replace(",i=4096", ""), Malformed("a number of iterations must come third")),
        (good.replace("4096", ""), Malformed("the number of iterations is not a decimal number")),
        (good.replace("4096", "+4096"), Malformed("the number of iterations is not a decimal number")),
        (good.replace("4096", "-1"), Malformed("the number of iterations is not a decimal number")),
        (good.replace("4096", "4095"), Iterations(4_095)),
        (good.replace("4096", "131073"), Iterations(131_073)),
        (good.replace("4096", "99999999999999999999999"), Iterations(u64::MAX)),
        (good.replace("rOpr", "sOpr"), NonceMismatch),
        (good.replace("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""), NonceMismatch),
        (format!("{good},x={}", "y".repeat(5_000)), TooLong(good.len() + 5_003)),
    ];
    for (challenge, expected) in cases {
        assert_eq!(on_challenge(challenge.as_bytes()), Err(expected), "{challenge}");
    }
    assert_eq!(on_challenge(b"r=\xff"), Err(Malformed("it is not UTF-8")));
}

#[test]
fn a_hostile_signature_is_refused() {
    use ScramError::{Malformed, Refused, TooLong, WrongSignature};
    let cases: [(String, ScramError); 8] = [
        (String::new(), Malformed("a signature must come first")),
        ("e=invalid-proof".into(), Refused("invalid-proof".into())),
        ("v=".into(), WrongSignature),
        ("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4".into(), Malformed("the signature is not base64")),
        (RFC_7677[3].replace("6rri", "6rrj"), WrongSignature),
        (SHA_512[3].into(), WrongSignature),
        ("v=6rri".into(), WrongSignature), // a prefix of the right one
        (format!("v={}", "A".repeat(5_000)), TooLong(5_002)),
    ];
    for (signature, expected) in cases {
        let (_, state) = AwaitsSalt::begin(ScramHash::Sha256, "user", "rOprNGfwEbeRWgbNEkqO".to_string());
        let (_, state) = state.on_token("pencil", RFC_7677[1].as_bytes()).unwrap();
        assert_eq!(state.on_token(signature.as_bytes()), Err(expected), "{signature}");
    }
}

#[test]
fn a_nonce_is_unique_to_its_seed_and_connection() {
    let nonce = |seed, connection| ConnectionRng { seed: Seed(seed), connection, authentications: 0 }.nonce();
    assert_eq!(nonce(1, 2), nonce(1, 2));
    assert_eq!(nonce(1, 2).len(), 24);
    assert!(nonce(1, 2).bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b','));
    assert!(nonce(1, 2) != nonce(2, 1) && nonce(1, 2) != nonce(1, 3) && nonce(1, 2) != nonce(2, 2));
}

/// A broker with one user.
pub(in crate::machine) struct Server {
    mechanism: SaslMechanism,
    username: &'static str,
    password: &'static str,
    signed: String,
}

impl Server {
    const SALT: &[u8] = b"salt";
    const ITERATIONS: u32 = 4_096;

    pub(in crate::machine) fn new(mechanism: SaslMechanism, username: &'static str, password: &'static str) -> Self {
        Self { mechanism, username, password, signed: String::new() }
    }

    /// Returns the response to a first message.
    pub(in crate::machine) fn on_first(mut self, message: &str) -> (Self, String) {
        let first = message.strip_prefix("n,,").unwrap();
        let nonce = first.strip_prefix(&format!("n={},r=", self.username)).unwrap();
        let challenge = format!("r={nonce}more,s={},i={}", BASE64.encode(Self::SALT), Self::ITERATIONS);
        self.signed = format!("{first},{challenge},c=biws,r={nonce}more");
        (self, challenge)
    }

    /// Returns the response to a last message, if that proves the password.
    pub(in crate::machine) fn on_last(&self, message: &str) -> Option<String> {
        let (_, proof) = message.split_once(",p=").unwrap();
        (BASE64.decode(proof).unwrap() == self.prove().0).then(|| self.signature())
    }

    pub(in crate::machine) fn signature(&self) -> String {
        format!("v={}", BASE64.encode(self.prove().1))
    }

    fn prove(&self) -> (Vec<u8>, Vec<u8>) {
        let prove = match self.mechanism {
            SaslMechanism::ScramSha512 => prove::<Sha512>,
            _ => prove::<Sha256>,
        };
        prove(self.password.as_bytes(), Self::SALT, Self::ITERATIONS, self.signed.as_bytes())
    }
}
