//! Handles the machine's outputs.

use std::hash::Hash as _;

use kafka_batch_core::machine::{Event, Output};
use kafka_batch_testing::simulated::{Link, PORT, host as host_of};

use super::World;
use crate::Moment;
use crate::laws::Violation;
use crate::laws::tap::Tap;

/// More outputs than the machine can have at once.
const ENDLESS: usize = 20_000;

impl World {
    /// Processes the machine's outputs until there are no more.
    pub(super) fn drain(&mut self) -> Result<(), Violation> {
        self.latest_now = self.now;
        for _ in 0..ENDLESS {
            match self.machine.poll_output(self.now) {
                Output::Wait(deadline) => return self.check_deadline(deadline.map(|deadline| deadline.since_start())),
                output => self.handle_output(output)?,
            }
        }
        Violation::of("draining ends", format!("more than {ENDLESS} outputs"))
    }

    fn check_deadline(&mut self, deadline: Option<Moment>) -> Result<(), Violation> {
        self.deadline = deadline;
        if deadline.is_some_and(|deadline| deadline <= self.now) {
            return Violation::of("after all outputs the deadline is in the future", format!("{deadline:?}"));
        }
        if self.closed && deadline.is_some() {
            return Violation::of("no output follows Closed", format!("a deadline at {deadline:?}"));
        }
        if self.idle_chance.percent(5) {
            let earlier = self.now.saturating_sub(self.idle_chance.millis(0, 3_000));
            match self.machine.poll_output(earlier) {
                Output::Wait(same) if same.map(|same| same.since_start()) == deadline => {}
                other => return Violation::of("an earlier time changes nothing", format!("{other:?} at {earlier:?}")),
            }
        }
        Ok(())
    }

    fn handle_output(&mut self, output: Output) -> Result<(), Violation> {
        if self.closed {
            return Violation::of("no output follows Closed", format!("{output:?}"));
        }
        self.now.hash(&mut self.digest);
        match output {
            Output::Connect { connection, host, port } => {
                ("connect", connection, &host, port).hash(&mut self.digest);
                let number = self.next_connection;
                self.next_connection += 1;
                self.note(|| format!("{number} connect to {host}:{port}"));
                if self.numbers.insert(connection, number).is_some() {
                    return Violation::of("connection ids are not reused", format!("{connection:?}"));
                }
                self.names.insert(number, connection);
                let found = self.brokers.iter().find(|broker| host_of(broker.id) == host);
                let id = found.filter(|_| port == PORT).map_or(0, |broker| broker.id);
                self.taps.insert(number, Tap::new(number, id, self.rules()));
                let up = id != 0 && self.cluster.member(id).up;
                let (refused, swallowed) = match self.refusing.get(&id) {
                    Some((until, silently)) if *until > self.now => (true, *silently),
                    _ => (!up, false),
                };
                let random = self.random.fork(number);
                let link = Link::connect(id, self.settings.links, refused, swallowed, self.now, random);
                self.links.insert(number, link);
            }
            Output::Transmit { connection, bytes } => {
                ("transmit", connection).hash(&mut self.digest);
                bytes.concat().hash(&mut self.digest);
                let Some(number) = self.numbers.get(&connection).copied() else {
                    return Violation::of("only open connections are used", format!("Transmit on {connection:?}"));
                };
                let tap = self.taps.get_mut(&number).expect("each connection is observed");
                let line = tap.transmitted(&bytes, &self.cluster, &mut self.history, &self.leaders, self.now);
                let line = line.map_err(|violation| Violation {
                    what: format!("{} (on {number})", violation.what),
                    ..violation
                })?;
                self.note(|| format!("{number} -> {line}"));
                let link = self.links.get_mut(&number).expect("each connection has a link");
                link.write(bytes.concat().into(), self.now);
            }
            Output::Close(connection) => {
                ("close", connection).hash(&mut self.digest);
                let Some(number) = self.numbers.get(&connection).copied() else {
                    return Violation::of("only open connections are used", format!("Close of {connection:?}"));
                };
                self.note(|| format!("{number} close"));
                self.forget(number);
                if let Some(link) = self.links.get_mut(&number) {
                    link.close_by_client(self.now);
                }
            }
            Output::Event(event) => self.handle_event(event)?,
            Output::Wait(_) => unreachable!("Wait is handled by the caller"),
        }
        Ok(())
    }

    fn handle_event(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Delivered { id, delivery } => {
                let serial = self.batches.get(&id).copied();
                ("delivered", id, delivery.base_offset()).hash(&mut self.digest);
                self.note(|| format!("   delivered {serial:?} at {:?}", delivery.base_offset()));
                let Some(serial) = serial else {
                    return Violation::of("an event concerns an accepted batch", format!("{id}"));
                };
                self.history.delivered(serial, delivery)
            }
            Event::Failed { id, error } => {
                let serial = self.batches.get(&id).copied();
                ("failed", id, error.to_string()).hash(&mut self.digest);
                self.note(|| format!("   failed {serial:?}: {error}"));
                let Some(serial) = serial else {
                    return Violation::of("an event concerns an accepted batch", format!("{id}"));
                };
                self.history.failed(serial, &error)
            }
            Event::Flushed(flush) => {
                ("flushed", flush).hash(&mut self.digest);
                self.note(|| format!("   {flush:?} done"));
                let Some(before) = self.flushes.remove(&flush) else {
                    return Violation::of("each flush completes once", format!("{flush:?}"));
                };
                let open = before.iter().find(|serial| self.history.accepted_batches[serial].outcome.is_none());
                match open {
                    Some(open) => Violation::of("a flush completes after all batches", format!("{open:?} is not")),
                    None => Ok(()),
                }
            }
            Event::Closed => {
                "closed".hash(&mut self.digest);
                self.note(|| "   closed".into());
                self.closed = true;
                if self.history.open() > 0 || !self.flushes.is_empty() || !self.numbers.is_empty() {
                    let open = (self.history.open(), self.flushes.len(), self.numbers.len());
                    return Violation::of("Closed follows the outcomes of all batches", format!("open: {open:?}"));
                }
                Ok(())
            }
            other => {
                format!("{other:?}").hash(&mut self.digest);
                self.note(|| format!("   {other:?}"));
                Ok(())
            }
        }
    }
}
