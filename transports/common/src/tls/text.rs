//! PEM texts, which are the values of settings, or in files that settings name.

use std::io;

use futures_rustls::pki_types::CertificateDer;

use super::files::{BEGIN, Content, Files};
use super::pem::{self, Label};
use crate::error::ConfigError;
use crate::settings::{Setting, Settings};

/// A PEM text, and the setting it was read from.
pub(super) struct Pem<'s> {
    pub(super) setting: Setting<'s>,
    pub(super) bytes: &'s [u8],
}

impl<'s> Pem<'s> {
    /// Returns the PEM text of either of two settings: one names a file, the other is the text itself.
    pub(super) fn either(
        settings: &'s Settings,
        files: &'s Files,
        location: &'static str,
        pem: &'static str,
    ) -> Result<Option<Self>, ConfigError> {
        match (Setting::of(settings, location), Setting::of(settings, pem)) {
            (None, None) => Ok(None),
            (None, Some(setting)) => Ok(Some(Pem { setting, bytes: setting.found.as_bytes() })),
            (Some(setting), None) if setting.found.contains(BEGIN) => setting
                .wrong(format!("the value is the text of a PEM file and not its path: set {pem} to the text instead")),
            (Some(setting), None) => match files.get(location) {
                Some(Content::File(bytes) | Content::Pipe(bytes)) => Ok(Some(Pem { setting, bytes })),
                Some(Content::Unreadable(error)) => setting.wrong(again(error)),
                Some(Content::Directory(_)) => setting.wrong(io::Error::from(io::ErrorKind::IsADirectory)),
                None => setting.wrong(io::Error::from(io::ErrorKind::NotFound)),
            },
            (Some(setting), Some(other)) => setting.conflict(other.shown(), "set one of them, not both"),
        }
    }

    /// Returns the certificates in the text, in order. There is at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        const HOW: &str = "use a PEM text with BEGIN CERTIFICATE";
        let sections = match pem::sections(self.bytes) {
            Ok(sections) => sections,
            Err(error) => return self.setting.wrong(format!("no certificate found: {error}; {HOW}")),
        };
        let of_certificates = sections.iter().filter(|section| section.label == Label::Certificate);
        let certificates = of_certificates.map(|section| section.decode().map(CertificateDer::from));
        match certificates.collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => {
                let found = sections[0].label.name();
                self.setting.wrong(format!("no certificate found, but {found}; {HOW}"))
            }
            Err(error) => self.setting.wrong(format!("a certificate cannot be read: {error}")),
        }
    }
}

/// Returns another error like this one, which cannot be cloned.
pub(super) fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}
