//! A connection at its broker: the phases of one request after the other.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::sasl::SaslState;
use super::{Broker, BrokerAction, Call, ExecuteResult, Fault, FaultKind, Pending};
use crate::Moment;
use crate::api_key::ApiKey;
use crate::cluster::Cluster;
use crate::wire::{self, Frames, Request};

/// A time that never comes: something is held until it is released.
const HELD: Moment = Moment::MAX;

/// From so many bytes of responses on that a client has not received, no further request of it is executed. Kafka executes one
/// when the response to the one before is sent; here a client may be behind, but what is kept for it is limited.
const MOST_UNSENT: usize = 1 << 24;

/// The state of a request.
#[derive(Debug)]
pub(super) enum Phase {
    /// It is executed at this time.
    Accepted { request: Request, at: Moment, fault: Option<FaultKind> },
    /// It waits.
    Waiting { request: Request, pending: Box<Pending>, fault: Option<FaultKind> },
    /// The response is sent at this time. With `then_close` the connection is closed after it.
    Answering { at: Moment, answer: Bytes, corrupted: bool, then_close: bool },
    /// There is no response, but the next request waits until this time.
    Pausing { at: Moment },
    /// The connection is to be closed.
    Closing,
    /// Nothing is ever sent again on this connection.
    Unresponsive,
}

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    frames: Frames,
    pub(super) requests: VecDeque<Bytes>,
    pub(super) phase: Option<Phase>,
    login: SaslState,
    listener: usize,
    /// The client has closed the connection: its requests are still executed, but the responses are discarded.
    pub(super) client_closed: bool,
    /// A frame is too large. After the requests before it, the connection is closed.
    is_refused: bool,
    /// The number of bytes of responses that the client has not received, if they are limited.
    unsent: Option<usize>,
}

impl Connection {
    pub(super) fn new(login: SaslState, listener: usize) -> Self {
        Self { login, listener, ..Self::default() }
    }

    pub(super) fn receive(&mut self, bytes: &[u8], max_frame: usize) {
        if self.is_refused {
            return;
        }
        self.frames.push(bytes);
        loop {
            if self.frames.next_length().is_some_and(|length| length > max_frame) {
                (self.is_refused, self.frames) = (true, Frames::default());
                return;
            }
            let Some(frame) = self.frames.next_frame() else { return };
            self.requests.push_back(frame);
        }
    }

    pub(super) fn is_muted(&self) -> bool {
        (self.phase.is_some() || self.is_full()) && !self.requests.is_empty()
    }

    /// Returns the number of bytes that were received and are not executed.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.requests.iter().map(Bytes::len).sum::<usize>() + self.frames.left().len()
    }

    pub(super) fn limit_unsent(&mut self) {
        self.unsent = Some(0);
    }

    /// The client has received bytes of responses.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.unsent = self.unsent.map(|unsent| unsent.saturating_sub(bytes));
    }

    /// Returns true if no request is executed until the client has received more.
    fn is_full(&self) -> bool {
        !self.client_closed && self.unsent.is_some_and(|unsent| unsent >= MOST_UNSENT)
    }

    pub(super) fn release_held(&mut self, now: Moment) {
        if let Some(Phase::Accepted { at, .. } | Phase::Answering { at, .. }) = &mut self.phase {
            if *at == HELD {
                *at = now;
            }
        }
    }

    pub(super) fn wakes_at(&self) -> Option<Moment> {
        let at = match &self.phase {
            Some(Phase::Accepted { at, .. } | Phase::Answering { at, .. } | Phase::Pausing { at }) => *at,
            Some(Phase::Waiting { pending, .. }) => pending.until(),
            _ => return None,
        };
        (at != HELD).then_some(at)
    }
}

impl Broker {
    /// Works on a connection until nothing is due. Returns whether it stays open.
    pub(super) fn work(
        &mut self,
        id: u64,
        connection: &mut Connection,
        cluster: &mut Cluster,
        now: Moment,
        actions: &mut Vec<BrokerAction>,
    ) -> bool {
        loop {
            let next = match connection.phase.take() {
                None if connection.is_full() => return true,
                None => match connection.requests.pop_front() {
                    None if connection.is_refused => {
                        self.report_violation("a request that is larger than socket.request.max.bytes".into());
                        Some(Phase::Closing)
                    }
                    None => return !connection.client_closed,
                    Some(frame) => match std::mem::take(&mut connection.login) {
                        SaslState::BareToken(negotiated) => match self.bare_token(&frame, negotiated, now) {
                            Some((answer, login)) => {
                                connection.login = login;
                                Some(Phase::Answering { at: now, answer, corrupted: false, then_close: false })
                            }
                            None => Some(Phase::Closing),
                        },
                        login => {
                            connection.login = login;
                            self.begin(id, frame, cluster, now, actions)
                        }
                    },
                },
                Some(Phase::Accepted { request, at, fault }) if at <= now => {
                    let call = Call { request: &request, fault: fault.as_ref(), listener: connection.listener, now };
                    match self.execute(&call, &mut connection.login, cluster) {
                        ExecuteResult::Wait(pending) => Some(Phase::Waiting { request, pending, fault }),
                        done => self.finish(&request, fault.as_ref(), done, now),
                    }
                }
                // Nobody waits for the records any more.
                Some(Phase::Waiting { pending, .. })
                    if connection.client_closed && matches!(*pending, Pending::Fetch(_)) =>
                {
                    None
                }
                Some(Phase::Waiting { request, pending, fault }) => match self.resume(&request, *pending, cluster, now)
                {
                    ExecuteResult::Wait(pending) => {
                        connection.phase = Some(Phase::Waiting { request, pending, fault });
                        return true;
                    }
                    done => self.finish(&request, fault.as_ref(), done, now),
                },
                Some(Phase::Answering { at, answer, corrupted, then_close }) if at <= now => {
                    if corrupted {
                        connection.login = SaslState::Undefined;
                    }
                    if !connection.client_closed {
                        connection.unsent = connection.unsent.map(|unsent| unsent.saturating_add(answer.len()));
                        actions.push(BrokerAction::Send { connection: id, bytes: answer, corrupted });
                    }
                    then_close.then_some(Phase::Closing)
                }
                Some(Phase::Pausing { at }) if at <= now => None,
                Some(Phase::Closing) => {
                    actions.push(BrokerAction::CloseConnection(id));
                    return false;
                }
                Some(Phase::Unresponsive) if connection.client_closed => return false,
                later @ Some(_) => {
                    connection.phase = later;
                    return true;
                }
            };
            connection.phase = next;
        }
    }

    fn begin(
        &mut self,
        connection: u64,
        frame: Bytes,
        cluster: &mut Cluster,
        now: Moment,
        actions: &mut Vec<BrokerAction>,
    ) -> Option<Phase> {
        let request = match wire::open(frame) {
            Ok(request) => request,
            Err(error) => {
                self.report_violation(format!("a request whose header cannot be read: {error}"));
                return Some(Phase::Closing);
            }
        };
        if self.recording {
            actions.push(BrokerAction::Received(self.received(connection, &request, cluster, now)));
        }
        let fault = self.take_fault(&request, cluster, actions);
        let mut at = now + self.variation.delay(&mut self.random);
        if request.api == ApiKey::Produce {
            at = at.saturating_add(self.append_delay);
        }
        match &fault {
            Some(FaultKind::DropRequest) => return Some(Phase::Unresponsive),
            Some(FaultKind::CloseConnection { executed: false }) => return Some(Phase::Closing),
            Some(FaultKind::DelayRequest(delay)) => at = at.saturating_add(*delay),
            Some(FaultKind::Throttle(millis)) => self.throttle = Some(*millis),
            _ => {}
        }
        Some(Phase::Accepted { request, at, fault })
    }

    /// Returns the fault that is applied to this request, if there is one.
    fn take_fault(
        &mut self,
        request: &Request,
        cluster: &mut Cluster,
        actions: &mut Vec<BrokerAction>,
    ) -> Option<FaultKind> {
        let own = self.faults.iter().position(|fault| fault.concerns(request, cluster));
        let (faults, position) = match own {
            Some(position) => (&mut self.faults, position),
            None => {
                let shared = cluster.faults.iter().position(|fault| fault.concerns(request, cluster))?;
                (&mut cluster.faults, shared)
            }
        };
        let fault: &mut Fault = &mut faults[position];
        if let Some(less) = fault.after.checked_sub(1) {
            fault.after = less;
            return None;
        }
        let taken = fault.clone();
        if fault.times != u32::MAX {
            fault.times = fault.times.saturating_sub(1);
        }
        if fault.times == 0 {
            faults.remove(position);
        }
        let kind = taken.kind.clone();
        actions.push(BrokerAction::Applied(taken));
        Some(kind)
    }

    fn finish(
        &mut self,
        request: &Request,
        fault: Option<&FaultKind>,
        done: ExecuteResult,
        now: Moment,
    ) -> Option<Phase> {
        let (answer, mut then_close) = match done {
            ExecuteResult::Answer(answer) => (answer, false),
            ExecuteResult::LastAnswer(answer) => (answer, true),
            ExecuteResult::Silent => return Some(Phase::Pausing { at: now }),
            ExecuteResult::CloseConnection => return Some(Phase::Closing),
            ExecuteResult::Unresponsive => return Some(Phase::Unresponsive),
            ExecuteResult::Wait(_) => unreachable!("a waiting request is not finished"),
        };
        let mut at = now;
        let mut corrupted = false;
        let answer = match fault {
            Some(FaultKind::DropResponse) => return Some(Phase::Unresponsive),
            Some(FaultKind::CloseConnection { .. }) => return Some(Phase::Closing),
            Some(FaultKind::DelayResponse(delay)) => {
                at = at.saturating_add(*delay);
                answer
            }
            Some(FaultKind::RespondTwice) => {
                // A second response is distinguished by the observer's own count of responses.
                let mut twice = BytesMut::from(&answer[..]);
                twice.extend_from_slice(&answer);
                twice.freeze()
            }
            Some(FaultKind::CutResponse { bytes }) => {
                then_close = true;
                answer.slice(..answer.len().min(*bytes))
            }
            Some(FaultKind::Garbage(garbage)) => {
                corrupted = true;
                self.corrupt(request, *garbage, &answer)
            }
            _ => answer,
        };
        Some(Phase::Answering { at, answer, corrupted, then_close })
    }
}

impl super::Variation {
    /// Returns the time that a request takes.
    fn delay(&self, random: &mut crate::random::Random) -> Moment {
        self.delay_ms.map_or(Moment::ZERO, |longest| random.millis(0, longest))
    }
}
