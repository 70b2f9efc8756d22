//! Files that are replaced while the producer runs: each connection uses the newest that can be used.

use std::fmt;
use std::sync::Arc;

use futures_rustls::rustls::ClientConfig;

use super::config::config;
use super::files::Files;
use crate::error::ConfigError;
use crate::settings::Settings;
use crate::sync::{Mutex, lock};

/// A configuration, and the files that it was made of.
///
/// The files are read again for each connection, on the thread that polls it. If they have changed, and a configuration can be
/// made of them as a whole, it replaces the one before. Otherwise, as while a certificate is replaced and its key is not yet, the
/// one before stays in use.
pub(super) struct Reloading {
    settings: Settings,
    state: Mutex<State>,
}

struct State {
    config: Arc<ClientConfig>,
    /// The files that `config` was made of.
    files: Files,
    /// Newer files of which no configuration can be made, as they were last, and the reason.
    rejected: Option<(Files, UnusedFiles)>,
}

/// The configuration for one connection.
pub(super) struct Current {
    pub(super) config: Arc<ClientConfig>,
    /// Set if there are newer files than those that it was made of.
    pub(super) unused: Option<UnusedFiles>,
}

/// The reason why newer files are not used. It contains no secret, since errors of settings do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnusedFiles(Arc<str>);

impl fmt::Display for UnusedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "newer files are not used for this connection, but those before, since {}", self.0)
    }
}

impl Reloading {
    /// Reads the settings, and the files that they name.
    pub(super) fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let files = Files::read(settings);
        let config = config(settings, &files)?;
        Ok(Self { settings: settings.clone(), state: Mutex::new(State { config, files, rejected: None }) })
    }

    /// Returns the configuration for the next connection, from the files as they are now.
    pub(super) fn current(&self) -> Current {
        let mut state = lock(&self.state);
        if !state.files.is_empty() {
            state.update(&self.settings);
        }
        let unused = state.rejected.as_ref().map(|(_, reason)| reason.clone());
        Current { config: Arc::clone(&state.config), unused }
    }
}

impl State {
    fn update(&mut self, settings: &Settings) {
        let newest = self.files.read_again(settings);
        if newest == self.files {
            self.rejected = None;
            return;
        }
        if self.rejected.as_ref().is_some_and(|(files, _)| *files == newest) {
            return; // and was logged
        }
        let changed = newest.changed_since(&self.files);
        match config(settings, &newest) {
            Ok(config) => {
                log::info!("the files of {changed} have changed, and new connections use them");
                *self = Self { config, files: newest, rejected: None };
            }
            Err(error) => {
                log::warn!(
                    "the files of {changed} have changed, and cannot be used: {error}; new connections use what they contained \
                     before, until they can be"
                );
                self.rejected = Some((newest, UnusedFiles(error.to_string().into())));
            }
        }
    }
}

impl fmt::Debug for Reloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading").finish_non_exhaustive()
    }
}
