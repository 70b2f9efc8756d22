//! Handles the machine's outputs.

use std::hash::Hash as _;

use kafka_batch_core::machine::{Event, Output};

use super::World;
use crate::Moment;
use crate::broker::PORT;
use crate::laws::Breach;
use crate::laws::tap::Tap;
use crate::link::Link;

/// More outputs than any drain can have.
const ENDLESS: usize = 20_000;

impl World {
    /// Takes from the machine what it has to give, until it has nothing more.
    pub(super) fn drain(&mut self) -> Result<(), Breach> {
        self.told = self.now;
        for _ in 0..ENDLESS {
            match self.machine.poll_output(self.now) {
                Output::Wait(deadline) => return self.drained(deadline.map(|deadline| deadline.since_start())),
                output => self.put_out(output)?,
            }
        }
        Breach::of("draining ends", format!("more than {ENDLESS} outputs"))
    }

    fn drained(&mut self, deadline: Option<Moment>) -> Result<(), Breach> {
        self.deadline = deadline;
        if deadline.is_some_and(|deadline| deadline <= self.now) {
            return Breach::of("drained means that the deadline is in the future", format!("{deadline:?}"));
        }
        if self.closed && deadline.is_some() {
            return Breach::of("nothing comes after Closed", format!("a deadline at {deadline:?}"));
        }
        if self.idle_chance.percent(5) {
            let earlier = self.now.saturating_sub(self.idle_chance.millis(0, 3_000));
            match self.machine.poll_output(earlier) {
                Output::Wait(same) if same.map(|same| same.since_start()) == deadline => {}
                other => return Breach::of("an earlier now changes nothing", format!("{other:?} at {earlier:?}")),
            }
        }
        Ok(())
    }

    fn put_out(&mut self, output: Output) -> Result<(), Breach> {
        if self.closed {
            return Breach::of("nothing comes after Closed", format!("{output:?}"));
        }
        self.now.hash(&mut self.digest);
        match output {
            Output::Connect { connection, host, port } => {
                ("connect", connection, &host, port).hash(&mut self.digest);
                let number = self.next_connection;
                self.next_connection += 1;
                self.note(|| format!("{number} connect to {host}:{port}"));
                if self.numbers.insert(connection, number).is_some() {
                    return Breach::of("names of connections are not used again", format!("{connection:?}"));
                }
                self.names.insert(number, connection);
                let found = self.brokers.iter().find(|broker| crate::broker::host(broker.id) == host);
                let id = found.filter(|_| i32::from(port) == PORT).map_or(0, |broker| broker.id);
                self.taps.insert(number, Tap::new(number, id, self.manners()));
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
                    return Breach::of("only open connections are used", format!("Transmit on {connection:?}"));
                };
                let tap = self.taps.get_mut(&number).expect("each connection is listened to");
                let line = tap.transmitted(&bytes, &self.cluster, &mut self.ledger, &self.leaders, self.now);
                let line =
                    line.map_err(|breach| Breach { what: format!("{} (on {number})", breach.what), ..breach })?;
                self.note(|| format!("{number} -> {line}"));
                let link = self.links.get_mut(&number).expect("a connection that is named has a link");
                link.write(bytes.concat().into(), self.now);
            }
            Output::Close(connection) => {
                ("close", connection).hash(&mut self.digest);
                let Some(number) = self.numbers.get(&connection).copied() else {
                    return Breach::of("only open connections are used", format!("Close of {connection:?}"));
                };
                self.note(|| format!("{number} close"));
                self.forget(number);
                if let Some(link) = self.links.get_mut(&number) {
                    link.close_by_client(self.now);
                }
            }
            Output::Event(event) => self.heard(event)?,
            Output::Wait(_) => unreachable!("the end of a drain is looked at before"),
        }
        Ok(())
    }

    fn heard(&mut self, event: Event) -> Result<(), Breach> {
        match event {
            Event::Delivered { batch, delivery } => {
                let serial = self.batches.get(&batch).copied();
                ("delivered", batch, delivery.base_offset()).hash(&mut self.digest);
                self.note(|| format!("   delivered {serial:?} at {:?}", delivery.base_offset()));
                let Some(serial) = serial else {
                    return Breach::of("an event is about an accepted batch", format!("{batch}"));
                };
                self.ledger.delivered(serial, delivery)
            }
            Event::Failed { batch, error } => {
                let serial = self.batches.get(&batch).copied();
                ("failed", batch, error.to_string()).hash(&mut self.digest);
                self.note(|| format!("   failed {serial:?}: {error}"));
                let Some(serial) = serial else {
                    return Breach::of("an event is about an accepted batch", format!("{batch}"));
                };
                self.ledger.failed(serial, &error)
            }
            Event::Flushed(flush) => {
                ("flushed", flush).hash(&mut self.digest);
                self.note(|| format!("   {flush:?} done"));
                let Some(before) = self.flushes.remove(&flush) else {
                    return Breach::of("each flush is answered once", format!("{flush:?}"));
                };
                let open = before.iter().find(|serial| self.ledger.promises[serial].outcome.is_none());
                match open {
                    Some(open) => Breach::of("flushed means that all is through", format!("{open:?} is not")),
                    None => Ok(()),
                }
            }
            Event::Closed => {
                "closed".hash(&mut self.digest);
                self.note(|| "   closed".into());
                self.closed = true;
                if self.ledger.open() > 0 || !self.flushes.is_empty() || !self.numbers.is_empty() {
                    let open = (self.ledger.open(), self.flushes.len(), self.numbers.len());
                    return Breach::of("closed means that all is through", format!("open: {open:?}"));
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
