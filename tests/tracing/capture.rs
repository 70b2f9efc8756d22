//! A subscriber of the crate `tracing` that keeps spans and events.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use kafka_batch_witnesses::tracing::field::{Field, Visit};
use kafka_batch_witnesses::tracing::span::{Attributes, Id, Record};
use kafka_batch_witnesses::tracing::{Event, Metadata, Subscriber};

/// The fields of a span or event, as text.
pub(crate) type Fields = BTreeMap<String, String>;

/// A span, and what happened in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CapturedSpan {
    pub(crate) name: &'static str,
    pub(crate) parent: Option<u64>,
    pub(crate) fields: Fields,
    /// The events in it, with their levels and messages.
    pub(crate) events: Vec<(String, String, Fields)>,
    pub(crate) is_closed: bool,
}

thread_local! {
    /// The spans that were entered on this thread.
    static CURRENT: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug, Default)]
struct State {
    spans: Vec<CapturedSpan>,
    references: Vec<usize>,
    outside: Vec<(String, Fields)>,
}

/// Keeps what has the target `kafka_batch`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capture(Arc<Mutex<State>>);

impl Capture {
    /// Returns the spans of batches for this topic, in the order of their beginning.
    pub(crate) fn spans_of(&self, topic: &str) -> Vec<CapturedSpan> {
        let state = self.0.lock().unwrap();
        let is_of =
            |span: &&CapturedSpan| span.fields.get("messaging.destination.name").is_some_and(|name| name == topic);
        state.spans.iter().filter(is_of).cloned().collect()
    }

    /// Returns the number of the span with this name of a topic.
    pub(crate) fn number_of(&self, topic: &str) -> Option<u64> {
        let state = self.0.lock().unwrap();
        let is_of =
            |span: &CapturedSpan| span.fields.get("messaging.destination.name").is_some_and(|name| name == topic);
        state.spans.iter().position(is_of).map(|index| index as u64 + 1)
    }

    /// Returns the events outside of spans.
    pub(crate) fn outside(&self) -> Vec<(String, Fields)> {
        self.0.lock().unwrap().outside.clone()
    }
}

struct Visitor<'a>(&'a mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "kafka_batch" || metadata.target() == "test"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut state = self.0.lock().unwrap();
        let mut span = CapturedSpan {
            name: attributes.metadata().name(),
            parent: match attributes.is_contextual() {
                true => CURRENT.with_borrow(|current| current.last().copied()),
                false => attributes.parent().map(Id::into_u64),
            },
            ..CapturedSpan::default()
        };
        attributes.record(&mut Visitor(&mut span.fields));
        state.spans.push(span);
        state.references.push(1);
        Id::from_u64(state.spans.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut state = self.0.lock().unwrap();
        values.record(&mut Visitor(&mut state.spans[id.into_u64() as usize - 1].fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Visitor(&mut fields));
        let message = fields.remove("message").unwrap_or_default();
        let mut state = self.0.lock().unwrap();
        match event.parent() {
            Some(id) => {
                let level = event.metadata().level().to_string();
                state.spans[id.into_u64() as usize - 1].events.push((level, message, fields));
            }
            None => state.outside.push((message, fields)),
        }
    }

    fn enter(&self, id: &Id) {
        CURRENT.with_borrow_mut(|current| current.push(id.into_u64()));
    }

    fn exit(&self, _: &Id) {
        CURRENT.with_borrow_mut(|current| current.pop());
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0.lock().unwrap().references[id.into_u64() as usize - 1] += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut state = self.0.lock().unwrap();
        let index = id.into_u64() as usize - 1;
        state.references[index] -= 1;
        state.spans[index].is_closed = state.references[index] == 0;
        state.spans[index].is_closed
    }
}
