//! The producer, and how it is made.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_batch_core::{
    BatchOptions, Capabilities, Delivery, DeliveryError, FlushError, KafkaBatch, SealErrorReason, SendError,
    SendErrorReason, TopicPartition, Transport,
};
use rdkafka::producer::{BaseProducer, Producer};

use crate::context::Context;
use crate::error::ConfigError;
use crate::feed;
use crate::ledger::{Answer, Ledger};
use crate::settings::{self, Settings};
use crate::slot::{Slot, lock};
use crate::topics::{self, Topics};
use crate::verdict::Refusal;
use crate::window::Load;
