//! A lookup of a topic's partitions completes for every caller that has joined it.

use std::mem;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use kafka_batch_core::SendErrorReason;
use shuttle::sync::Condvar;
use shuttle::thread;

use super::task::{block_on, poll_at_most};
use super::{any_of, explore};
use crate::lookup::Lookup;
use crate::sync::{Mutex, lock};
use crate::topics::TopicCache;

/// The error of a lookup.
#[derive(Clone, Debug, PartialEq)]
struct Gone;

struct Client {
    topics: TopicCache<Gone>,
    /// The number of requests that were not answered, or `None` once the driver has ended.
    requests: Mutex<Option<usize>>,
    /// Notified when `requests` changes.
    requested: Condvar,
}

impl Client {
    /// Answers requests until the driver ends, and then fails all lookups.
    fn drive(&self) {
        let mut requests = lock(&self.requests);
        while let Some(waiting) = &mut *requests {
            if mem::take(waiting) == 0 {
                requests = self.requested.wait(requests).unwrap();
            } else {
                drop(requests);
                self.topics.complete_lookup("t", &Ok(NonZeroU32::MIN), true);
                requests = lock(&self.requests);
            }
        }
        drop(requests);
        self.topics.fail_lookups(&Gone);
    }

    fn end(&self) {
        *lock(&self.requests) = None;
        self.requested.notify_all();
    }
}

impl Lookup for Client {
    type Error = Gone;

    fn topics(&self) -> &TopicCache<Gone> {
        &self.topics
    }

    fn request(&self, _: &str) -> Result<(), SendErrorReason> {
        let mut requests = lock(&self.requests);
        match &mut *requests {
            Some(requests) => {
                *requests += 1;
                self.requested.notify_all();
                Ok(())
            }
            None => {
                drop(requests);
                self.topics.fail_lookups(&Gone); // as the producer does
                Err(SendErrorReason::Closed)
            }
        }
    }

    fn send_error_reason(&self, _: &str, _: Gone) -> SendErrorReason {
        SendErrorReason::Closed
    }
}

/// Runs callers, one of which may be dropped at any poll, and a driver that answers their requests until it ends.
fn callers(ends: bool) {
    let topics = TopicCache::new(1, Duration::from_secs(300));
    let client = Arc::new(Client { topics, requests: Mutex::new(Some(0)), requested: Condvar::new() });
    let driver = {
        let client = Arc::clone(&client);
        thread::spawn(move || client.drive())
    };
    let callers = [(); 2].map(|()| {
        let client = Arc::clone(&client);
        thread::spawn(move || block_on(client.partitions("t")).map(NonZeroU32::get).map_err(|_| Gone))
    });
    let dropped = {
        let client = Arc::clone(&client);
        thread::spawn(move || drop(poll_at_most(any_of(3), client.partitions("t"))))
    };
    if ends {
        client.end();
    }
    let found = callers.map(|caller| caller.join().unwrap());
    dropped.join().unwrap();
    client.end();
    driver.join().unwrap();
    assert!(found.iter().all(|found| *found == Ok(1) || ends && *found == Err(Gone)), "{found:?}");
}

#[test]
fn every_caller_gets_the_answer() {
    explore(2_000, || callers(false));
}

#[test]
fn no_caller_waits_for_a_driver_that_has_ended() {
    explore(4_000, || callers(true));
}
