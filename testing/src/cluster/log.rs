//! The log of one partition at its leader: the records that every replica has, then those that only the leader has.

use bytes::{Bytes, BytesMut};
use kafka_batch_core::Magic;
use kafka_batch_core::compression::Codec;

use super::producers::{CheckResult, Producers, Rules, code};
use super::transaction_index::{Ended, TransactionIndex};
use crate::batch::{BatchInfo, ProducerStamp};
use crate::control::{self, ControlKind};
use crate::validate::{Validated, at, attribute, number};

/// A batch in a log.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// The offset of its first record.
    pub base_offset: i64,
    /// What its header says.
    pub info: BatchInfo,
    /// The largest timestamp of its records, or −1, in milliseconds since the epoch.
    pub max_timestamp: i64,
    /// The leader epoch in which it was appended.
    pub leader_epoch: i32,
    /// Its bytes in the log: those that were received, with the fields that a broker assigns.
    pub bytes: Bytes,
}

impl StoredBatch {
    /// Returns the offset after that of its last record.
    #[must_use]
    pub const fn end(&self) -> i64 {
        self.base_offset + self.info.records as i64
    }
}

/// Where a batch was appended, or was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The offset of its first record.
    pub(crate) base_offset: i64,
    /// The timestamp that the broker assigned, or −1.
    pub(crate) append_time_ms: i64,
    /// The end of the log that must be committed before a response with acks=all.
    pub(crate) end: i64,
    /// The first offset in the log.
    pub(crate) log_start: i64,
}

/// A log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    stored: Vec<StoredBatch>,
    /// How many of the stored batches every replica has: these survive a change of leader.
    committed: usize,
    /// Increases with every batch, and decreases when the log is truncated.
    end: i64,
    start: i64,
    producers: Producers,
    transactions: TransactionIndex,
    expired: bool,
}

impl Log {
    /// Appends a batch, or returns why it is rejected. `append_time_ms` is the timestamp to assign, or −1.
    pub(crate) fn append(
        &mut self,
        Validated { info, max_timestamp, .. }: Validated,
        bytes: &[u8],
        leader_epoch: i32,
        append_time_ms: i64,
        rules: Rules,
    ) -> Result<Appended, i16> {
        let log_start = self.start;
        if let Some(stamp) = info.stamp {
            match self.producers.check_batch(stamp, info.records, rules) {
                CheckResult::Refuse(code) => return Err(code),
                CheckResult::Duplicate(base_offset) => {
                    let end = base_offset + i64::from(info.records);
                    // Kafka returns the largest timestamp of the batch, whatever the topic's kind of timestamps.
                    let place = self.stored.partition_point(|stored| stored.base_offset < base_offset);
                    let append_time_ms = self.stored.get(place).map_or(append_time_ms, |stored| stored.max_timestamp);
                    return Ok(Appended { base_offset, append_time_ms, end, log_start });
                }
                CheckResult::Append if self.transactions.is_open(stamp.producer) && !info.is_transactional => {
                    return Err(code::INVALID_TXN_STATE);
                }
                CheckResult::Append => self.producers.appended(stamp, info.records, self.end),
            }
            if info.is_transactional {
                self.producers.verification_ends(stamp.producer);
            }
        }
        let base_offset = self.store(info, bytes, leader_epoch, append_time_ms, max_timestamp);
        Ok(Appended { base_offset, append_time_ms, end: self.end, log_start })
    }

    /// Appends the marker of a producer's transaction, and returns its offset. `epochs` are those of the coordinator and of the
    /// leader.
    pub(crate) fn append_marker(
        &mut self,
        (producer, epoch): (i64, i16),
        commits: bool,
        (coordinator_epoch, leader_epoch): (i32, i32),
        timestamp_ms: i64,
        append_time_ms: i64,
    ) -> i64 {
        let kind = if commits { ControlKind::Commit } else { ControlKind::Abort };
        let bytes = control::batch(kind, producer, epoch, coordinator_epoch, timestamp_ms);
        let info = BatchInfo {
            records: 1,
            magic: Magic::V2,
            codec: Codec::None,
            stamp: Some(ProducerStamp { producer, epoch, sequence: -1 }),
            is_transactional: true,
            control: Some(kind),
        };
        self.producers.ended(producer, epoch);
        self.producers.verification_ends(producer);
        self.store(info, &bytes, leader_epoch, append_time_ms, timestamp_ms)
    }

    /// Stores a batch at the end, and returns its offset.
    fn store(
        &mut self,
        info: BatchInfo,
        bytes: &[u8],
        leader_epoch: i32,
        append_time_ms: i64,
        max_timestamp: i64,
    ) -> i64 {
        let base_offset = self.end;
        self.end += i64::from(info.records);
        let max_timestamp = if append_time_ms >= 0 { append_time_ms } else { max_timestamp };
        let bytes = assign(bytes, &info, base_offset, leader_epoch, append_time_ms, max_timestamp);
        let stored = StoredBatch { base_offset, info, max_timestamp, leader_epoch, bytes };
        self.transactions.appended(&stored);
        self.stored.push(stored);
        base_offset
    }

    /// Returns true if the marker of a producer is at this offset.
    pub(crate) fn has_marker(&self, producer: i64, offset: i64) -> bool {
        let place = self.stored.binary_search_by_key(&offset, |stored| stored.base_offset);
        place.is_ok_and(|place| {
            let info = self.stored[place].info;
            info.control.is_some() && info.stamp.is_some_and(|stamp| stamp.producer == producer)
        })
    }

    /// Returns true if a producer has an open transaction here, with this epoch.
    pub(crate) fn has_transaction(&self, producer: i64, epoch: i16) -> bool {
        self.transactions.is_open(producer) && self.producers.epoch(producer) == Some(epoch)
    }

    /// Records that the transaction of a batch is asked for, by a version of level 2 or not.
    pub(crate) fn verification_starts(&mut self, stamp: ProducerStamp, is_level_2: bool) {
        self.producers.verification_starts(stamp, is_level_2);
    }

    /// Returns the offset up to which consumers of committed records can read: no record before it is of an open transaction.
    #[must_use]
    pub fn last_stable_offset(&self) -> i64 {
        self.transactions.last_stable_offset(self.high_watermark())
    }

    /// Returns producer and first offset of the aborted transactions that have records from `from` to before `end`.
    pub(crate) fn aborted(&self, from: i64, end: i64) -> impl Iterator<Item = (i64, i64)> {
        self.transactions.aborted(from, end).map(|Ended { producer, first, .. }| (*producer, *first))
    }

    /// Commits the log up to this offset: every replica has it.
    pub fn commit(&mut self, end: i64) {
        while self.stored.get(self.committed).is_some_and(|stored| stored.base_offset < end) {
            self.committed += 1;
        }
    }

    /// Returns the offset up to which every replica has the log.
    #[must_use]
    pub fn high_watermark(&self) -> i64 {
        self.stored.get(self.committed).map_or(self.end, |stored| stored.base_offset)
    }

    /// Returns the offset of the next record.
    #[must_use]
    pub const fn end(&self) -> i64 {
        self.end
    }

    /// Returns the number of batches that only the leader has.
    #[must_use]
    pub fn uncommitted(&self) -> usize {
        self.stored.len() - self.committed
    }

    /// Makes another replica the leader, which has `kept` of the batches that were not committed. The others are lost.
    /// If it was `restarted`, it remembers only the last batch of each producer, which is what a snapshot contains.
    pub fn change_leader(&mut self, kept: usize, restarted: bool) -> Vec<StoredBatch> {
        self.committed = self.stored.len().min(self.committed + kept);
        let lost = self.stored.split_off(self.committed);
        if let Some(first) = lost.first() {
            self.end = first.base_offset;
            // A follower knows of the producers only what is in its log.
            let start = self.start;
            self.producers = Producers::default();
            for stored in self.stored.iter().filter(|stored| stored.base_offset >= start) {
                match (stored.info.stamp, stored.info.control) {
                    (Some(stamp), None) => self.producers.appended(stamp, stored.info.records, stored.base_offset),
                    (Some(stamp), Some(_)) => self.producers.ended(stamp.producer, stamp.epoch),
                    (None, _) => {}
                }
            }
            self.transactions = TransactionIndex::of(&self.stored);
        }
        if restarted {
            self.producers.truncate_to_last();
        }
        lost
    }

    /// Applies retention: everything committed is deleted, and the state of the producers with it. (The batches remain
    /// here, for observers, which need everything that was ever written.)
    pub fn expire(&mut self) {
        if self.uncommitted() == 0 {
            self.start = self.end;
            self.producers.forget();
            self.expired = true;
        }
    }

    /// Forgets the producers, as a broker does that has lost their state. The batches remain.
    pub fn forget_producers(&mut self) {
        self.producers.forget();
        self.expired = true;
    }

    /// Forgets all batches but the last of each producer, as a broker does that was restarted.
    pub fn restart(&mut self) {
        self.producers.truncate_to_last();
    }

    /// Returns true if the sequences of this producer are checked here.
    #[must_use]
    pub fn knows(&self, producer: i64) -> bool {
        self.producers.know(producer)
    }

    /// Returns true if producers were ever forgotten here. Since then the broker accepts any first sequence of an
    /// unknown producer, so a batch may be written before an earlier one that was rejected because of its size, for
    /// example. No client can prevent that, except with a single request in flight.
    #[must_use]
    pub const fn has_forgotten(&self) -> bool {
        self.expired
    }

    /// The first offset that a consumer can still read.
    #[must_use]
    pub const fn start(&self) -> i64 {
        self.start
    }

    /// Returns the batches, in order: also those before [`start`](Self::start).
    #[must_use]
    pub fn stored(&self) -> &[StoredBatch] {
        &self.stored
    }

    /// Returns the batches from [`start`](Self::start) on.
    #[must_use]
    pub fn readable(&self) -> &[StoredBatch] {
        let first = self.stored.partition_point(|stored| stored.end() <= self.start);
        &self.stored[first..]
    }

    /// Returns the batches that consumers can read, from the one that contains this offset on.
    #[must_use]
    pub fn readable_from(&self, offset: i64) -> &[StoredBatch] {
        let readable = &self.stored[..self.committed];
        let first = readable.partition_point(|stored| stored.end() <= offset.max(self.start));
        &readable[first..]
    }
}

/// Assigns the fields that a broker assigns: offsets, leader epoch, the largest timestamp, and its kind.
fn assign(
    bytes: &[u8],
    info: &BatchInfo,
    base_offset: i64,
    leader_epoch: i32,
    append_time_ms: i64,
    max_timestamp: i64,
) -> Bytes {
    if info.magic != Magic::V2 {
        return crate::legacy::assign(bytes, info, base_offset, append_time_ms);
    }
    let mut bytes = BytesMut::from(bytes);
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[at::LEADER_EPOCH..at::MAGIC].copy_from_slice(&leader_epoch.to_be_bytes());
    // The kind of timestamps is the topic's, whatever the client says, and the largest one is the broker's.
    let given = i16::from_be_bytes(number(&bytes, at::ATTRIBUTES));
    let attributes = match append_time_ms {
        0.. => given | attribute::LOG_APPEND_TIME,
        _ => given & !attribute::LOG_APPEND_TIME,
    };
    if info.control.is_some()
        || attributes != given
        || max_timestamp != i64::from_be_bytes(number(&bytes, at::MAX_TIMESTAMP))
    {
        bytes[at::ATTRIBUTES..at::LAST_OFFSET_DELTA].copy_from_slice(&attributes.to_be_bytes());
        bytes[at::MAX_TIMESTAMP..at::PRODUCER_ID].copy_from_slice(&max_timestamp.to_be_bytes());
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[at::ATTRIBUTES..]) as u32;
        bytes[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    }
    bytes.freeze()
}
