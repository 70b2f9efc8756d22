//! The producer as a pure state machine. (Docs follow.)
#![allow(dead_code)]
mod accumulator;
mod backoff;
mod config;
mod event;
mod io;
mod machine;
mod network;
mod timers;

pub use config::{ProducerConfig, SaslPlain};
pub use event::{BatchId, Clock, CloseMode, ConversionRefused, Event, FlushId, Refusal, SendError, Trouble};
pub use io::{ConnectionId, Disconnect, Input, Output};
pub use machine::Producer;

pub use crate::time::Instant;
