//! The outputs that wait to be polled.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::entry::{Entry, Origin, Payload};
use super::event::Event;
use super::io::{ConnectionId, Output, debug_transmit};
use super::partition::LogPosition;
use crate::delivery::Delivery;

/// The outputs that wait to be polled, in order.
///
/// Many deliveries can wait, one for each batch of the responses that have arrived. They are made when they are polled, because
/// one is ten times as large as what it is made of.
#[derive(Debug, Default)]
pub(super) struct OutputQueue(VecDeque<QueuedOutput>);

/// Its `Debug` text is that of the [`Output`], which shows no bytes.
enum QueuedOutput {
    /// A batch, stamped and not split, which is in the log there.
    Delivered(Box<Entry>, LogPosition),
    Transmit(ConnectionId, Vec<Bytes>),
    Other(Box<Output>),
}

impl OutputQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push_back(&mut self, output: Output) {
        self.0.push_back(match output {
            Output::Transmit { connection, bytes } => QueuedOutput::Transmit(connection, bytes),
            other => QueuedOutput::Other(Box::new(other)),
        });
    }

    /// Appends the [`Event::Delivered`] of a batch, which is stamped and not split.
    pub(super) fn push_delivered(&mut self, entry: Box<Entry>, log_position: LogPosition) {
        debug_assert!(matches!((&entry.origin, &entry.payload), (Origin::Whole(_), Payload::Stamped(..))));
        self.0.push_back(QueuedOutput::Delivered(entry, log_position));
    }

    pub(super) fn pop_front(&mut self) -> Option<Output> {
        Some(match self.0.pop_front()? {
            QueuedOutput::Delivered(entry, log_position) => delivered(*entry, log_position),
            QueuedOutput::Transmit(connection, bytes) => Output::Transmit { connection, bytes },
            QueuedOutput::Other(output) => *output,
        })
    }

    /// Removes the bytes for a connection that has ended.
    pub(super) fn remove_transmissions(&mut self, id: ConnectionId) {
        self.0.retain(|waiting| !matches!(waiting, QueuedOutput::Transmit(connection, _) if *connection == id));
    }

    /// Removes the order to close a connection that has ended.
    pub(super) fn remove_close(&mut self, id: ConnectionId) {
        self.0.retain(|waiting| !waiting.closes(id));
    }

    /// Returns `true` if a connection is to be closed.
    #[cfg(debug_assertions)]
    pub(super) fn has_close(&self, id: ConnectionId) -> bool {
        self.0.iter().any(|waiting| waiting.closes(id))
    }
}

impl fmt::Debug for QueuedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered(entry, log_position) => {
                f.debug_tuple("Delivered").field(entry).field(log_position).finish()
            }
            Self::Transmit(connection, bytes) => debug_transmit(f, *connection, bytes),
            Self::Other(output) => output.fmt(f),
        }
    }
}

impl QueuedOutput {
    fn closes(&self, id: ConnectionId) -> bool {
        matches!(self, Self::Other(output) if matches!(**output, Output::Close(closed) if closed == id))
    }
}

fn delivered(entry: Entry, log_position: LogPosition) -> Output {
    let Entry { batch: id, origin: Origin::Whole(to), payload: Payload::Stamped(batch, _), .. } = entry else {
        unreachable!("it is checked where it is appended");
    };
    let LogPosition { offset, append_time, log_start_offset } = log_position;
    let delivery =
        Delivery::new(to, offset, batch).with_log_append_time(append_time).with_log_start_offset(log_start_offset);
    Output::Event(Event::Delivered { id, delivery })
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn what_waits_to_be_written_is_not_shown() {
        let mut queue = OutputQueue::default();
        let output = || Output::Transmit {
            connection: ConnectionId::from_u64(1),
            bytes: [Bytes::from_static(b"hunter2")].into(),
        };
        queue.push_back(output());
        let shown = format!("{queue:?}");
        assert!(shown.contains(&format!("{:?}", output())) && !shown.contains("hunter2"), "{shown}");
    }
}
