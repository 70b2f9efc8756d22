//! Observes one connection, with an independent decoder: requests, responses, and which responses are valid.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kafka_batch_testing::ApiKey;
use kafka_batch_testing::simulated::{Cluster, TopicRef};
use kafka_batch_testing::wire::init_producer_id::InitProducerIdResponse;
use kafka_batch_testing::wire::metadata::MetadataResponse;
use kafka_batch_testing::wire::{self, Frames, Malformed, open, response_header_len};

use super::Violation;
use super::history::{Attempt, BatchHistory, SentBatch};
use super::known_leaders::KnownLeaders;
use crate::Moment;
use crate::contents::{Serial, identify};
use crate::wire::{SetResponse, decode_request, decode_response};

/// The maximum time for which a producer obeys throttling, whatever a broker requests.
pub const LONGEST_THROTTLE: Moment = Moment::from_secs(60);

/// A request without a response so far.
#[derive(Debug)]
struct Outstanding {
    api: ApiKey,
    version: i16,
    correlation: i32,
    /// A SASL token in a frame without a header; its response has none either.
    bare: bool,
    sets: BTreeMap<(TopicRef, i32), (Serial, usize)>,
}

/// What a machine may do on a connection.
#[derive(Clone, Copy, Debug)]
pub struct ClientRules {
    /// True if topics are remembered for the whole run (`metadata.max.idle.ms`).
    pub remembers: bool,
    /// `max.in.flight.requests.per.connection`.
    pub most_in_flight: usize,
    /// `max.request.size`.
    pub most_bytes: usize,
    /// `acks`.
    pub acks: i16,
}

/// An observed connection.
#[derive(Debug)]
pub struct Tap {
    connection: u64,
    broker: i32,
    rules: ClientRules,
    incoming: Frames,
    /// All requests sent so far have smaller numbers.
    next_correlation: i32,
    outstanding: VecDeque<Outstanding>,
    /// For each frame that is not written yet: the attempts in it.
    unwritten: VecDeque<Vec<(Serial, usize)>>,
    /// True if everything received from here on is meaningless.
    corrupted: bool,
    silent_until: Moment,
    /// True if the next sent frame is a raw SASL token.
    token_next: bool,
}

impl Tap {
    /// Observes this connection with this broker.
    #[must_use]
    pub fn new(connection: u64, broker: i32, rules: ClientRules) -> Self {
        Self {
            connection,
            broker,
            rules,
            incoming: Frames::default(),
            next_correlation: 0,
            outstanding: VecDeque::new(),
            unwritten: VecDeque::new(),
            corrupted: false,
            silent_until: Moment::ZERO,
            token_next: false,
        }
    }

    /// Returns the number of Produce requests without a response.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.outstanding.iter().filter(|request| request.api == ApiKey::Produce).count()
    }

    /// Checks a sent frame. Returns a line about it.
    pub fn transmitted(
        &mut self,
        segments: &[Bytes],
        cluster: &Cluster,
        history: &mut BatchHistory,
        known_leaders: &KnownLeaders,
        now: Moment,
    ) -> Result<String, Violation> {
        let rules = self.rules;
        let whole = segments.concat();
        let mut frames = Frames::default();
        frames.push(&whole);
        let Some(frame) = frames.next_frame().filter(|_| frames.left().is_empty()) else {
            return Violation::of("a Transmit is one frame", format!("{} bytes", whole.len()));
        };
        if std::mem::take(&mut self.token_next) {
            let (api, sets) = (ApiKey::SaslAuthenticate, BTreeMap::new());
            self.unwritten.push_back(Vec::new());
            self.outstanding.push_back(Outstanding { api, version: 0, correlation: i32::MIN, bare: true, sets });
            return Ok(format!("a SASL token of {} bytes", frame.len()));
        }
        let request = open(frame).or_else(undecodable)?;
        if now < self.silent_until && !self.corrupted {
            return Violation::of("throttling is obeyed", format!("{:?} before {:?}", request.api, self.silent_until));
        }
        if self.outstanding.iter().any(|other| other.correlation == request.correlation) {
            return Violation::of("correlation ids are unique", request.correlation.to_string());
        }
        self.next_correlation = self.next_correlation.max(request.correlation + 1);
        let mut sets = BTreeMap::new();
        let mut line = format!("{:?} v{} #{}", request.api, request.version, request.correlation);
        let mut answered = true;
        if request.api == ApiKey::Produce {
            let decoded = decode_request(&request).or_else(undecodable)?;
            if decoded.acks != rules.acks {
                return Violation::of("acks are those of the settings", decoded.acks.to_string());
            }
            if decoded.sets.len() > 1 && whole.len() > rules.most_bytes {
                return Violation::of("max.request.size is not exceeded", format!("{} bytes", whole.len()));
            }
            answered = decoded.acks != 0;
            for set in decoded.sets {
                let identity =
                    identify(&set.records).or_else(|error| Violation::of("batches can be decoded", error))?;
                // A topic that the cluster does not know (yet) is named; only ids need the cluster.
                let topic = match &set.topic {
                    TopicRef::Name(name) => name.clone(),
                    TopicRef::Id(_) => cluster.name_ever(&set.topic).unwrap_or_default(),
                };
                let attempt = Attempt {
                    connection: self.connection,
                    broker: self.broker,
                    acks: decoded.acks,
                    stamp: identity.stamp,
                    first: identity.first,
                    records: identity.records,
                    written: false,
                    answer: None,
                    rejected_records: Vec::new(),
                    cannot_succeed: false,
                    over: false,
                };
                line += &format!(" {topic}-{}:{}", set.partition, identity.serial.0);
                let outdated =
                    known_leaders.is_outdated(&topic, set.partition, self.broker).filter(|_| rules.remembers);
                if let Some(epoch) = outdated {
                    let what = format!("{line} to broker {}, although epoch {epoch} is known", self.broker);
                    return Violation::of("a leader of an older epoch is not used", what);
                }
                if let Some(stamp) = identity.stamp {
                    line += &format!("({}/{}/{})", stamp.producer, stamp.epoch, stamp.sequence);
                }
                let to = (topic, set.partition);
                let sighting = SentBatch { serial: identity.serial, to, attempt, bytes: &set.records };
                let number = history.seen(sighting)?;
                sets.insert((set.topic, set.partition), (identity.serial, number));
            }
        }
        self.unwritten.push_back(sets.values().copied().collect());
        if answered {
            let (api, version, correlation) = (request.api, request.version, request.correlation);
            self.token_next = api == ApiKey::SaslHandshake && version == 0;
            self.outstanding.push_back(Outstanding { api, version, correlation, bare: false, sets });
            if self.in_flight() > rules.most_in_flight {
                return Violation::of("max.in.flight is not exceeded", format!("{} requests", self.in_flight()));
            }
        }
        Ok(line)
    }

    /// Records that the oldest frame is written.
    pub fn written(&mut self, history: &mut BatchHistory) {
        for (serial, attempt) in self.unwritten.pop_front().unwrap_or_default() {
            if let Some(attempt) = history.attempt_mut(serial, attempt) {
                attempt.written = true;
            }
        }
    }

    /// Records the valid responses in received bytes. Returns lines about them.
    pub fn received(
        &mut self,
        bytes: &[u8],
        corrupted: bool,
        history: &mut BatchHistory,
        (known_leaders, cluster): (&mut KnownLeaders, &Cluster),
        now: Moment,
    ) -> Vec<String> {
        self.corrupted |= corrupted;
        let mut lines = Vec::new();
        if self.corrupted {
            return lines;
        }
        self.incoming.push(bytes);
        while let Some(frame) = self.incoming.next_frame() {
            match self.answer(&frame, history, (known_leaders, cluster), now) {
                Some(line) => lines.push(line),
                None => {
                    self.corrupted = true;
                    lines.push("an invalid response".into());
                    break;
                }
            }
        }
        lines
    }

    /// Checks a response; `None` if it cannot be the response to the next request.
    fn answer(
        &mut self,
        frame: &Bytes,
        history: &mut BatchHistory,
        (known_leaders, cluster): (&mut KnownLeaders, &Cluster),
        now: Moment,
    ) -> Option<String> {
        let is_bare = self.outstanding.front().is_some_and(|request| request.bare);
        if is_bare {
            self.outstanding.pop_front();
            return Some("the SASL token responded to".into());
        }
        let correlation = i32::from_be_bytes(*frame.first_chunk()?);
        if self.outstanding.front().is_none_or(|request| request.correlation != correlation) {
            // Without acknowledgements the machine tolerates unexpected responses.
            let is_borne = self.rules.acks == 0 && (0..self.next_correlation).contains(&correlation);
            return is_borne.then(|| format!("an unexpected response #{correlation}"));
        }
        let request = self.outstanding.pop_front()?;
        let mut line = format!("{:?} v{} #{correlation} responded to", request.api, request.version);
        let header = response_header_len(request.api, request.version);
        let body = (frame.len() >= header).then(|| frame.slice(header..))?;
        if request.api == ApiKey::Metadata {
            let response: MetadataResponse = wire::read(request.api, request.version, body.clone()).ok()?;
            known_leaders.metadata(request.version, &response);
        }
        if request.api == ApiKey::InitProducerId {
            let answer: InitProducerIdResponse = wire::read(request.api, request.version, body.clone()).ok()?;
            if answer.error_code == 0 {
                history.identities.granted(answer.producer_id, answer.producer_epoch);
                line += &format!(" {}/{}", answer.producer_id, answer.producer_epoch);
            }
        }
        if request.api != ApiKey::Produce {
            return Some(line);
        }
        let answers = decode_response(request.version, body).ok()?;
        // Responses for batches that have failed are ignored.
        let is_open = |set: &&SetResponse| {
            let sent = request.sets.get(&(set.topic.clone(), set.partition));
            sent.is_some_and(|(serial, _)| history.accepted_batches[serial].outcome.is_none())
        };
        known_leaders.produced(answers.sets.iter().filter(is_open), &answers.endpoints, |topic| match topic {
            TopicRef::Name(name) => Some(name.clone()),
            TopicRef::Id(_) => cluster.name_ever(topic),
        });
        for (serial, attempt) in request.sets.values() {
            if let Some(attempt) = history.attempt_mut(*serial, *attempt) {
                attempt.over = true;
            }
        }
        for set in answers.sets {
            line += &format!(" {}@{}", set.code, set.base_offset);
            if let Some((serial, attempt)) = request.sets.get(&(set.topic.clone(), set.partition)) {
                history.answered(*serial, *attempt, set.code, set.base_offset, set.rejected_records);
            }
        }
        // Older brokers delay their responses themselves (KIP-219).
        if request.version >= 6 && answers.throttle_ms > 0 {
            self.silent_until = now + Moment::from_millis(answers.throttle_ms as u64).min(LONGEST_THROTTLE);
        }
        Some(line)
    }
}

fn undecodable<T>(error: Malformed) -> Result<T, Violation> {
    Violation::of("requests can be decoded", error.to_string())
}
