//! Listens in on one connection, with another code's eyes: what goes out, what comes back, and which answers count.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;

use super::Breach;
use super::ledger::{Attempt, Ledger, Sighting};
use crate::Moment;
use crate::cluster::Cluster;
use crate::contents::{Serial, identify};
use crate::wire::produce::{TopicRef, ask, listen};
use crate::wire::{Frames, answer_header_version, open};

/// A request that has no answer yet.
#[derive(Debug)]
struct Outstanding {
    api: ApiKey,
    version: i16,
    correlation: i32,
    sets: BTreeMap<(TopicRef, i32), (Serial, usize)>,
}

/// What a machine may do on a connection.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
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
    incoming: Frames,
    outstanding: VecDeque<Outstanding>,
    /// For each frame that is not written yet: the attempts in it.
    unwritten: VecDeque<Vec<(Serial, usize)>>,
    /// From here on nothing that comes means anything.
    spoilt: bool,
    silent_until: Moment,
}

impl Tap {
    /// Listens to this connection.
    #[must_use]
    pub fn new(connection: u64) -> Self {
        Self {
            connection,
            incoming: Frames::default(),
            outstanding: VecDeque::new(),
            unwritten: VecDeque::new(),
            spoilt: false,
            silent_until: Moment::ZERO,
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
        manners: Manners,
        cluster: &Cluster,
        ledger: &mut Ledger,
        now: Moment,
    ) -> Result<String, Breach> {
        let whole = segments.concat();
        let mut frames = Frames::default();
        frames.push(&whole);
        let Some(frame) = frames.next_frame().filter(|_| frames.left().is_empty()) else {
            return Breach::of("a Transmit is one frame", format!("{} bytes", whole.len()));
        };
        let request = open(frame).or_else(|error| Breach::of("requests can be read", error))?;
        if now < self.silent_until && !self.spoilt {
            return Breach::of("throttling is obeyed", format!("{:?} before {:?}", request.api, self.silent_until));
        }
        if self.outstanding.iter().any(|other| other.correlation == request.correlation) {
            return Breach::of("correlation ids are unique", request.correlation.to_string());
        }
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
                    TopicRef::Id(_) => cluster.name(&set.topic).unwrap_or_default(),
                };
                let attempt = Attempt {
                    connection: self.connection,
                    acks: asked.acks,
                    stamp: identity.stamp,
                    first: identity.first,
                    records: identity.records,
                    written: false,
                    answer: None,
                };
                line += &format!(" {topic}-{}:{}", set.partition, identity.serial.0);
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
            self.outstanding.push_back(Outstanding { api, version, correlation, sets });
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
    pub fn received(&mut self, bytes: &[u8], spoilt: bool, ledger: &mut Ledger, now: Moment) -> Vec<String> {
        self.spoilt |= spoilt;
        let mut lines = Vec::new();
        if self.spoilt {
            return lines;
        }
        self.incoming.push(bytes);
        while let Some(frame) = self.incoming.next_frame() {
            match self.answer(&frame, ledger, now) {
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
    fn answer(&mut self, frame: &Bytes, ledger: &mut Ledger, now: Moment) -> Option<String> {
        let correlation = i32::from_be_bytes(*frame.first_chunk()?);
        let request = self.outstanding.pop_front()?;
        if request.correlation != correlation {
            return None;
        }
        let mut line = format!("{:?} v{} #{correlation} answered", request.api, request.version);
        if request.api != ApiKey::Produce {
            return Some(line);
        }
        let header = 4 + usize::from(answer_header_version(request.api, request.version) >= 1);
        let answers = listen(request.version, frame.slice(header..)).ok()?;
        for set in answers.sets {
            line += &format!(" {}@{}", set.code, set.base_offset);
            let known = request.sets.get(&(set.topic.clone(), set.partition));
            if let Some(attempt) = known.and_then(|(serial, attempt)| ledger.attempt_mut(*serial, *attempt)) {
                attempt.answer.get_or_insert((set.code, set.base_offset));
            }
        }
        // Older brokers keep their answer back themselves (KIP-219).
        if request.version >= 6 && answers.throttle_ms > 0 {
            self.silent_until = now + Moment::from_millis(answers.throttle_ms as u64);
        }
        Some(line)
    }
}
