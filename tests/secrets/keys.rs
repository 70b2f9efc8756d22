//! Private keys, and the damaged forms in which their text may reach a setting.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kafka_batch_certificates::Identity as Pem;

/// A key that is used nowhere else, and its certificate.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    /// The key in PKCS#8.
    pub(crate) der: Vec<u8>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let Pem { certificate, key } = Pem::self_signed("client");
        Self { certificate, der: decode(&key) }
    }

    /// Returns the part of the key that the certificate does not contain: 32 bytes (SEC 1, within PKCS#8).
    pub(crate) fn private(&self) -> &[u8] {
        let begin = self.der.windows(5).position(|window| window == [2, 1, 1, 4, 32]).unwrap() + 5;
        &self.der[begin..begin + 32]
    }

    pub(crate) fn pem(&self) -> String {
        pem("PRIVATE KEY", &self.der)
    }

    /// Returns the key, encrypted with this password.
    pub(crate) fn encrypted(&self, password: &str) -> Vec<u8> {
        decode(&Pem { certificate: String::new(), key: self.pem() }.encrypted_key(password))
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let lines = STANDARD.encode(der);
    let lines = lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap());
    let lines: Vec<&str> = lines.collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn decode(pem: &str) -> Vec<u8> {
    STANDARD.decode(body(pem)).unwrap()
}

/// Returns the base64 of a PEM text.
pub(crate) fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

/// Returns the text as it may be damaged before it reaches a setting. `at` is any position.
pub(crate) fn damaged_forms(pem: &str, at: usize) -> Vec<String> {
    let with = |line_end: &str| pem.replace('\n', line_end);
    let lines: Vec<&str> = pem.lines().collect();
    let (begin, end) = (lines[0], lines[lines.len() - 1]);
    let middle = lines[1..lines.len() - 1].join("\n");
    let at = at % pem.len();
    let label = begin.trim_matches('-').trim_start_matches("BEGIN ");
    let with_label = |label: &str| format!("-----BEGIN {label}-----\n{middle}\n-----END {label}-----\n");
    let mut texts = vec![
        pem.to_owned(),
        with("\r\n"),
        with("\\n"),
        with("\\r\\n"),
        with("\\\\n"),
        with("/n"),
        with("\\"),
        with("%0A"),
        with(" "),
        with(""),
        with("\t"),
        with("\u{a0}"),
        pem.replace([' ', '\n'], ""),
        format!("  {}", pem.replace('\n', "\n  ")),
        format!("\"{}\"", with("\\n")),
        format!("{pem}{pem}"),
        String::new(),
        " \n".to_owned(),
        middle.clone(),
        middle.replace('\n', ""),
        format!("{begin}\n{middle}"),
        format!("{begin}{middle}"),
        format!("{middle}\n{end}"),
        format!("{middle}{end}"),
        format!("{}\n{middle}\n{end}", &begin[..begin.len() - 5]),
        format!("{}{}{end}", &begin[..begin.len() - 5], middle.replace('\n', "")),
        format!("{}\n{middle}\n{end}", &begin[1..]),
        format!("{begin}\n{middle}\n{}", &end[..end.len() - 5]),
        format!("{begin}\n{middle}\n-----END SOMETHING ELSE-----\n"),
        format!("{begin}\n{middle}\n-----END {}-----\n", middle.replace('\n', "")),
        format!("-----BEGIN {}-----\n{middle}\n{end}", middle.replace('\n', "")),
        format!("{begin}\n{begin}\n{middle}\n{end}"),
        format!("{begin}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n{middle}\n{end}"),
        format!("{begin}\nComment: {middle}\n\n{middle}\n{end}"),
        pem.to_lowercase(),
        pem.chars().rev().collect(),
        pem[..at].to_owned(),
        pem[at..].to_owned(),
        format!("{}*{}", &pem[..at], &pem[at..]),
        format!("{}\0{}", &pem[..at], &pem[at..]),
        format!("{}ü{}", &pem[..at], &pem[at..]),
        format!("{}={}", &pem[..at], &pem[at..]),
        String::from_utf8_lossy(&STANDARD.decode(middle.replace('\n', "")).unwrap()).into_owned(),
    ];
    for other in ["CERTIFICATE", "RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "X", ""] {
        if other != label {
            texts.push(with_label(other));
            texts.push(with_label(other).replace('\n', "\\n"));
        }
    }
    texts
}
