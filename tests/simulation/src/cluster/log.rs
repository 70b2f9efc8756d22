//! The log of one partition at its leader: the records that every replica has, then those that only the leader has.

use bytes::Bytes;

use super::producers::{CheckResult, Producers, Rules};
use crate::contents::Identity;

/// A batch in a log.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The serial number of the batch.
    pub identity: Identity,
    /// Its bytes, as they were received.
    pub bytes: Bytes,
}

/// A log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    stored: Vec<Stored>,
    /// How many of the stored batches every replica has: these survive a change of leader.
    committed: usize,
    /// Increases with every batch, and decreases when the log is truncated.
    end: i64,
    start: i64,
    producers: Producers,
    expired: bool,
}

impl Log {
    /// Appends a batch, or returns why it is rejected. Returns the offset of its first record, and the end of the log
    /// that must be committed before a response with acks=all.
    pub fn append(&mut self, identity: Identity, bytes: Bytes, rules: Rules) -> Result<(i64, i64), i16> {
        if let Some(stamp) = identity.stamp {
            match self.producers.check_batch(stamp, identity.records, rules) {
                CheckResult::Refuse(code) => return Err(code),
                CheckResult::Duplicate(offset) => return Ok((offset, offset + i64::from(identity.records))),
                CheckResult::Append => self.producers.appended(stamp, identity.records, self.end),
            }
        }
        let base_offset = self.end;
        self.end += i64::from(identity.records);
        self.stored.push(Stored { base_offset, identity, bytes });
        Ok((base_offset, self.end))
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

    /// Returns the number of batches that only the leader has.
    #[must_use]
    pub fn uncommitted(&self) -> usize {
        self.stored.len() - self.committed
    }

    /// Makes another replica the leader, which has `kept` of the batches that were not committed. The others are lost.
    /// If it was `restarted`, it remembers only the last batch of each producer, which is what a snapshot contains.
    pub fn change_leader(&mut self, kept: usize, restarted: bool) -> Vec<Stored> {
        self.committed = self.stored.len().min(self.committed + kept);
        let lost = self.stored.split_off(self.committed);
        if let Some(first) = lost.first() {
            self.end = first.base_offset;
            // A follower knows of the producers only what is in its log.
            let start = self.start;
            self.producers = Producers::default();
            for stored in self.stored.iter().filter(|stored| stored.base_offset >= start) {
                if let Some(stamp) = stored.identity.stamp {
                    self.producers.appended(stamp, stored.identity.records, stored.base_offset);
                }
            }
        }
        if restarted {
            self.producers.truncate_to_last();
        }
        lost
    }

    /// Applies retention: everything committed is deleted, and the state of the producers with it. (The batches remain
    /// here, for the laws, which need everything that was ever written.)
    pub fn expire(&mut self) {
        if self.uncommitted() == 0 {
            self.start = self.end;
            self.producers.forget();
            self.expired = true;
        }
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

    /// Returns the batches, in order.
    #[must_use]
    pub fn stored(&self) -> &[Stored] {
        &self.stored
    }
}
