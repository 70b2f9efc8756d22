//! The acceptance of batches, or why they are refused.

use alloc::boxed::Box;

use super::{LONGEST_TOPIC, Lifecycle, Machine};
use crate::batch::SealedBatch;
use crate::machine::event::{BatchId, MachineSendError, MachineSendErrorKind};
use crate::machine::stats::SendReason;
use crate::record::TopicPartition;
use crate::time::Instant;

impl Machine {
    /// Accepts a batch for a partition. It is sent at the next poll or later; its outcome is reported as exactly one
    /// [`Event::Delivered`](crate::machine::Event::Delivered) or
    /// [`Event::Failed`](crate::machine::Event::Failed).
    ///
    /// # Errors
    /// The batch was not accepted, and the error has it: too many bytes are buffered (`buffer.memory`), the batch
    /// exceeds `buffer.memory`, the topic or partition is invalid, or the producer is closed.
    pub fn send(&mut self, batch: SealedBatch, to: TopicPartition, now: Instant) -> Result<BatchId, MachineSendError> {
        self.advance(now);
        self.accept(batch, to, SendReason::Explicit, self.now)
    }

    /// As [`send`](Self::send), for a batch that was gathered from single messages. `reason` is why it gathers no more of them,
    /// and `opened` is when the first was accepted. Both are for [`stats`](Self::stats) only.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_gathered(
        &mut self,
        batch: SealedBatch,
        to: TopicPartition,
        reason: SendReason,
        opened: Instant,
        now: Instant,
    ) -> Result<BatchId, MachineSendError> {
        self.advance(now);
        self.accept(batch, to, reason, opened.min(self.now))
    }

    // Inlined, because a batch is large, and would be copied once more.
    #[inline(always)]
    fn accept(
        &mut self,
        batch: SealedBatch,
        to: TopicPartition,
        reason: SendReason,
        opened: Instant,
    ) -> Result<BatchId, MachineSendError> {
        if let Some(kind) = self.refusal(batch.size(), &to) {
            self.buffer_exhausted += u64::from(matches!(kind, MachineSendErrorKind::Full { .. }));
            return Err(MachineSendError { to, kind, batch: Box::new(batch) });
        }
        let is_first = self.accumulator.oldest().is_none();
        let id = self.accumulator.accept(batch, to, (reason, opened), self.now, &mut self.entry_ids);
        if is_first {
            self.update_delivery_timer();
        }
        self.start_idle_timer();
        self.dirty = true;
        self.misuse.on_change(self.now);
        Ok(id)
    }

    fn refusal(&self, needed: usize, to: &TopicPartition) -> Option<MachineSendErrorKind> {
        let (buffered, limit) = (self.accumulator.bytes(), self.config.buffer_memory);
        if self.lifecycle != Lifecycle::Open {
            Some(MachineSendErrorKind::Closed)
        } else if let Some(kind) = self.transaction_refusal() {
            Some(kind)
        } else if to.topic.is_empty() || to.topic.len() > LONGEST_TOPIC {
            Some(MachineSendErrorKind::InvalidTopic)
        } else if to.partition < 0 {
            Some(MachineSendErrorKind::InvalidPartition)
        } else if needed > limit {
            Some(MachineSendErrorKind::ExceedsBufferMemory { needed, limit })
        } else if needed > limit - buffered.min(limit) {
            Some(MachineSendErrorKind::Full { buffered, needed, limit })
        } else {
            None
        }
    }

    /// Returns `true` if [`send`](Self::send) can accept a batch now. A batch that is larger than the free part of the
    /// buffer is still refused. Space is freed by each [`Event::Delivered`](crate::machine::Event::Delivered) or
    /// [`Event::Failed`](crate::machine::Event::Failed).
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.lifecycle == Lifecycle::Open && self.accumulator.bytes() < self.config.buffer_memory
    }

    /// Returns the bytes of accepted batches without an outcome: at most `buffer.memory`.
    #[must_use]
    pub fn bytes_buffered(&self) -> usize {
        self.accumulator.bytes()
    }
}
