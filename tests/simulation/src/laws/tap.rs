//! Observes one connection, with an independent decoder: requests, responses, and which responses are valid.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, InitProducerIdResponse, MetadataResponse};
use kafka_protocol::protocol::Decodable as _;

use super::Breach;
use super::ledger::{Attempt, Ledger, Sighting};
use super::told::Told;
use crate::Moment;
use crate::cluster::Cluster;
use crate::contents::{Serial, identify};
use crate::wire::produce::{Answered, TopicRef, ask, listen};
use crate::wire::{Frames, answer_header_version, open};

/// So long a producer is silent at most, whatever a broker asks for.
pub const LONGEST_THROTTLE: Moment = Moment::from_secs(60);

/// A request that has no answer yet.
#[derive(Debug)]
struct Outstanding {
    api: ApiKey,
    version: i16,
    correlation: i32,
    /// A SASL token in a frame without a header; so is its answer.
    bare: bool,
    sets: BTreeMap<(TopicRef, i32), (Serial, usize)>,
}

/// What a machine may do on a connection.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Whether what was told is remembered for as long as a run takes (`metadata.max.idle.ms`).
    pub remembers: bool,
    /// `max.in.flight.requests.per.connection`.
    pub most_in_flight: usize,
    /// `max.request.size`.
    pub most_bytes: usize,
    /// `acks`.
    pub acks: i16,
}

/// A connection that is listened to.
#[derive(Debug)]
pub struct Tap {
    connection: u64,
    broker: i32,
    manners: Manners,
    incoming: Frames,
    /// The requests that went out so far are numbered below this.
    next_correlation: i32,
    outstanding: VecDeque<Outstanding>,
    /// For each frame that is not written yet: the attempts in it.
    unwritten: VecDeque<Vec<(Serial, usize)>>,
    /// From here on nothing that comes means anything.
    spoilt: bool,
    silent_until: Moment,
    /// The next frame that goes out is a bare SASL token.
    token_next: bool,
}

impl Tap {
    /// Listens to this connection, with this broker.
    #[must_use]
    pub fn new(connection: u64, broker: i32, manners: Manners) -> Self {
        Self {
            connection,
            broker,
            manners,
            incoming: Frames::default(),
            next_correlation: 0,
            outstanding: VecDeque::new(),
            unwritten: VecDeque::new(),
            spoilt: false,
            silent_until: Moment::ZERO,
            token_next: false,
        }
    }

    /// How many Produce requests wait for an answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.outstanding.iter().filter(|request| request.api == ApiKey::Produce).count()
    }

    /// A frame goes out. Gives a line about it.
    pub fn transmitted(
        &mut self,
        segments: &[Bytes],
        cluster: &Cluster,
        ledger: &mut Ledger,
        told: &Told,
        now: Moment,
    ) -> Result<String, Breach> {
        let manners = self.manners;
        let whole = segments.concat();
        let mut frames = Frames::default();
        frames.push(&whole);
        let Some(frame) = frames.next_frame().filter(|_| frames.left().is_empty()) else {
            return Breach::of("a Transmit is one frame", format!("{} bytes", whole.len()));
        };
        if std::mem::take(&mut self.token_next) {
            let (api, sets) = (ApiKey::SaslAuthenticate, BTreeMap::new());
            self.unwritten.push_back(Vec::new());
            self.outstanding.push_back(Outstanding { api, version: 0, correlation: i32::MIN, bare: true, sets });
            return Ok(format!("a SASL token of {} bytes", frame.len()));
        }
        let request = open(frame).or_else(|error| Breach::of("requests can be read", error))?;
        if now < self.silent_until && !self.spoilt {
            return Breach::of("throttling is obeyed", format!("{:?} before {:?}", request.api, self.silent_until));
        }
        if self.outstanding.iter().any(|other| other.correlation == request.correlation) {
            return Breach::of("correlation ids are unique", request.correlation.to_string());
        }
        self.next_correlation = self.next_correlation.max(request.correlation + 1);
        let mut sets = BTreeMap::new();
        let mut line = format!("{:?} v{} #{}", request.api, request.version, request.correlation);
        let mut answered = true;
        if request.api == ApiKey::Produce {
            let asked = ask(&request).or_else(|error| Breach::of("requests can be read", error))?;
            if asked.acks != manners.acks {
                return Breach::of("acks are those of the settings", asked.acks.to_string());
            }
            if asked.sets.len() > 1 && whole.len() > manners.most_bytes {
                return Breach::of("max.request.size is kept", format!("{} bytes", whole.len()));
            }
            answered = asked.acks != 0;
            for set in asked.sets {
                let identity = identify(&set.records).or_else(|error| Breach::of("batches can be read", error))?;
                // A topic that the cluster does not know (yet) is named; only ids need the cluster.
                let topic = match &set.topic {
                    TopicRef::Name(name) => name.clone(),
                    TopicRef::Id(_) => cluster.name_ever(&set.topic).unwrap_or_default(),
                };
                let attempt = Attempt {
                    connection: self.connection,
                    broker: self.broker,
                    acks: asked.acks,
                    stamp: identity.stamp,
                    first: identity.first,
                    records: identity.records,
                    written: false,
                    answer: None,
                    disliked: Vec::new(),
                    hopeless: false,
                    over: false,
                };
                line += &format!(" {topic}-{}:{}", set.partition, identity.serial.0);
                let outdated = told.is_outdated(&topic, set.partition, self.broker).filter(|_| manners.remembers);
                if let Some(epoch) = outdated {
                    let what = format!("{line} to broker {}, and epoch {epoch} is known", self.broker);
                    return Breach::of("who was a leader in an older epoch is not followed", what);
                }
                if let Some(stamp) = identity.stamp {
                    line += &format!("({}/{}/{})", stamp.producer, stamp.epoch, stamp.sequence);
                }
                let to = (topic, set.partition);
                let sighting = Sighting { serial: identity.serial, to, attempt, bytes: &set.records };
                let number = ledger.seen(sighting)?;
                sets.insert((set.topic, set.partition), (identity.serial, number));
            }
        }
        self.unwritten.push_back(sets.values().copied().collect());
        if answered {
            let (api, version, correlation) = (request.api, request.version, request.correlation);
            self.token_next = api == ApiKey::SaslHandshake && version == 0;
            self.outstanding.push_back(Outstanding { api, version, correlation, bare: false, sets });
            if self.in_flight() > manners.most_in_flight {
                return Breach::of("max.in.flight is kept", format!("{} requests", self.in_flight()));
            }
        }
        Ok(line)
    }

    /// The oldest frame is written.
    pub fn written(&mut self, ledger: &mut Ledger) {
        for (serial, attempt) in self.unwritten.pop_front().unwrap_or_default() {
            if let Some(attempt) = ledger.attempt_mut(serial, attempt) {
                attempt.written = true;
            }
        }
    }

    /// Bytes come in: answers that count are noted. Gives lines about them.
    pub fn received(
        &mut self,
        bytes: &[u8],
        spoilt: bool,
        ledger: &mut Ledger,
        (told, cluster): (&mut Told, &Cluster),
        now: Moment,
    ) -> Vec<String> {
        self.spoilt |= spoilt;
        let mut lines = Vec::new();
        if self.spoilt {
            return lines;
        }
        self.incoming.push(bytes);
        while let Some(frame) = self.incoming.next_frame() {
            match self.answer(&frame, ledger, (told, cluster), now) {
                Some(line) => lines.push(line),
                None => {
                    self.spoilt = true;
                    lines.push("an answer that makes no sense".into());
                    break;
                }
            }
        }
        lines
    }

    /// An answer; `None` if it cannot be one to the request whose turn it is.
    fn answer(
        &mut self,
        frame: &Bytes,
        ledger: &mut Ledger,
        (told, cluster): (&mut Told, &Cluster),
        now: Moment,
    ) -> Option<String> {
        let is_bare = self.outstanding.front().is_some_and(|request| request.bare);
        if is_bare {
            self.outstanding.pop_front();
            return Some("the SASL token answered".into());
        }
        let correlation = i32::from_be_bytes(*frame.first_chunk()?);
        if self.outstanding.front().is_none_or(|request| request.correlation != correlation) {
            // Without acknowledgements the machine bears with answers that nobody waits for.
            let is_borne = self.manners.acks == 0 && (0..self.next_correlation).contains(&correlation);
            return is_borne.then(|| format!("an answer #{correlation} that nobody waits for"));
        }
        let request = self.outstanding.pop_front()?;
        let mut line = format!("{:?} v{} #{correlation} answered", request.api, request.version);
        let header = 4 + usize::from(answer_header_version(request.api, request.version) >= 1);
        if request.api == ApiKey::Metadata {
            told.metadata(&MetadataResponse::decode(&mut frame.slice(header..), request.version).ok()?);
        }
        if request.api == ApiKey::InitProducerId {
            let answer = InitProducerIdResponse::decode(&mut frame.slice(header..), request.version).ok()?;
            if answer.error_code == 0 {
                ledger.identities.granted(answer.producer_id.into(), answer.producer_epoch);
                line += &format!(" {}/{}", i64::from(answer.producer_id), answer.producer_epoch);
            }
        }
        if request.api != ApiKey::Produce {
            return Some(line);
        }
        let answers = listen(request.version, frame.slice(header..)).ok()?;
        // Nobody listens to what is said of a batch that was given up.
        let is_open = |set: &&Answered| {
            let sent = request.sets.get(&(set.topic.clone(), set.partition));
            sent.is_some_and(|(serial, _)| ledger.promises[serial].outcome.is_none())
        };
        told.produced(answers.sets.iter().filter(is_open), &answers.endpoints, |topic| match topic {
            TopicRef::Name(name) => Some(name.clone()),
            TopicRef::Id(_) => cluster.name_ever(topic),
        });
        for (serial, attempt) in request.sets.values() {
            if let Some(attempt) = ledger.attempt_mut(*serial, *attempt) {
                attempt.over = true;
            }
        }
        for set in answers.sets {
            line += &format!(" {}@{}", set.code, set.base_offset);
            if let Some((serial, attempt)) = request.sets.get(&(set.topic.clone(), set.partition)) {
                ledger.answered(*serial, *attempt, set.code, set.base_offset, set.disliked);
            }
        }
        // Older brokers keep their answer back themselves (KIP-219).
        if request.version >= 6 && answers.throttle_ms > 0 {
            self.silent_until = now + Moment::from_millis(answers.throttle_ms as u64).min(LONGEST_THROTTLE);
        }
        Some(line)
    }
}
