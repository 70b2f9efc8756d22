//! The links between the machine's sockets and the brokers. Like TCP, they preserve order and duplicate nothing; they have
//! latency, stall, and can be cut.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::Moment;
use crate::random::Random;

/// The speed of links.
#[derive(Clone, Copy, Debug)]
pub struct LinkSettings {
    /// The maximum latency of a packet, in milliseconds.
    pub latency_ms: u64,
    /// The percentage of cases in which bytes arrive in several pieces.
    pub pieces_percent: u64,
}

/// What arrives at an end of a link.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// At the client: the connection is established.
    Connected,
    /// At the client: the connection is refused.
    Refused,
    /// At the client: this many of the bytes to write were written.
    Written,
    /// At the client: bytes, and whether they are corrupted.
    AtClient(Bytes, bool),
    /// At the client: the connection is closed by the broker, or lost by a fault.
    ClosedAtClient {
        /// True if closed in order, after the last byte.
        orderly: bool,
    },
    /// At the broker: a connection.
    Accepted,
    /// At the broker: bytes.
    AtBroker(Bytes),
    /// At the broker: the connection is closed.
    ClosedAtBroker,
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    queue: VecDeque<(Moment, Arrival)>,
    last: Moment,
    stalled_until: Moment,
    /// The link is cut after this many more bytes have arrived.
    cut_after: Option<usize>,
    closed: bool,
}

impl Pipe {
    fn push(&mut self, at: Moment, arrival: Arrival) {
        self.last = self.last.max(at);
        self.queue.push_back((self.last, arrival));
    }

    fn next_at(&self) -> Option<Moment> {
        self.queue.front().map(|(at, _)| (*at).max(self.stalled_until))
    }

    fn pop(&mut self, now: Moment) -> Option<Arrival> {
        if self.next_at()? > now {
            return None;
        }
        self.queue.pop_front().map(|(_, arrival)| arrival)
    }
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    /// The broker at the other end.
    pub broker: i32,
    settings: LinkSettings,
    to_broker: Pipe,
    to_client: Pipe,
    /// When the bytes to write will have been written.
    written: VecDeque<Moment>,
    random: Random,
}

impl Link {
    /// Starts a connection. It is accepted, refused, or (if `swallowed`) never responded to.
    #[must_use]
    pub fn connect(
        broker: i32,
        settings: LinkSettings,
        refused: bool,
        swallowed: bool,
        now: Moment,
        random: Random,
    ) -> Self {
        let (to_broker, to_client) = (Pipe::default(), Pipe::default());
        let mut link = Self { broker, settings, to_broker, to_client, written: VecDeque::new(), random };
        let at = now + link.latency() + link.latency();
        if swallowed {
            link.to_broker.closed = true;
        } else if refused {
            link.to_client.push(at, Arrival::Refused);
            link.to_client.closed = true;
            link.to_broker.closed = true;
        } else {
            link.to_client.push(at, Arrival::Connected);
            link.to_broker.push(at, Arrival::Accepted);
        }
        link
    }

    fn latency(&mut self) -> Moment {
        self.random.millis(0, self.settings.latency_ms)
    }

    /// The client writes.
    pub fn write(&mut self, bytes: Bytes, now: Moment) {
        if self.to_broker.closed {
            return;
        }
        let last = self.written.back().copied().unwrap_or(now);
        let written_at =
            (now + Moment::from_micros(self.random.below(900))).max(self.to_broker.stalled_until).max(last);
        self.written.push_back(written_at);
        let after = now + self.latency();
        for piece in self.pieces(bytes) {
            self.to_broker.push(after, Arrival::AtBroker(piece));
        }
    }

    /// The broker writes.
    pub fn answer(&mut self, bytes: Bytes, corrupted: bool, now: Moment) {
        if !self.to_client.closed {
            let mut at = now + self.latency();
            for piece in self.pieces(bytes) {
                self.to_client.push(at, Arrival::AtClient(piece, corrupted));
                at += self.random.millis(0, 2);
            }
        }
    }

    fn pieces(&mut self, mut bytes: Bytes) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        while bytes.len() > 1 && self.random.percent(self.settings.pieces_percent) {
            let cut = self.random.between(1, bytes.len() as u64 - 1) as usize;
            pieces.push(bytes.split_to(cut));
        }
        pieces.push(bytes);
        pieces
    }

    /// The client closes: what it has written arrives (or, rarely, only a part), and then the end.
    pub fn close_by_client(&mut self, now: Moment) {
        self.to_client.queue.clear();
        self.to_client.closed = true;
        self.written.clear();
        if !self.to_broker.closed {
            self.to_broker.closed = true;
            if self.random.percent(15) {
                let kept = self.random.below(self.to_broker.queue.len() as u64 + 1) as usize;
                self.to_broker.queue.truncate(kept);
            }
            let after = now + self.latency();
            self.to_broker.push(after, Arrival::ClosedAtBroker);
        }
    }

    /// The broker closes: what it has written arrives, and then the end.
    pub fn close_by_broker(&mut self, now: Moment) {
        self.to_broker.queue.clear();
        self.to_broker.closed = true;
        if !self.to_client.closed {
            self.to_client.closed = true;
            let after = now + self.latency();
            self.to_client.push(after, Arrival::ClosedAtClient { orderly: true });
        }
    }

    /// Both ends lose the connection; bytes in transit are lost.
    pub fn cut(&mut self, now: Moment) {
        self.written.clear();
        for (pipe, end) in [
            (&mut self.to_broker, Arrival::ClosedAtBroker),
            (&mut self.to_client, Arrival::ClosedAtClient { orderly: false }),
        ] {
            if !pipe.closed {
                pipe.closed = true;
                pipe.queue.clear();
                pipe.last = now;
                pipe.stalled_until = now;
                pipe.push(now, end);
            }
        }
    }

    /// Cuts the link after this many more bytes have arrived in one direction.
    pub const fn cut_after(&mut self, bytes: usize, to_broker: bool) {
        let pipe = if to_broker { &mut self.to_broker } else { &mut self.to_client };
        // A later cut does not replace an earlier one: otherwise bytes would be missing in the middle.
        pipe.cut_after = match pipe.cut_after {
            Some(left) if left < bytes => Some(left),
            _ => Some(bytes),
        };
    }

    /// Removes a cut that has not happened yet.
    pub const fn end_faults(&mut self) {
        if !self.to_broker.closed {
            self.to_broker.cut_after = None;
        }
        if !self.to_client.closed {
            self.to_client.cut_after = None;
        }
    }

    /// Stops one direction until this time.
    pub fn stall(&mut self, until: Moment, to_broker: bool) {
        let pipe = if to_broker { &mut self.to_broker } else { &mut self.to_client };
        pipe.stalled_until = pipe.stalled_until.max(until);
    }

    /// Returns what arrives next, if it has arrived by now.
    pub fn arrival(&mut self, now: Moment) -> Option<Arrival> {
        if let Some(arrival) = self.to_broker.pop(now) {
            return Some(match arrival {
                Arrival::AtBroker(bytes) => Arrival::AtBroker(self.through(bytes, true, now)),
                other => other,
            });
        }
        if self.written.front().is_some_and(|at| *at <= now) {
            self.written.pop_front();
            return Some(Arrival::Written);
        }
        Some(match self.to_client.pop(now)? {
            Arrival::AtClient(bytes, corrupted) => Arrival::AtClient(self.through(bytes, false, now), corrupted),
            other => other,
        })
    }

    /// Lets bytes arrive, or the part of them before the cut.
    fn through(&mut self, mut bytes: Bytes, to_broker: bool, now: Moment) -> Bytes {
        let pipe = if to_broker { &mut self.to_broker } else { &mut self.to_client };
        if let Some(left) = pipe.cut_after {
            pipe.cut_after = Some(left.saturating_sub(bytes.len()));
            if left <= bytes.len() {
                bytes.truncate(left);
                self.cut(now);
            }
        }
        bytes
    }

    /// Returns when the next thing arrives.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        let written = self.written.front().copied();
        [self.to_broker.next_at(), self.to_client.next_at(), written].into_iter().flatten().min()
    }

    /// Returns true if nothing will arrive any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.to_broker.closed && self.to_client.closed && self.wakes_at().is_none()
    }
}
