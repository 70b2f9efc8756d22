//! Filling a batch with several messages.

use std::time::SystemTime;

use kafka_batch_core::batch::BulkWriter;
use kafka_batch_core::message::RecordComposer;
use kafka_batch_core::{Append, KafkaBatch, Record};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySequence, PyString, PyTuple};

use crate::call::Args;
use crate::errors::Refusal;
use crate::message::{Body, Kind};
use crate::shared::{Shared, State};

/// So many messages of a sequence are read at first, then as many as the batch has room for if the next ones are as large, and
/// at most `MAX_CHUNK`. A sequence may be much longer than what fits into the batch.
const MIN_CHUNK: usize = 64;
const MAX_CHUNK: usize = 4096;

/// The length of the shortest run of messages that is appended in bulk: a shorter one costs more to begin than it saves.
const MIN_RUN: usize = 4;

/// The number of messages that were appended, and why the next one was not.
struct Filled {
    taken: usize,
    refusal: Option<Refusal>,
}

/// The number of messages to read next, after so many took so many bytes.
fn next_chunk(taken: usize, bytes: usize, room: usize) -> usize {
    let fitting = room.saturating_mul(taken) / bytes.max(1);
    fitting.saturating_add(1).clamp(MIN_CHUNK, MAX_CHUNK) // and the one that does not fit
}

/// Appends messages in order, up to the first one that is refused; with `all_or_none`, none if one is refused.
pub(crate) fn extend(
    py: Python<'_>,
    shared: &Shared,
    messages: &Bound<'_, PyTuple>,
    args: &Args<'_, '_>,
    all_or_none: bool,
) -> PyResult<()> {
    if messages.is_empty() {
        return Ok(());
    }
    args.with(|defaults| {
        let (bodies, failure) = read_all(messages, args.has_key());
        let encoding = |taken: usize, failure: Option<PyErr>| match failure {
            Some(error) => Err(Refusal::Encoding(error).into_exception(py, Some(taken))),
            None => Ok(()),
        };
        if all_or_none && failure.is_some() {
            return encoding(bodies.len(), failure);
        }
        let (filled, ..) = append_to(shared, py, &bodies, &mut RecordComposer::new(*defaults), all_or_none);
        match filled.refusal {
            Some(refusal) => Err(refusal.into_exception(py, Some(filled.taken))),
            None => encoding(filled.taken, failure),
        }
    })
}

/// Appends messages of a sequence from `start` on, until one does not fit. Returns how many were appended.
pub(crate) fn fill_from(
    shared: &Shared,
    messages: &Bound<'_, PyAny>,
    start: usize,
    args: &Args<'_, '_>,
) -> PyResult<usize> {
    let is_one_message = messages.is_instance_of::<PyString>() || messages.is_instance_of::<PyBytes>();
    let messages = messages.cast::<PySequence>().ok().filter(|_| !is_one_message);
    let Some(messages) = messages else {
        return Err(PyTypeError::new_err(
            "fill_from() takes a list or another sequence of messages: an iterator would lose \
            the message that does not fit",
        ));
    };
    let py = messages.py();
    args.with(|defaults| {
        let (mut composer, mut taken, mut size) = (RecordComposer::new(*defaults), 0, MIN_CHUNK);
        loop {
            let at = start.saturating_add(taken);
            let chunk = messages.get_slice(at, at.saturating_add(size))?.to_tuple()?;
            if chunk.is_empty() {
                return Ok(taken);
            }
            let (bodies, failure) = read_up_to_owned(&chunk, args.has_key());
            let (filled, bytes, room) = append_to(shared, py, &bodies, &mut composer, false);
            size = next_chunk(filled.taken, bytes, room);
            taken += filled.taken;
            let position = Some(start + taken);
            match (filled.refusal, failure) {
                (Some(Refusal::Full(_) | Refusal::Closed), _) => return Ok(taken),
                (Some(refusal), _) => return Err(refusal.into_exception(py, position)),
                (None, Some(error)) => return Err(Refusal::Encoding(error).into_exception(py, position)),
                (None, None) => {}
            }
        }
    })
}

/// Reads messages up to the first that cannot be encoded.
fn read_all<'a>(messages: &'a Bound<'_, PyTuple>, has_key: bool) -> (Vec<Body<'a>>, Option<PyErr>) {
    let mut bodies = Vec::with_capacity(messages.len());
    for message in messages.iter_borrowed() {
        match Body::read(message, has_key) {
            Ok(body) => bodies.push(body),
            Err(error) => return (bodies, Some(error)),
        }
    }
    (bodies, None)
}

/// As [`read_all`], and up to the first that Python code encoded: that may be expensive, and the batch full before it.
fn read_up_to_owned<'a>(messages: &'a Bound<'_, PyTuple>, has_key: bool) -> (Vec<Body<'a>>, Option<PyErr>) {
    let mut bodies = Vec::with_capacity(messages.len());
    for message in messages.iter_borrowed() {
        match Body::read(message, has_key) {
            Ok(body) => {
                let stop = body.kind() == Kind::Own;
                bodies.push(body);
                if stop {
                    break;
                }
            }
            Err(error) => return (bodies, Some(error)),
        }
    }
    (bodies, None)
}

/// Appends messages. Returns also the bytes that they took, and the room that is left.
fn append_to(
    shared: &Shared,
    py: Python<'_>,
    bodies: &[Body<'_>],
    composer: &mut RecordComposer<'_>,
    all_or_none: bool,
) -> (Filled, usize, usize) {
    let now = SystemTime::now();
    shared.access(py, |state| {
        let State::Open(batch) = state else {
            return (Filled { taken: 0, refusal: (!bodies.is_empty()).then_some(Refusal::Closed) }, 0, 0);
        };
        batch.set_now(now);
        let before = batch.size();
        let mark = all_or_none.then(|| batch.mark());
        let filled = append_runs(batch, bodies, composer);
        if let (Some(mark), Some(_)) = (mark, &filled.refusal) {
            // A closed batch cannot be rolled back, and has taken nothing.
            let _ = batch.rollback(&mark);
        }
        (filled, batch.size() - before, batch.room())
    })
}

/// Appends messages, those of a kind in bulk: what their records have in common is then encoded once.
fn append_runs(batch: &mut KafkaBatch, bodies: &[Body<'_>], composer: &mut RecordComposer<'_>) -> Filled {
    let mut taken = 0;
    while let Some(first) = bodies.get(taken) {
        let rest = &bodies[taken..];
        let run = match first.kind() {
            Kind::Own => 1,
            kind => rest.iter().position(|body| body.kind() != kind).unwrap_or(rest.len()),
        };
        let record = match composer.compose(first) {
            Ok(record) => record,
            Err(error) => return Filled { taken, refusal: Some(Refusal::Invalid(error.into())) },
        };
        if run < MIN_RUN {
            match batch.append(record) {
                Ok(Append::Appended(_)) => taken += 1,
                Ok(Append::Full(full)) => return Filled { taken, refusal: Some(Refusal::Full(full)) },
                Err(error) => return Filled { taken, refusal: Some(Refusal::Invalid(error)) },
            }
        } else {
            let appended = bulk(batch, &record).extend(rest[..run].iter().map(Body::value));
            match appended {
                Ok(appended) => taken += appended.len(),
                Err(error) => {
                    return Filled { taken: taken + error.position(), refusal: Some(error.into()) };
                }
            }
        }
    }
    Filled { taken, refusal: None }
}

fn bulk<'b, 'a>(batch: &'b mut KafkaBatch, like: &Record<'a>) -> BulkWriter<'b, 'a> {
    let writer = batch.bulk().key(like.key).headers(like.headers);
    match like.timestamp {
        Some(timestamp) => writer.timestamp(timestamp),
        None => writer,
    }
}
