//! A tolerant PEM parser: for files, for single lines in JSON documents or environment variables, indented text, and any line
//! ends.
//!
//! The text between the labels is base64, so white space in it is ignored, and so are backslashes: an escaped `\n`, as in
//! JSON, is a line end. The text outside of the labels is ignored, as in OpenSSL.
//!
//! Errors contain known labels and nothing else of the text, since it may be a private key, whatever setting it is in.

use futures_rustls::pki_types::pem::{PemObject, SectionKind};

/// The label of a section of a PEM text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Certificate,
    /// PKCS#8.
    PrivateKey,
    /// PKCS#8, encrypted.
    EncryptedPrivateKey,
    /// PKCS#1.
    RsaPrivateKey,
    /// SEC 1.
    EcPrivateKey,
    /// A known label whose contents are not used.
    Other(&'static str),
    /// A label that is not in the list.
    Unknown,
}

impl Label {
    /// All known labels.
    const ALL: [(&'static str, Self); 17] = [
        ("CERTIFICATE", Self::Certificate),
        ("X509 CERTIFICATE", Self::Certificate), // OpenSSL's old name for it
        ("PRIVATE KEY", Self::PrivateKey),
        ("ENCRYPTED PRIVATE KEY", Self::EncryptedPrivateKey),
        ("RSA PRIVATE KEY", Self::RsaPrivateKey),
        ("EC PRIVATE KEY", Self::EcPrivateKey),
        ("TRUSTED CERTIFICATE", Self::Other("TRUSTED CERTIFICATE")),
        ("CERTIFICATE REQUEST", Self::Other("CERTIFICATE REQUEST")),
        ("NEW CERTIFICATE REQUEST", Self::Other("NEW CERTIFICATE REQUEST")),
        ("OPENSSH PRIVATE KEY", Self::Other("OPENSSH PRIVATE KEY")),
        ("DSA PRIVATE KEY", Self::Other("DSA PRIVATE KEY")),
        ("PUBLIC KEY", Self::Other("PUBLIC KEY")),
        ("RSA PUBLIC KEY", Self::Other("RSA PUBLIC KEY")),
        ("EC PARAMETERS", Self::Other("EC PARAMETERS")),
        ("DH PARAMETERS", Self::Other("DH PARAMETERS")),
        ("X509 CRL", Self::Other("X509 CRL")),
        ("PKCS7", Self::Other("PKCS7")),
    ];

    /// Returns the label with this text, ignoring white space, which may be missing in it too.
    fn find(text: &[u8]) -> Self {
        let letters =
            |text: &[u8]| -> Vec<u8> { text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect() };
        let found = letters(text);
        Self::ALL.iter().find(|(name, _)| letters(name.as_bytes()) == found).map_or(Self::Unknown, |(_, label)| *label)
    }

    /// Returns the text of the label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "(unknown)",
            Self::Other(name) => name,
            label => Self::ALL.iter().find(|(_, known)| *known == label).map_or("", |(name, _)| name),
        }
    }
}

/// Why a text cannot be read as PEM. Contains nothing of the text, except for known labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PemError {
    #[error("the text is empty")]
    Empty,
    #[error(
        "the text is binary, not PEM: convert it with `openssl x509 -inform der`, `openssl pkcs8 -inform der` or, from a keystore, `openssl pkcs12`"
    )]
    Binary,
    #[error(
        "this is a PKCS#12 keystore, not PEM: convert it with `openssl pkcs12 -in FILE -noenc -out FILE.pem`, which has certificate and key"
    )]
    Pkcs12,
    #[error(
        "this is a Java keystore (JKS), not PEM: convert it with `keytool -importkeystore -srckeystore FILE -destkeystore FILE.p12 \
         -deststoretype pkcs12` and `openssl pkcs12 -in FILE.p12 -noenc -out FILE.pem`"
    )]
    Jks,
    #[error("the text is in UTF-16: convert it to ASCII or UTF-8")]
    Utf16,
    #[error("the text is not PEM, which has lines with -----BEGIN …----- and -----END …-----")]
    NoLabels,
    #[error("the text has an incomplete line with -----BEGIN or -----END")]
    BrokenLabel,
    #[error("the text is truncated: the line -----END {}----- is missing", .0.name())]
    NoEnd(Label),
    #[error("a section that begins as {} ends as {}", .0.name(), .1.name())]
    OtherEnd(Label, Label),
    #[error(
        "the {} is encrypted in OpenSSL's old format (with the line DEK-Info), which is not supported: \
         convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc`", .0.name()
    )]
    OldEncryption(Label),
    #[error("the {} contains something other than base64, or is incomplete", .0.name())]
    NotBase64(Label),
}

/// A section of a PEM text. It is decoded on demand, so that errors in unused sections do not matter.
#[derive(Clone, Copy)]
pub(super) struct Section<'t> {
    pub(super) label: Label,
    body: &'t [u8],
}

const BEGIN: &[u8] = b"-----BEGIN";
const END: &[u8] = b"-----END";
const DASHES: &[u8] = b"-----";
/// The maximum length of a label in bytes.
const MAX_LABEL: usize = 64;

/// Returns the sections of a text, in order. There is at least one.
pub(super) fn sections(text: &[u8]) -> Result<Vec<Section<'_>>, PemError> {
    let mut sections = Vec::new();
    let mut rest = text;
    while let Some(begin) = find(rest, BEGIN) {
        let (label, after) = label(&rest[begin + BEGIN.len()..])?;
        let end = find(after, END).ok_or(PemError::NoEnd(label))?;
        let body = &after[..end];
        if find(body, BEGIN).is_some() {
            return Err(PemError::NoEnd(label));
        }
        let (other, after) = self::label(&after[end + END.len()..])?;
        if other != label {
            return Err(PemError::OtherEnd(label, other));
        }
        sections.push(Section { label, body });
        rest = after;
    }
    if sections.is_empty() { Err(why_none(text)) } else { Ok(sections) }
}

/// Parses a label and the dashes after it. Returns the rest of the text.
fn label(text: &[u8]) -> Result<(Label, &[u8]), PemError> {
    let near = &text[..text.len().min(MAX_LABEL + DASHES.len())];
    let end = find(near, DASHES).ok_or(PemError::BrokenLabel)?;
    Ok((Label::find(&text[..end]), &text[end + DASHES.len()..]))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn why_none(text: &[u8]) -> PemError {
    let has_end = find(text, END).is_some();
    match text {
        _ if text.iter().all(u8::is_ascii_whitespace) => PemError::Empty,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => PemError::Utf16,
        _ if text.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) => PemError::Jks,
        _ if is_pkcs12(text) => PemError::Pkcs12,
        [0x30, 0x80..=0xff, ..] => PemError::Binary, // a SEQUENCE in DER
        _ if text.contains(&0) || std::str::from_utf8(text).is_err() => PemError::Binary,
        _ if has_end => PemError::BrokenLabel,
        _ => PemError::NoLabels,
    }
}

/// Returns true if this is the beginning of a PFX (RFC 7292, section 4): a SEQUENCE whose first member is the INTEGER 3. Keys have
/// other versions, and certificates none.
fn is_pkcs12(text: &[u8]) -> bool {
    let after_length = match text {
        [0x30, 0x80, rest @ ..] => rest, // BER of an unknown length
        [0x30, length @ 0x81..=0x84, rest @ ..] => rest.get(usize::from(length - 0x80)..).unwrap_or_default(),
        _ => return false,
    };
    after_length.starts_with(&[2, 1, 3])
}

impl Section<'_> {
    /// Decodes the text between the labels.
    pub(super) fn decode(&self) -> Result<Vec<u8>, PemError> {
        if find(self.body, b"DEK-Info").is_some() || find(self.body, b"Proc-Type").is_some() {
            return Err(PemError::OldEncryption(self.label));
        }
        // Decoded as a private key, whatever it is, because that is done in constant time.
        let pem = [b"-----BEGIN PRIVATE KEY-----\n", &*base64(self.body), b"\n-----END PRIVATE KEY-----\n"].concat();
        match <(SectionKind, Vec<u8>)>::from_pem_slice(&pem) {
            Ok((_, der)) if !der.is_empty() => Ok(der),
            // The error of the library is not passed on, since it may contain a line of the text.
            _ => Err(PemError::NotBase64(self.label)),
        }
    }
}

/// Returns the text without white space, escaped white space, and the backslashes that some JSON encoders write before `/`.
fn base64(body: &[u8]) -> Vec<u8> {
    let mut bytes = body.iter().copied().peekable();
    let mut kept = Vec::with_capacity(body.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next_if(|byte| matches!(byte, b'n' | b'r' | b't'))),
            byte if byte.is_ascii_whitespace() => {}
            byte => kept.push(byte),
        }
    }
    kept
}

#[cfg(test)]
mod tests;
