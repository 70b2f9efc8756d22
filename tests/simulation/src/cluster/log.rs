//! The log of one partition at its leader: the records that every replica has, then those that only the leader has.

use bytes::Bytes;

use super::producers::{Admission, Producers, Rules};
use crate::contents::Identity;

/// A batch in a log.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The offset of its first record.
    pub base_offset: i64,
    /// Which batch it is.
    pub identity: Identity,
    /// Its bytes, as they were received.
    pub bytes: Bytes,
}

/// A log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    stored: Vec<Stored>,
    /// How many of the stored batches every replica has: these survive a change of leaders.
    committed: usize,
    /// Grows with every batch, and falls back when the log is cut.
    end: i64,
    start: i64,
    producers: Producers,
    expired: bool,
}

impl Log {
    /// Appends a batch, or says why not. Gives the offset of its first record, and the end of the log that has to be
    /// committed before an answer with acks=all.
    pub fn append(&mut self, identity: Identity, bytes: Bytes, rules: Rules) -> Result<(i64, i64), i16> {
        if let Some(stamp) = identity.stamp {
            match self.producers.admit(stamp, identity.records, rules) {
                Admission::Refuse(code) => return Err(code),
                Admission::Duplicate(offset) => return Ok((offset, offset + i64::from(identity.records))),
                Admission::Append => self.producers.appended(stamp, identity.records, self.end),
            }
        }
        let base_offset = self.end;
        self.end += i64::from(identity.records);
        self.stored.push(Stored { base_offset, identity, bytes });
        Ok((base_offset, self.end))
    }

    /// Every replica has the log up to this offset.
    pub fn commit(&mut self, end: i64) {
        while self.stored.get(self.committed).is_some_and(|stored| stored.base_offset < end) {
            self.committed += 1;
        }
    }

    /// Up to where every replica has the log.
    #[must_use]
    pub fn high_watermark(&self) -> i64 {
        self.stored.get(self.committed).map_or(self.end, |stored| stored.base_offset)
    }

    /// How many batches only the leader has.
    #[must_use]
    pub fn uncommitted(&self) -> usize {
        self.stored.len() - self.committed
    }

    /// Another replica becomes leader, one that has `kept` of the batches that were not committed. The others are gone. If it
    /// was `restarted`, it remembers the last batch of each producer and no more: what a snapshot has.
    pub fn change_leader(&mut self, kept: usize, restarted: bool) -> Vec<Stored> {
        self.committed = self.stored.len().min(self.committed + kept);
        let lost = self.stored.split_off(self.committed);
        if let Some(first) = lost.first() {
            self.end = first.base_offset;
            // A follower's view of the producers is what stands in its log.
            let start = self.start;
            self.producers = Producers::default();
            for stored in self.stored.iter().filter(|stored| stored.base_offset >= start) {
                if let Some(stamp) = stored.identity.stamp {
                    self.producers.appended(stamp, stored.identity.records, stored.base_offset);
                }
            }
        }
        if restarted {
            self.producers.remember_the_last();
        }
        lost
    }

    /// Retention: all that is committed is deleted, and with it what was known of the producers. (The batches stay
    /// here, for whoever asks what was ever written.)
    pub fn expire(&mut self) {
        if self.uncommitted() == 0 {
            self.start = self.end;
            self.producers.forget();
            self.expired = true;
        }
    }

    /// Whether the batches of this producer are counted here.
    #[must_use]
    pub fn knows(&self, producer: i64) -> bool {
        self.producers.know(producer)
    }

    /// Whether producers were ever forgotten here. From then on a broker takes any first sequence of a producer that does
    /// not know of it, so that a batch can get in before an earlier one of which it refuses the size, say. No client can
    /// prevent that, short of having one request in flight for ever.
    #[must_use]
    pub const fn has_forgotten(&self) -> bool {
        self.expired
    }

    /// The first offset that a consumer can still read.
    #[must_use]
    pub const fn start(&self) -> i64 {
        self.start
    }

    /// The batches, in order.
    #[must_use]
    pub fn stored(&self) -> &[Stored] {
        &self.stored
    }
}
