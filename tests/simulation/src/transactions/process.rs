//! A process: an application and its producer, which end together if it is killed.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use kafka_batch_simulated::World;
use kafka_batch_transport::{InitTransactions, ProducerTask};

/// Ends the tasks of a process.
#[derive(Clone, Debug, Default)]
struct Kill {
    is_killed: Rc<Cell<bool>>,
    wakers: Rc<RefCell<Vec<Waker>>>,
}

impl Kill {
    fn kill(&self) {
        self.is_killed.set(true);
        self.wakers.take().into_iter().for_each(Waker::wake);
    }

    /// Runs a future until it ends or is killed, in which case it is dropped.
    async fn unless_killed<F: Future>(self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if self.is_killed.get() {
                return Poll::Ready(None);
            }
            let polled = future.as_mut().poll(context);
            if polled.is_pending() {
                let mut wakers = self.wakers.borrow_mut();
                if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                    wakers.push(context.waker().clone());
                }
            }
            polled.map(Some)
        })
        .await
    }
}

/// Runs an application with a producer until it ends; with `life`, it is killed after this time. Returns what the application
/// returns, or `None` if it was killed: then nothing is sent any more, and what was sent is in transit.
pub(super) async fn process<F: Future<Output: 'static> + 'static>(
    world: &World,
    (producer, task): (InitTransactions, ProducerTask),
    life: Option<Duration>,
    application: impl FnOnce(InitTransactions) -> F,
) -> Option<F::Output> {
    let kill = Kill::default();
    drop(world.spawn(kill.clone().unless_killed(task)));
    let application = world.spawn(kill.clone().unless_killed(application(producer)));
    match life {
        None => application.await,
        Some(life) => match world.timeout(life, application).await {
            Ok(ended) => ended,
            Err(_) => {
                kill.kill();
                None
            }
        },
    }
}
