//! The syntax of values. All settings with the same kind of value share one form, so that blank space, case and special
//! numbers have the same meaning everywhere.

use std::time::Duration;

use kafka_batch_core::BrokerVersion;
use kafka_batch_core::machine::{SaslMechanism, Secret};

use crate::error::SettingErrorReason;

/// The syntax of values of one type.
pub(super) trait Form {
    type Value;

    /// Parses a text.
    ///
    /// # Errors
    /// The text is not a valid value. The error states what is accepted, and does not repeat the text.
    fn parse(&self, text: &str) -> Result<Self::Value, SettingErrorReason>;

    /// Writes a value for an error.
    fn show(&self, value: &Self::Value) -> String;

    /// Writes a value as librdkafka and [`parse`](Self::parse) accept it.
    fn write(&self, value: &Self::Value) -> String {
        self.show(value)
    }

    /// Writes a value for an error about a typed value.
    fn show_typed(&self, value: &Self::Value) -> String {
        self.show(value)
    }

    /// Describes the accepted texts in a few words: for errors, and in Markdown for the documentation.
    fn accepts(&self) -> String;

    /// Describes the accepted typed values in a few words, for an error about this value.
    fn accepts_typed(&self, _instead_of: &Self::Value) -> String {
        self.accepts()
    }

    /// Checks a value that was not parsed, and returns it as if it had been: without the blank space around it, for example.
    ///
    /// # Errors
    /// The value is out of range. The error states what is accepted.
    fn normalize(&self, value: Self::Value) -> Result<Self::Value, SettingErrorReason> {
        self.parse(&self.show(&value))
    }

    /// Returns `true` if the text means that the setting is not set.
    fn is_unset(&self, _text: &str) -> bool {
        false
    }
}

pub(super) fn not_accepted<T>(form: &impl Form) -> Result<T, SettingErrorReason> {
    Err(SettingErrorReason::NotAccepted { accepted: form.accepts().replace('`', "") })
}

/// `true` and `false` in any case, as in the Java client and in librdkafka, and librdkafka's abbreviations.
pub(super) const SWITCH: Words<bool> =
    Words(&[("true", true), ("false", false), ("t", true), ("f", false), ("1", true), ("0", false)]);

/// One of several words, in any case. If several words have the same value, the first is shown.
#[derive(Debug)]
pub(super) struct Words<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Form for Words<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, SettingErrorReason> {
        let text = text.trim();
        let found = self.0.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map_or_else(|| not_accepted(self), |(_, value)| Ok(*value))
    }

    fn show(&self, value: &T) -> String {
        let found = self.0.iter().find(|(_, each)| each == value);
        found.map_or_else(String::new, |(word, _)| (*word).to_owned())
    }

    fn accepts(&self) -> String {
        let words: Vec<_> = self
            .0
            .iter()
            .map(|(word, _)| if word.is_empty() { "nothing".into() } else { format!("`{word}`") })
            .collect();
        match &words[..] {
            [some @ .., last] if !some.is_empty() => format!("{} or {last}", some.join(", ")),
            words => words.concat(),
        }
    }
}

/// One of the mechanisms of SASL that the machine has.
#[derive(Debug)]
pub(super) struct Mechanism(pub(super) Words<SaslMechanism>);

/// The mechanism that librdkafka alone has here, by the library of the system.
const GSSAPI: &str = "GSSAPI";

impl Form for Mechanism {
    type Value = SaslMechanism;

    fn parse(&self, text: &str) -> Result<SaslMechanism, SettingErrorReason> {
        const HOW: &str = "Kerberos (GSSAPI) is supported over librdkafka only: use RdkafkaProducer (feature `rdkafka` of kafka-batch), and \
                           enable the feature `gssapi`, or `gssapi-vendored`, of the crate rdkafka";
        if text.trim().eq_ignore_ascii_case(GSSAPI) { Err(HOW.into()) } else { self.0.parse(text) }
    }

    fn show(&self, value: &SaslMechanism) -> String {
        self.0.show(value)
    }

    fn accepts(&self) -> String {
        self.0.accepts()
    }
}

/// A whole number in decimal digits, as in the Java client. librdkafka also accepts octal and hexadecimal numbers, and
/// ignores characters after the digits, such as the unit in `5s`.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) least: u64,
    pub(super) most: u64,
}

/// The largest `int` of Java, which bounds many settings there.
pub(super) const INT: u64 = i32::MAX as u64;
/// The largest `long` of Java.
pub(super) const LONG: u64 = i64::MAX as u64;

impl Whole {
    fn number(&self, text: &str) -> Option<u64> {
        text.trim().parse().ok().filter(|number| (self.least..=self.most).contains(number))
    }

    /// Describes the range. The largest `long` is not named, because no useful value comes near it.
    fn range(&self) -> String {
        match self.most {
            LONG => format!("of {} or more", self.least),
            _ => self.full_range(),
        }
    }

    fn full_range(&self) -> String {
        format!("from {} to {}", self.least, self.most)
    }

    /// Describes the range for an error about this text: with its maximum, if the text is a larger number.
    fn range_for(&self, text: &str) -> String {
        let text = text.trim();
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_above = is_number && digits.parse().map_or(true, |number: u64| number > self.most);
        if is_above { self.full_range() } else { self.range() }
    }
}

impl Form for Whole {
    type Value = usize;

    fn parse(&self, text: &str) -> Result<usize, SettingErrorReason> {
        match self.number(text) {
            Some(number) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            None => {
                Err(SettingErrorReason::NotAccepted { accepted: format!("a whole number {}", self.range_for(text)) })
            }
        }
    }

    fn show(&self, value: &usize) -> String {
        value.to_string()
    }

    fn accepts(&self) -> String {
        format!("a whole number {}", self.range())
    }

    fn accepts_typed(&self, instead_of: &usize) -> String {
        format!("a whole number {}", self.range_for(&instead_of.to_string()))
    }
}

/// A whole number that may be negative, and whose range depends on another setting.
#[derive(Debug)]
pub(super) struct Level;

impl Form for Level {
    type Value = i32;

    fn parse(&self, text: &str) -> Result<i32, SettingErrorReason> {
        text.trim().parse().or_else(|_| not_accepted(self))
    }

    fn show(&self, value: &i32) -> String {
        value.to_string()
    }

    fn accepts(&self) -> String {
        "a whole number".to_owned()
    }
}

/// A duration in whole milliseconds.
#[derive(Debug)]
pub(super) struct Millis {
    pub(super) range: Whole,
    /// Numbers that mean an infinite duration, [`Duration::MAX`].
    pub(super) never: &'static [i64],
}

impl Millis {
    pub(super) const fn new(least: u64, most: u64) -> Self {
        Self { range: Whole { least, most }, never: &[] }
    }

    pub(super) const fn never(self, never: &'static [i64]) -> Self {
        Self { never, ..self }
    }
}

const NEVER: &str = "never";

impl Form for Millis {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, SettingErrorReason> {
        if text.trim().parse().is_ok_and(|number: i64| self.never.contains(&number)) {
            return Ok(Duration::MAX);
        }
        let number = self.range.number(text).ok_or_else(|| {
            let accepted = self.describe(&self.range.range_for(text)).replace('`', "");
            SettingErrorReason::NotAccepted { accepted }
        });
        number.map(Duration::from_millis)
    }

    fn normalize(&self, value: Duration) -> Result<Duration, SettingErrorReason> {
        let millis = value.as_millis();
        let is_in_range = (u128::from(self.range.least)..=u128::from(self.range.most)).contains(&millis);
        let is_never = value == Duration::MAX && !self.never.is_empty();
        if is_in_range || is_never { Ok(value) } else { not_accepted(self) }
    }

    fn show(&self, value: &Duration) -> String {
        if *value == Duration::MAX { NEVER.to_owned() } else { value.as_millis().to_string() }
    }

    fn write(&self, value: &Duration) -> String {
        match self.never.last() {
            Some(never) if *value == Duration::MAX => never.to_string(),
            _ => value.as_millis().to_string(),
        }
    }

    fn show_typed(&self, value: &Duration) -> String {
        if *value == Duration::MAX { "Duration::MAX".to_owned() } else { format!("{value:?}") }
    }

    fn accepts_typed(&self, instead_of: &Duration) -> String {
        let Whole { least, most } = self.range;
        let range = match most {
            LONG if instead_of.as_millis() <= u128::from(LONG) => format!("a Duration of {least} ms or more"),
            most => format!("a Duration of {least} ms to {most} ms"),
        };
        if self.never.is_empty() { range } else { format!("{range}, or Duration::MAX for {NEVER}") }
    }

    fn accepts(&self) -> String {
        self.describe(&self.range.range())
    }
}

impl Millis {
    fn describe(&self, range: &str) -> String {
        let never: Vec<_> = self.never.iter().map(|number| format!("`{number}`")).collect();
        match never.is_empty() {
            true => format!("a whole number of milliseconds {range}"),
            false => format!("a whole number of milliseconds {range}, or {} for {NEVER}", never.join(" or ")),
        }
    }
}

/// A single number: a setting of other clients that is fixed here.
#[derive(Debug)]
pub(super) struct Always {
    pub(super) number: u32,
    pub(super) why: &'static str,
}

impl Form for Always {
    type Value = ();

    fn parse(&self, text: &str) -> Result<(), SettingErrorReason> {
        // librdkafka accepts fractions of milliseconds, such as `0.0`.
        if text.trim().parse() == Ok(f64::from(self.number)) {
            return Ok(());
        }
        Err(format!("{}: write {} or leave this setting out", self.why, self.number).into())
    }

    fn show(&self, (): &()) -> String {
        self.number.to_string()
    }

    fn accepts(&self) -> String {
        format!("`{}`", self.number)
    }
}

/// A text, without the blank space around it.
#[derive(Debug)]
pub(super) struct Text {
    /// In bytes.
    pub(super) longest: usize,
}

impl Form for Text {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, SettingErrorReason> {
        match text.trim() {
            text if text.len() <= self.longest => Ok(text.to_owned()),
            text => Err(format!("it has {} bytes, and the maximum is {}", text.len(), self.longest).into()),
        }
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn accepts(&self) -> String {
        "text".to_owned()
    }
}

/// A text in which blank space is significant.
#[derive(Debug)]
pub(super) struct Verbatim;

impl Form for Verbatim {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, SettingErrorReason> {
        Ok(text.to_owned())
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn accepts(&self) -> String {
        "text, in which blank space counts".to_owned()
    }
}

/// A secret text.
#[derive(Debug)]
pub(super) enum Hidden {
    /// With the blank space around it.
    Verbatim,
    /// Without the blank space around it.
    Trimmed,
}

impl Form for Hidden {
    type Value = Secret;

    fn parse(&self, text: &str) -> Result<Secret, SettingErrorReason> {
        Ok(Secret::new(match self {
            Self::Verbatim => text,
            Self::Trimmed => text.trim(),
        }))
    }

    fn show(&self, value: &Secret) -> String {
        value.expose().to_owned()
    }

    fn accepts(&self) -> String {
        match self {
            Self::Verbatim => Verbatim.accepts(),
            Self::Trimmed => "text".to_owned(),
        }
    }
}

/// A form in which a blank text leaves the setting unset, as in librdkafka, for templates with optional values.
#[derive(Debug)]
pub(super) struct OrUnset<F>(pub(super) F);

impl<F: Form> Form for OrUnset<F> {
    type Value = F::Value;

    fn parse(&self, text: &str) -> Result<F::Value, SettingErrorReason> {
        self.0.parse(text)
    }

    fn show(&self, value: &F::Value) -> String {
        self.0.show(value)
    }

    fn accepts(&self) -> String {
        self.0.accepts()
    }

    fn write(&self, value: &F::Value) -> String {
        self.0.write(value)
    }

    fn show_typed(&self, value: &F::Value) -> String {
        self.0.show_typed(value)
    }

    fn accepts_typed(&self, instead_of: &Self::Value) -> String {
        self.0.accepts_typed(instead_of)
    }

    fn normalize(&self, value: F::Value) -> Result<F::Value, SettingErrorReason> {
        self.0.normalize(value)
    }

    fn is_unset(&self, text: &str) -> bool {
        text.trim().is_empty()
    }
}

/// The version of a broker.
#[derive(Debug)]
pub(super) struct Version;

impl Form for Version {
    type Value = BrokerVersion;

    fn parse(&self, text: &str) -> Result<BrokerVersion, SettingErrorReason> {
        text.trim().parse().or_else(|_| not_accepted(self))
    }

    fn show(&self, value: &BrokerVersion) -> String {
        value.to_string()
    }

    fn accepts(&self) -> String {
        "a version of Kafka, such as `0.9`".to_owned()
    }
}
