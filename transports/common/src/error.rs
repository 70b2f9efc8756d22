//! The error of building a producer.

use std::borrow::Cow;
use std::error::Error;
use std::{fmt, io};

use kafka_batch_core::batch::OptionsError;

/// The error returned when a producer cannot be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no setting of this name.
    UnknownSetting {
        /// The name. Not shown if it may be a value in the wrong place.
        setting: String,
        /// The most similar name that exists, if one is similar.
        similar: Option<&'static str>,
    },
    /// A setting has an invalid value.
    Setting {
        /// The Kafka name of the setting.
        setting: String,
        /// The value. Secrets are not shown.
        found: String,
        /// What is wrong with the value, and what to do.
        reason: SettingErrorReason,
    },
    /// Two settings are valid each by itself, but in conflict with each other.
    Conflict {
        /// One of them.
        setting: SettingValue,
        /// The other one.
        other: SettingValue,
        /// What to do.
        remedy: Cow<'static, str>,
    },
    /// The batch options contradict each other.
    BatchOptions(OptionsError),
    /// There is no current runtime to spawn the producer's task on.
    NoRuntime {
        /// The name of the runtime, such as `tokio`.
        runtime: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSetting { setting, similar } => {
                write!(f, "there is no setting {setting:?}")?;
                if let Some(similar) = similar {
                    write!(f, "; did you mean {similar:?}?")?;
                }
                f.write_str(" (the documentation of ProducerBuilder lists all of them)")
            }
            Self::Setting { setting, found, reason } => write!(f, "{setting} = {found:?}: {reason}"),
            Self::Conflict { setting, other, remedy } => write!(f, "{setting}, {other}: {remedy}"),
            Self::BatchOptions(error) => write!(f, "the batch options contradict each other: {error}"),
            Self::NoRuntime { runtime } => write!(
                f,
                "there is no current {runtime} runtime to spawn the producer's task on: build the producer in one, or use \
                 build_with_task and poll the task on any executor"
            ),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Setting { reason, .. } => reason.source(),
            Self::BatchOptions(error) => error.source(),
            Self::UnknownSetting { .. } | Self::Conflict { .. } | Self::NoRuntime { .. } => None,
        }
    }
}

impl From<OptionsError> for ConfigError {
    fn from(error: OptionsError) -> Self {
        Self::BatchOptions(error)
    }
}

/// What is wrong with the value of a setting, and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum SettingErrorReason {
    /// The value is not one of those that are accepted.
    NotAccepted {
        /// The values that are accepted, as the documentation describes them.
        accepted: String,
    },
    /// A value of [`ProducerConfig`](crate::ProducerConfig) is not one of those that are accepted.
    TypedNotAccepted {
        /// The method that takes the value.
        method: &'static str,
        /// The values that it accepts.
        accepted: String,
    },
    /// A file, or a directory, cannot be read.
    Unreadable(io::Error),
    /// Any other reason, with its remedy.
    Other(Cow<'static, str>),
}

impl SettingErrorReason {
    /// Converts the reason into one for a typed value, which this method takes.
    pub(crate) fn typed(self, method: &'static str, accepted: &str) -> Self {
        match self {
            Self::NotAccepted { .. } => Self::TypedNotAccepted { method, accepted: accepted.replace('`', "") },
            other => other,
        }
    }
}

impl fmt::Display for SettingErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAccepted { accepted } => write!(f, "not accepted; write {accepted}"),
            Self::TypedNotAccepted { method, accepted } => write!(f, "not accepted; pass {method} {accepted}"),
            Self::Unreadable(error) => write!(f, "this path cannot be read: {error}"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl Error for SettingErrorReason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable(error) => error.source(),
            Self::NotAccepted { .. } | Self::TypedNotAccepted { .. } | Self::Other(_) => None,
        }
    }
}

impl From<io::Error> for SettingErrorReason {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<&'static str> for SettingErrorReason {
    fn from(reason: &'static str) -> Self {
        Self::Other(reason.into())
    }
}

impl From<String> for SettingErrorReason {
    fn from(reason: String) -> Self {
        Self::Other(reason.into())
    }
}

/// A setting with its value, in a [`ConfigError::Conflict`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingValue {
    /// The Kafka name of the setting.
    pub setting: String,
    /// The value, or `None` if the setting is not set. Secrets are not shown.
    pub found: Option<String>,
}

impl SettingValue {
    pub(crate) fn new(setting: impl Into<String>, found: impl Into<Option<String>>) -> Self {
        Self { setting: setting.into(), found: found.into() }
    }
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "{} = {found:?}", self.setting),
            None => write!(f, "{} (not set)", self.setting),
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_batch_core::Magic;

    use super::*;

    /// Returns one error for each variant: a new variant without one does not compile.
    fn every() -> Vec<ConfigError> {
        use SettingErrorReason as Reason;
        let reasons = [
            Reason::NotAccepted { accepted: "all, -1, 1 or 0".to_owned() },
            Reason::TypedNotAccepted { method: "linger", accepted: "a Duration of 0 ms or more".to_owned() },
            io::Error::from(io::ErrorKind::PermissionDenied).into(),
            "it is wrong: correct it".into(),
        ];
        let magic = Magic::V1;
        let errors = reasons.map(|reason| match reason {
            Reason::NotAccepted { .. } | Reason::TypedNotAccepted { .. } | Reason::Unreadable(_) | Reason::Other(_) => {
                ConfigError::Setting { setting: "acks".to_owned(), found: "2".to_owned(), reason }
            }
        });
        let conflict = ConfigError::Conflict {
            setting: SettingValue::new("enable.idempotence", "true".to_owned()),
            other: SettingValue::new("acks", None),
            remedy: "set one of them".into(),
        };
        let others = [
            ConfigError::UnknownSetting { setting: "linger".to_owned(), similar: Some("linger.ms") },
            conflict,
            OptionsError::DeleteHorizonNeedsMagic2 { magic }.into(),
            ConfigError::NoRuntime { runtime: "tokio" },
        ];
        let errors: Vec<_> = errors.into_iter().chain(others).collect();
        for error in &errors {
            match error {
                ConfigError::UnknownSetting { .. }
                | ConfigError::Setting { .. }
                | ConfigError::Conflict { .. }
                | ConfigError::BatchOptions(_)
                | ConfigError::NoRuntime { .. } => {}
            }
        }
        errors
    }

    #[test]
    fn each_text_is_one_line_and_has_its_causes() {
        for error in every() {
            let text = error.to_string();
            assert!(error.source().is_none(), "it is in the text: {text}");
            assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
        }
        let [.., unreadable, _, _, _, _, _] = &every()[..] else { panic!() };
        assert_eq!(unreadable.to_string(), "acks = \"2\": this path cannot be read: permission denied");
        let ConfigError::Setting { reason: SettingErrorReason::Unreadable(error), .. } = unreadable else { panic!() };
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
