//! Strategies for the settings of batches, batches, and operations on them.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use ::proptest::collection::vec;
use ::proptest::option;
use ::proptest::prelude::*;
use ::proptest::sample::select;

use super::records::{record, records, timestamps};
use crate::batch::convert::DownConversion;
use crate::batch::{BatchOptions, Boundary, CompressionRatio, SizePolicy, Stamp};
use crate::compression::{Codec, Compression};
use crate::magic::{Magic, MagicChoice};
use crate::proptest::{BatchSpec, Model, Operation, OwnedRecord};
use crate::time::Timestamp;

/// Generates message formats. They shrink towards magic 2, which has the fewest restrictions.
pub fn magics() -> impl Strategy<Value = Magic> {
    select(&[Magic::V2, Magic::V1, Magic::V0][..])
}

/// Generates codecs whose features are enabled, and none. They shrink towards none.
pub fn compressions() -> impl Strategy<Value = Compression> {
    let compiled: Vec<_> = Codec::ALL.into_iter().filter_map(Compression::with_default_level).collect();
    select(compiled)
}

/// Generates options of batches that hold any record of the strategies: all valid combinations of format and codec, with a
/// soft limit of 1 MiB.
pub fn roomy_options() -> impl Strategy<Value = BatchOptions> {
    (option::of(magics()), compressions()).prop_map(|(magic, compression)| {
        let magic = magic.map_or(MagicChoice::Auto, MagicChoice::Pinned);
        let fitting = compression.codec().fits_magic(magic.initial());
        BatchOptions::default().magic(magic).batch_size(1 << 20).compression(if fitting {
            compression
        } else {
            Compression::None
        })
    })
}

/// Generates valid options of all kinds: small limits, both size policies, both boundary rules, routing by key, delete
/// horizons.
pub fn options() -> impl Strategy<Value = BatchOptions> {
    let batch_size = prop_oneof![3 => 0..400_usize, 3 => 400..3_000_usize, 2 => Just(16_384)];
    let max_message_bytes = prop_oneof![4 => Just(1_048_588_usize), 2 => 100..3_000_usize, 1 => 0..100_usize];
    let max_records = prop_oneof![4 => Just(u32::MAX), 1 => 0..8_u32];
    let policy = prop_oneof![
        2 => Just(SizePolicy::Uncompressed),
        1 => (0.0..2.0_f32).prop_map(|ratio| SizePolicy::Estimated(CompressionRatio::new(ratio))),
    ];
    let boundary = prop_oneof![4 => Just(Boundary::Inclusive), 1 => Just(Boundary::Aiokafka)];
    let partitions =
        option::weighted(0.2, (1..4_u32).prop_map(|count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)));
    let horizon = option::weighted(0.1, timestamps());
    (roomy_options(), batch_size, max_message_bytes, max_records, policy, boundary, partitions, horizon).prop_map(
        |(options, batch_size, max_message_bytes, max_records, policy, boundary, partitions, horizon)| {
            let mut options = options
                .batch_size(batch_size)
                .max_message_bytes(max_message_bytes)
                .max_records(max_records)
                .size_policy(policy)
                .boundary(boundary);
            options.partitions = partitions;
            options.delete_horizon = horizon.filter(|_| options.magic.initial() == Magic::V2);
            options
        },
    )
}

/// Generates open batches of up to eleven records, of any format and with any codec, far from their limits.
pub fn batches() -> impl Strategy<Value = BatchSpec> {
    (roomy_options(), timestamps(), records(0..12)).prop_map(|(options, now, records)| {
        let magic = options.magic.initial();
        let records = records.into_iter().map(|record| record.for_magic(magic)).collect();
        BatchSpec { options, now, records, gap: 0, closed: false }
    })
}

/// Generates batches with [any options](options()): they may be full, empty or closed, and have gaps between offsets.
pub fn limited_batches() -> impl Strategy<Value = BatchSpec> {
    let gap = prop_oneof![4 => Just(0), 1 => 0..100_u32];
    (options(), timestamps(), records(0..8), gap, prop::bool::weighted(0.1))
        .prop_map(|(options, now, records, gap, closed)| BatchSpec { options, now, records, gap, closed })
}

/// Records that fill a batch up to about its soft limit, as that counts: the last one ends at it, or one byte off.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NearLimit {
    /// The settings, with the soft limit.
    pub options: BatchOptions,
    /// The time of the batch.
    pub now: Timestamp,
    /// At least two records. All but the last fit.
    pub records: Vec<OwnedRecord>,
    /// Where the batch ends with the last record.
    pub case: LimitCase,
}

/// Where a batch ends, relative to its soft limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Exhaustive on purpose: a size is below its limit, at it, or above it.
pub enum LimitCase {
    /// One byte below the soft limit: the record fits.
    Below,
    /// At the soft limit: the record fits, except with [`Boundary::Aiokafka`].
    At,
    /// One byte above the soft limit: the record does not fit.
    Above,
}

impl NearLimit {
    /// Returns `true` if the last record fits.
    #[must_use]
    pub fn last_fits(&self) -> bool {
        match self.case {
            LimitCase::Below => true,
            LimitCase::At => self.options.boundary == Boundary::Inclusive,
            LimitCase::Above => false,
        }
    }
}

/// Generates records of which the last one ends one byte below, at, or one byte above the soft limit.
pub fn near_limit() -> impl Strategy<Value = NearLimit> {
    let policy = prop_oneof![
        2 => Just(SizePolicy::Uncompressed),
        1 => (1.0..2.0_f32).prop_map(|ratio| SizePolicy::Estimated(CompressionRatio::new(ratio))),
    ];
    let boundary = prop_oneof![3 => Just(Boundary::Inclusive), 1 => Just(Boundary::Aiokafka)];
    let case = select(&[LimitCase::At, LimitCase::Below, LimitCase::Above][..]);
    (roomy_options(), policy, boundary, timestamps(), records(2..10), case).prop_map(
        |(options, policy, boundary, now, records, case)| {
            let options = options.size_policy(policy).boundary(boundary).batch_size(usize::MAX);
            let mut model = Model::new(options.clone(), now);
            let records: Vec<_> = records.into_iter().map(|record| record.for_magic(model.magic())).collect();
            let mut end = 0;
            for record in &records {
                end = model.counted_size() + model.cost(record).expect("no limit is reached");
                model.append(record);
            }
            let limit = match case {
                LimitCase::Below => end + 1,
                LimitCase::At => end,
                LimitCase::Above => end - 1,
            };
            NearLimit { options: options.batch_size(limit), now, records, case }
        },
    )
}

const CONVERSIONS: [DownConversion; 3] =
    [DownConversion::Lossless, DownConversion::DropTimestamps, DownConversion::DropAll];

/// Generates what the records of a bulk call have in common: often neither key nor headers.
fn alike() -> impl Strategy<Value = OwnedRecord> {
    (record(), any::<bool>(), any::<bool>()).prop_map(|(record, keyed, headed)| OwnedRecord {
        key: record.key.filter(|_| keyed),
        headers: if headed { record.headers } else { Vec::new() },
        ..record
    })
}

/// Generates lists of up to `max_count` operations on a batch.
pub fn operations(max_count: usize) -> impl Strategy<Value = Vec<Operation>> {
    let offset = prop_oneof![8 => 0..40_u32, 1 => select(&[0x7fff_fffe, 0x7fff_ffff, u32::MAX][..])];
    let operation = prop_oneof![
        12 => record().prop_map(Operation::Append),
        1 => (offset, record()).prop_map(|(offset, record)| Operation::AppendAt(offset, record)),
        3 => records(0..5).prop_map(Operation::Extend),
        3 => records(0..5).prop_map(Operation::TryExtend),
        2 => records(0..5).prop_map(Operation::FillFrom),
        3 => (alike(), records(0..12)).prop_map(|(common, values)| Operation::Bulk(common, values)),
        3 => Just(Operation::Mark),
        3 => any::<usize>().prop_map(Operation::Rollback),
        1 => Just(Operation::RollbackToForeignMark),
        1 => timestamps().prop_map(Operation::SetNow),
        1 => vec(0..12_usize, 0..6).prop_map(Operation::Without),
        1 => (magics(), select(&CONVERSIONS[..])).prop_map(|(magic, allowed)| Operation::Convert(magic, allowed)),
        1 => Just(Operation::NextBatch),
        1 => Just(Operation::Reopen),
        1 => Just(Operation::Close),
    ];
    vec(operation, 0..=max_count)
}

/// Generates lists of up to `max_count` operations that are mostly marks and rollbacks, with short records between them.
pub fn marking(max_count: usize) -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        3 => Just(Operation::Append(OwnedRecord::new("x"))),
        3 => Just(Operation::Mark),
        3 => any::<usize>().prop_map(Operation::Rollback),
        1 => Just(Operation::TryExtend(vec![OwnedRecord::new("x"); 2])),
    ];
    vec(operation, 0..=max_count)
}

/// Generates stamps of magic 2: producer, transaction, offsets, log-append-time.
pub fn stamps() -> impl Strategy<Value = Stamp> {
    let producer = (any::<i64>(), any::<i16>(), any::<i32>());
    let broker = (0..i64::MAX / 2, any::<i32>(), option::weighted(0.3, timestamps()));
    (option::of(producer), any::<bool>(), option::of(broker)).prop_map(|(producer, transactional, broker)| {
        let mut stamp = Stamp::default().transactional(transactional);
        if let Some((id, epoch, sequence)) = producer {
            stamp = stamp.producer(id, epoch, sequence);
        }
        if let Some((offset, epoch, append_time)) = broker {
            stamp = stamp.base_offset(offset).partition_leader_epoch(epoch);
            if let Some(time) = append_time {
                stamp = stamp.log_append_time(time);
            }
        }
        stamp
    })
}

/// The text of a broker version, and the newest format that such a broker stores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerVersionText {
    /// The text.
    pub text: String,
    /// The newest format that such a broker stores.
    pub magic: Magic,
}

/// Generates broker versions, past and future, in all the forms that [`BrokerVersion`](crate::BrokerVersion) accepts.
pub fn broker_versions() -> impl Strategy<Value = BrokerVersionText> {
    let numbers = prop_oneof![
        1 => (Just(Magic::V0), "0(\\.[0-9](\\.[0-9]{1,2}){0,2})?"),
        1 => (Just(Magic::V1), "0\\.10(\\.[0-9]{1,2}){0,2}"),
        1 => (Just(Magic::V2), "0\\.1[1-9](\\.[0-9]{1,2}){0,2}"),
        2 => (Just(Magic::V2), "[1-9][0-9]{0,2}(\\.[0-9]{1,2}){0,3}"),
    ];
    let suffix = prop_oneof![3 => Just(String::new()), 1 => "-(IV[0-9]|SNAPSHOT|rc[0-9]|[a-z]{1,5}\\.[0-9])"];
    (any::<bool>(), numbers, suffix).prop_map(|(prefixed, (magic, numbers), suffix)| {
        let prefix = if prefixed { "v" } else { "" };
        BrokerVersionText { text: format!("{prefix}{numbers}{suffix}"), magic }
    })
}
