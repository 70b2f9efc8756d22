//! The input: JSON lines, with their line numbers for error messages.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use kafka_batch::Timestamp;
use kafka_batch::message::{EncodeError, KeyOverride, Message, Overrides, Payload};
use serde_json::Value;

use crate::args::Args;
use crate::failure::Failure;

/// One line of the input.
pub(crate) struct Reading {
    /// The line number, from 1.
    pub(crate) line: u64,
    json: String,
    key: Option<String>,
    time: Option<Timestamp>,
}

/// Encodes an application's own type as a record: the value, its content type, and what overrides the defaults of the call.
/// For types that implement `Serialize`, `Json(&value)` suffices; this one is JSON already.
impl Message for Reading {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(Payload::new(self.json.as_bytes()).content_type("application/json"))
    }

    fn overrides(&self) -> Overrides<'_> {
        let mut own = Overrides::default();
        own.key = self.key.as_ref().map_or(KeyOverride::Inherit, |key| KeyOverride::Key(key.as_bytes()));
        own.timestamp = self.time;
        own
    }
}

/// The lines of the input that are not blank.
pub(crate) struct Readings<'a> {
    input: Box<dyn BufRead>,
    name: String,
    key_field: &'a str,
    time_field: &'a str,
    line: u64,
}

impl<'a> Readings<'a> {
    pub(crate) fn open(args: &'a Args) -> Result<Self, Failure> {
        let (name, input): (_, Box<dyn BufRead>) = if args.file == Path::new("-") {
            ("standard input".into(), Box::new(BufReader::new(io::stdin())))
        } else {
            let name = args.file.display().to_string();
            let file = File::open(&args.file).map_err(|error| {
                let remedy = "name a FILE with JSON lines, or - for standard input, or none for the sample data";
                Failure::new(format!("{name} cannot be opened: {error}"), remedy)
            })?;
            (name, Box::new(BufReader::new(file)))
        };
        let (key_field, time_field) = (args.key_field.as_str(), args.time_field.as_str());
        Ok(Self { input, name, key_field, time_field, line: 0 })
    }

    fn read(&mut self) -> Result<Option<Reading>, Failure> {
        loop {
            let mut json = String::new();
            self.line += 1;
            match self.input.read_line(&mut json) {
                Ok(0) => return Ok(None),
                Ok(_) if json.trim().is_empty() => {}
                Ok(_) => return self.parse(json.trim()).map(Some),
                // `read_line` returns this kind for bytes that are not UTF-8; other errors are not caused by the line.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(self.fault("is not UTF-8", "correct that line"));
                }
                Err(error) => return Err(self.fault(&format!("cannot be read: {error}"), "check the input")),
            }
        }
    }

    fn parse(&self, json: &str) -> Result<Reading, Failure> {
        let value: Value = serde_json::from_str(json).map_err(|error| {
            let text = error.to_string(); // ends in "at line 1 column …", which is not the line of the input
            let reason = text.split(" at line ").next().unwrap_or_default();
            let what = format!("is not JSON: {reason} at column {}", error.column());
            self.fault(&what, "correct that line: each must be one JSON value")
        })?;
        let key = match value.get(self.key_field) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let time = value.get(self.time_field).and_then(Value::as_i64).map(Timestamp::from_millis);
        Ok(Reading { line: self.line, json: json.into(), key, time })
    }

    fn fault(&self, what: &str, remedy: &str) -> Failure {
        let Self { line, name, .. } = self;
        Failure::new(format!("line {line} of {name} {what}"), format!("{remedy}, and publish from it on"))
            .left_from(*line)
    }
}

impl Iterator for Readings<'_> {
    type Item = Result<Reading, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
