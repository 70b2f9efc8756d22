//! The operations.

use super::Record;
use arbitrary::{Arbitrary, Unstructured};
use kafka_batch_core::Magic;
use kafka_batch_core::batch::Stamp;
use kafka_batch_core::convert::DownConversion;

#[derive(Arbitrary, Clone, Debug)]
pub enum Step {
    Append(Record),
    AppendAt(u8, Record),
    /// A record of just the size that is left, or up to two bytes more or less: where limits are met.
    AppendSnug(i8, Option<u8>, Record),
    Extend(Extend, Vec<Record>),
    /// What the records have in common, and their values.
    Bulk(Record, Vec<Record>),
    Mark,
    Rollback(u8),
    Close,
    Now(i64),
    Seal {
        stamp: Stamping,
        reopen: bool,
    },
    Split(u16),
    Without {
        positions: Vec<u8>,
        adopt: bool,
    },
    Convert {
        #[arbitrary(with = magic)]
        magic: Magic,
        #[arbitrary(with = allowed)]
        allowed: DownConversion,
    },
}

/// The ways to append several records.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
pub enum Extend {
    /// `extend`
    UntilRefused,
    /// `try_extend`
    AllOrNothing,
    /// `fill_from`
    WhatFits,
}

/// What goes onto a stamp.
#[derive(Arbitrary, Clone, Copy, Debug, Default)]
pub struct Stamping {
    producer: Option<(i64, i16, i32)>,
    pub(super) transactional: bool,
    pub(super) control: bool,
    pub(super) base_offset: u32,
    pub(super) leader_epoch: Option<i32>,
    pub(super) log_append_time: Option<i64>,
}

impl Stamping {
    /// Returns producer id, epoch and sequence.
    pub(super) fn identity(&self) -> (i64, i16, i32) {
        self.producer.unwrap_or((-1, -1, -1))
    }

    pub(super) fn stamp(&self) -> Stamp {
        let (id, epoch, sequence) = self.identity();
        let stamp = Stamp::NONE
            .producer(id, epoch, sequence)
            .transactional(self.transactional)
            .control(self.control)
            .base_offset(self.base_offset.into())
            .partition_leader_epoch(self.leader_epoch.unwrap_or(-1));
        match self.log_append_time {
            Some(time) => stamp.log_append_time(time),
            None => stamp,
        }
    }
}

fn magic(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Magic> {
    bytes.choose(&Magic::ALL).copied()
}

fn allowed(bytes: &mut Unstructured<'_>) -> arbitrary::Result<DownConversion> {
    bytes.choose(&[DownConversion::Lossless, DownConversion::DropTimestamps, DownConversion::DropAll]).copied()
}
