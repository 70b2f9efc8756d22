use proptest::prelude::*;

use super::*;

/// A certificate and a key that are used only for their syntax.
const CERTIFICATE: &str = include_str!("../tests/certificates/copied.pem");
const KEY: &str = include_str!("../tests/certificates/copied.key");

fn decoded(text: &[u8]) -> Result<Vec<(Label, Vec<u8>)>, PemError> {
    sections(text)?.into_iter().map(|section| Ok((section.label, section.decode()?))).collect()
}

/// A text with its line ends replaced.
fn with(text: &str, line_end: &str) -> String {
    text.replace('\n', line_end)
}

#[test]
fn all_variants_of_a_text_are_read_the_same() {
    let both = format!("{KEY}{CERTIFICATE}");
    let expected = decoded(both.as_bytes()).unwrap();
    assert_eq!(expected.iter().map(|(label, _)| *label).collect::<Vec<_>>(), [Label::PrivateKey, Label::Certificate]);
    let indented: String = both.lines().map(|line| format!("    {line}  \n")).collect();
    let tabbed: String = both.lines().map(|line| format!("\t{line}\n\n")).collect();
    let continued: String = both.lines().map(|line| format!("{line}\\\n")).collect();
    let texts = [
        both.clone(),
        with(&both, "\r\n"),
        with(&both, "\r"),
        with(&both, "\\n"),
        with(&both, "\\r\\n"),
        with(&both, "\\\\n"),
        with(&both, "\\n\n"),
        with(&both, " "),
        with(&both, "  "),
        with(&both, ""),
        both.replace([' ', '\n'], ""),
        both.replace('/', "\\/"),
        indented,
        tabbed,
        continued,
        format!(" \r\n\t{both}\n\n  "),
        format!("\u{feff}{both}"),
        format!("\"{}\"", with(&both, "\\n")),
        format!("Bag Attributes\n  friendlyName: us\nKey Attributes: <No Attributes>\n{both}subject=CN = broker\n"),
    ];
    for text in texts {
        assert_eq!(decoded(text.as_bytes()).as_ref(), Ok(&expected), "{text}");
    }
    let latin_1 = [b"friendlyName: caf\xe9\n", both.as_bytes()].concat();
    assert_eq!(decoded(&latin_1), Ok(expected));
}

#[test]
fn texts_that_are_not_pem_have_specific_errors() {
    let lines = KEY.lines().collect::<Vec<_>>();
    let utf16: Vec<u8> = "\u{feff}-----BEGIN".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&[u8], PemError); 22] = [
        (b"", PemError::Empty),
        (b" \r\n\t", PemError::Empty),
        (b"hunter2", PemError::NoLabels),
        (b"key.pem", PemError::NoLabels),
        (lines[1].as_bytes(), PemError::NoLabels),
        (&[0x30, 0x82, 1, 2], PemError::Binary),
        (&[0x30, 0x81, 0x87, 2, 1, 0], PemError::Binary),
        (b"\xfe\xed\xfe\xed\0\0\0\x02", PemError::Jks),
        (include_bytes!("../tests/keys/keystore.p12"), PemError::Pkcs12),
        (&[0x30, 0x80, 2, 1, 3, 0x30, 0x80], PemError::Pkcs12),
        (&[0x30, 0x84, 2, 1], PemError::Binary),
        (&utf16, PemError::Utf16),
        (lines[0].as_bytes(), PemError::NoEnd(Label::PrivateKey)),
        (&KEY.as_bytes()[..100], PemError::NoEnd(Label::PrivateKey)),
        (lines[2].as_bytes(), PemError::NoLabels),
        (lines[lines.len() - 1].as_bytes(), PemError::BrokenLabel),
        (b"-----BEGIN PRIVATE KEY", PemError::BrokenLabel),
        (b"-----BEGIN PRIVATE KEY-----AAAA-----END PRIVATE KEY", PemError::BrokenLabel),
        (
            b"-----BEGIN PRIVATE KEY-----AAAA-----END EC PRIVATE KEY-----",
            PemError::OtherEnd(Label::PrivateKey, Label::EcPrivateKey),
        ),
        (b"-----BEGIN PRIVATE KEY-----A-----END PRIVATE KEY-----", PemError::NotBase64(Label::PrivateKey)),
        (b"-----BEGIN PRIVATE KEY-----A*==-----END PRIVATE KEY-----", PemError::NotBase64(Label::PrivateKey)),
        (b"-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----", PemError::NotBase64(Label::PrivateKey)),
    ];
    for (text, expected) in cases {
        assert_eq!(decoded(text), Err(expected), "{}", text.escape_ascii());
    }
    let header = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n";
    let old = format!("-----BEGIN RSA PRIVATE KEY-----\n{header}AAAA\n-----END RSA PRIVATE KEY-----\n");
    for text in [old.clone(), with(&old, "\\n"), with(&old, " ")] {
        assert_eq!(decoded(text.as_bytes()), Err(PemError::OldEncryption(Label::RsaPrivateKey)));
    }
}

#[test]
fn an_unused_section_may_be_invalid() {
    let text = format!("-----BEGIN DH PARAMETERS-----***-----END DH PARAMETERS-----{KEY}");
    let sections = sections(text.as_bytes()).unwrap();
    assert_eq!(sections[0].label, Label::Other("DH PARAMETERS"));
    assert!(sections[1].decode().is_ok());
}

#[test]
fn each_label_has_its_name() {
    for (name, label) in Label::ALL {
        assert_eq!(Label::find(name.as_bytes()), label);
        assert!(label.name() == name || name == "X509 CERTIFICATE", "{name}");
    }
    assert_eq!(Label::find(b"hunter2").name(), "(unknown)");
}

proptest! {
    /// No text causes a panic, or an error with anything of the text but known labels.
    #[test]
    fn an_error_contains_nothing_of_the_text(mut text in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), label in 0..7_usize) {
        let piece = ["-----BEGIN ", "-----END ", "-----", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "\\", "\\n"][label];
        let at = at.index(text.len() + 1);
        text.splice(at..at, piece.bytes());
        if let Err(error) = decoded(&text) {
            let is_known = |label: Label| Label::ALL.iter().any(|(_, known)| *known == label) || label == Label::Unknown;
            let is_of_labels = match error {
                PemError::NoEnd(label) | PemError::NotBase64(label) | PemError::OldEncryption(label) => is_known(label),
                PemError::OtherEnd(one, other) => is_known(one) && is_known(other),
                _ => true,
            };
            prop_assert!(is_of_labels);
        }
    }

    /// White space of any kind, anywhere between the labels.
    #[test]
    fn white_space_between_the_labels_is_ignored(
        pieces in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![" ", "\n", "\r\n", "\t", "\\n", "\\r\\n", "\\"])), 0..20)
    ) {
        let body: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
        let mut broken = body.clone();
        for (at, piece) in pieces {
            let at = at.index(broken.len() + 1);
            // A backslash must not be separated from the character after it.
            if at == 0 || broken.as_bytes()[at - 1] != b'\\' && !(piece == "\\" && broken[at..].starts_with(['n', 'r', 't'])) {
                broken.insert_str(at, piece);
            }
        }
        let text = |body: &str| format!("-----BEGIN PRIVATE KEY-----{body}-----END PRIVATE KEY-----");
        prop_assert_eq!(decoded(text(&broken).as_bytes()), decoded(text(&body).as_bytes()));
    }
}
