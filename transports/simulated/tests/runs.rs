//! Runs of a simulation: determinism, simulated time, failures, faults by name.

use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use kafka_batch_core::{Fate, Record, SendMessageError, TopicPartition};
use kafka_batch_simulated::{Cause, FaultAction, FaultIntensity, FaultSchedule, ScheduledFault, Simulation, World};
use kafka_batch_testing::{ApiKey, Fault, FaultKind};

const ONCE: [u64; 1] = [1];

fn calm() -> Simulation {
    Simulation::new().faults(FaultIntensity::None)
}

fn cause(simulation: &Simulation, function: impl AsyncFn(World) + Clone + 'static) -> Option<Cause> {
    let function = move |world| {
        let function = function.clone();
        async move { function(world).await }
    };
    simulation.find_failure(ONCE, function).map(|failure| failure.cause)
}

/// Many tasks with two producers: messages, batches, flushes.
async fn busy(world: World) {
    let producers = [world.producer(), world.producer_builder().set("linger.ms", "5").build().unwrap()];
    let mut tasks = Vec::new();
    for number in 0..12_u64 {
        let (inner, producer) = (world.clone(), producers[number as usize % 2].clone());
        tasks.push(world.spawn(async move {
            inner.sleep(Duration::from_millis(inner.random() % 40)).await;
            let topic = ["orders", "payments"][number as usize % 2];
            let sent = producer.send(topic, Record::new(&format!("value {number}")).key(&number.to_string())).await;
            inner.note(format!("{number}: {sent:?}"));
        }));
    }
    for task in tasks {
        task.await;
    }
    let _ = producers[0].flush().await;
    let _ = producers[1].close().await;
}

#[test]
fn a_seed_determines_everything() {
    let simulation = Simulation::new().faults(FaultIntensity::Heavy);
    let mut digests = Vec::new();
    for seed in 0..40 {
        let [one, other] = [(); 2].map(|()| simulation.run(seed, busy).unwrap());
        assert_eq!(one, other, "seed {seed}");
        assert_eq!(one.digest(), other.digest());
        digests.push(one.digest());
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 40, "seeds differ");
}

#[test]
fn keeping_the_dialogue_changes_nothing() {
    let simulation = Simulation::new().faults(FaultIntensity::Heavy);
    for seed in 0..20 {
        let elapsed = std::sync::Mutex::new(Vec::new());
        let note = |world: World| {
            let ended = busy(world.clone());
            async move {
                ended.await;
                world.note(world.elapsed().as_nanos());
                Err::<(), _>(format!("{:?} {}", world.elapsed(), world.cluster().requests().len()))
            }
        };
        elapsed.lock().unwrap().push(simulation.run(seed, note).unwrap_err().cause);
        let unshortened = simulation.clone().max_reruns(0);
        elapsed.lock().unwrap().push(unshortened.find_failure([seed], note).unwrap().cause);
        let elapsed = elapsed.into_inner().unwrap();
        assert_eq!(elapsed[0], elapsed[1], "seed {seed}");
    }
}

#[test]
fn code_that_is_not_deterministic_is_reported() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let found = cause(&calm(), async |world| world.note(RUNS.fetch_add(1, Ordering::Relaxed)));
    assert_eq!(found, Some(Cause::NotDeterministic));
    static FAILS: AtomicU32 = AtomicU32::new(0);
    let found = cause(&calm(), async |_| assert!(FAILS.fetch_add(1, Ordering::Relaxed) > 0));
    assert_eq!(found, Some(Cause::NotDeterministic));
}

#[test]
fn a_deadlock_is_reported() {
    let found = cause(&calm(), async |_| pending().await);
    assert_eq!(found, Some(Cause::Deadlock { idle: Duration::ZERO }));
    // A producer has timers of its own.
    let found = cause(&calm(), async |world| {
        let producer = world.producer();
        producer.send("orders", "one").await.unwrap();
        pending::<()>().await;
    });
    assert!(matches!(found, Some(Cause::Deadlock { idle }) if idle > Duration::from_secs(500)), "{found:?}");
    // Waiting for the longest delivery timeout is none.
    let found = cause(&calm(), async |world| {
        (1..=3).for_each(|broker| world.cluster().kill(broker));
        let error = world.producer().send("orders", "one").await.unwrap_err();
        assert_eq!(error.fate(), Fate::NotWritten);
    });
    assert_eq!(found, None);
}

#[test]
fn runs_that_do_not_end_are_reported() {
    let found = cause(&calm(), async |world| {
        loop {
            world.sleep(Duration::from_secs(60)).await;
        }
    });
    assert_eq!(found, Some(Cause::TimeLimit { limit: Duration::from_secs(86_400) }));
    let found = cause(&calm(), async |_| {
        poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })
        .await;
    });
    assert_eq!(found, Some(Cause::BusyLoop));
    let found = cause(&calm(), async |world| {
        loop {
            world.sleep(Duration::ZERO).await;
        }
    });
    assert_eq!(found, Some(Cause::BusyLoop), "it waits, but for no time");
}

#[test]
fn a_loop_that_waits_for_very_short_times_is_reported() {
    let waits_for = |nanos| {
        let run = move |world: World| async move {
            while world.elapsed() < Duration::MAX {
                world.sleep(Duration::from_nanos(nanos)).await;
            }
        };
        calm().step_limit(50_000).find_failure(ONCE, run).expect("it does not end")
    };
    for nanos in [1, 1_000] {
        let failure = waits_for(nanos);
        let Cause::StepLimit { limit: 50_000, elapsed } = failure.cause else { panic!("{}", failure.cause) };
        assert_eq!(elapsed, Duration::from_nanos(nanos * 50_000), "one poll each time");
        assert!(failure.to_string().starts_with("seed 1: the run did not end within 50000 polls of its tasks"));
    }
}

#[test]
fn a_long_run_does_not_reach_the_limit_of_steps() {
    let run = |world: World| async move {
        let producer = world.producer_builder().set("linger.ms", "5").build().unwrap();
        for number in 0..5_000 {
            drop(producer.enqueue("orders", Record::new(&number.to_string())).await.unwrap());
            world.sleep(Duration::from_secs(3)).await;
        }
        assert_eq!(world.cluster().logs("orders").iter().map(|log| log.values().unwrap().len()).sum::<usize>(), 5_000);
    };
    calm().step_limit(200_000).check(ONCE, run);
}

#[test]
fn what_panics_while_it_is_dropped_is_reported_and_the_rest_is_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let found = cause(&calm(), async |world| {
        for _ in 0..2 {
            let bomb = Bomb;
            drop(world.spawn(async move {
                pending::<()>().await;
                drop(bomb);
            }));
        }
        world.sleep(Duration::from_millis(1)).await;
    });
    assert!(matches!(&found, Some(Cause::Panic { message, .. }) if message.starts_with("dropped")), "{found:?}");
}

#[test]
fn a_note_may_use_the_world_that_it_is_for() {
    let ended = calm().run(1, async |world: World| {
        world.note(format_args!("{world:?}"));
    });
    assert!(ended.is_ok());
}

#[test]
fn a_panic_is_reported_with_its_place() {
    let found = cause(&calm(), async |world| world.spawn(async { panic!("the order is wrong") }).await);
    let Some(Cause::Panic { message, is_driver: false }) = found else { panic!("{found:?}") };
    assert!(message.starts_with("the order is wrong (") && message.contains("runs.rs:"), "{message}");
}

#[test]
fn the_report_of_a_check_is_its_panic() {
    let check = || calm().check([7], |_| async { Err::<(), _>("no books") });
    let payload = std::panic::catch_unwind(check).unwrap_err();
    let report = payload.downcast_ref::<String>().unwrap();
    assert!(report.starts_with("seed 7: returned an error: no books"), "{report}");
}

#[test]
fn time_is_simulated() {
    let begin = Instant::now();
    calm().check(ONCE, |world| async move {
        let (instant, time_of_day) = (world.now(), world.system_time());
        world.sleep(Duration::from_secs(3_600)).await;
        assert_eq!(world.now() - instant, Duration::from_secs(3_600));
        assert_eq!(world.system_time().duration_since(time_of_day).unwrap(), Duration::from_secs(3_600));
        let late = world.timeout(Duration::from_secs(5), pending::<()>()).await.unwrap_err();
        assert_eq!(late.to_string(), "the future did not complete within 5s of simulated time");
        assert_eq!(world.timeout(Duration::from_secs(5), async { 1 }).await, Ok(1));

        // The producer's clocks are the same: timestamps, linger.ms, delivery.timeout.ms.
        let producer = world.producer_builder().set("linger.ms", "500").build().unwrap();
        let before = (world.elapsed(), world.system_time());
        let delivery = producer.send("orders", "one").await.unwrap();
        let took = world.elapsed() - before.0;
        assert!((500..520).contains(&took.as_millis()), "{took:?}");
        let at = before.1.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        assert!((at..at + 20).contains(&delivery.timestamp.millis()), "{delivery:?}, sent at {at}");
        (1..=3).for_each(|broker| world.cluster().kill(broker));
        let before = world.elapsed();
        let error = producer.send("orders", "two").await.unwrap_err();
        let took = world.elapsed() - before;
        assert!((120_000..121_000).contains(&took.as_millis()), "{took:?}: {error}");
    });
    assert!(begin.elapsed() < Duration::from_secs(60));
}

#[test]
fn faults_by_name_take_effect() {
    calm().topic("orders").check(ONCE, |world| async move {
        let (producer, cluster) = (world.producer(), world.cluster());
        cluster.inject(Fault::new(FaultKind::DropResponse).api(ApiKey::Produce));
        let to = TopicPartition::new("orders", 0);
        let mut batch = producer.batch();
        assert!(!batch.append(Record::new("one")).unwrap().is_full());
        let delivery = producer.send_batch(batch, to).await.unwrap().await.unwrap();
        assert_eq!(delivery.base_offset(), Some(0));
        assert_eq!(cluster.log("orders", 0).unwrap().values().unwrap(), ["one"], "the retry is no second record");
        let produced = cluster.requests().iter().filter(|request| request.api == ApiKey::Produce).count();
        assert_eq!(produced, 2);

        let leader = cluster.leader("orders", 0).unwrap();
        (1..=3).for_each(|broker| cluster.kill(broker));
        let sending = world.spawn({
            let producer = producer.clone();
            async move { producer.send("orders", "two").await }
        });
        world.sleep(Duration::from_secs(3)).await;
        assert!(cluster.restart(leader) && !cluster.restart(leader));
        assert_eq!(sending.await.unwrap().offset, Some(1));
        assert!(cluster.violations().is_empty(), "{:?}", cluster.violations());
    });
}

#[test]
fn requests_have_the_time_at_which_they_were_sent() {
    calm().brokers(1).topic("orders").check(ONCE, |world| async move {
        let (cluster, producer) = (world.cluster(), world.producer());
        producer.send("orders", "one").await.unwrap();
        let wait = Duration::from_secs(7);
        cluster.inject(Fault::new(FaultKind::DelayRequest(wait)).api(ApiKey::Produce));
        let sent_at = world.elapsed();
        let sending: Vec<_> = (0..2)
            .map(|_| {
                let (world, producer) = (world.clone(), producer.clone());
                world.clone().spawn(async move {
                    producer.send("orders", "x".repeat(2_000)).await.unwrap();
                })
            })
            .collect();
        for sending in sending {
            sending.await;
        }
        let requests = cluster.requests();
        let produce = requests.iter().filter(|request| request.api == ApiKey::Produce);
        let connection = produce.clone().next().unwrap().connection;
        let on_connection = requests.iter().filter(|request| request.connection == connection);
        let sent = cluster.requests_sent_at(connection);
        assert_eq!(sent.len(), on_connection.clone().count());
        for (request, sent) in on_connection.zip(&sent) {
            assert!(*sent <= request.at, "{request:?} was sent at {sent:?}");
        }
        assert!(sent.last().is_some_and(|last| *last < sent_at + wait), "before it was executed: {sent:?}");
        assert!(cluster.requests_sent_at(99).is_empty());
    });
}

#[test]
fn a_schedule_that_is_given_is_used() {
    let refuse = FaultAction::RefuseConnections { broker: 1, lasts: Duration::from_secs(20), silently: false };
    let faults = vec![ScheduledFault { at: Duration::from_secs(1), action: refuse }];
    let schedule = FaultSchedule { faults, ..FaultSchedule::none() };
    let report = calm().brokers(1).run_with(5, &schedule, |world| async move {
        world.sleep(Duration::from_secs(2)).await;
        world.producer().send("orders", "one").await.unwrap();
        assert!(world.elapsed() > Duration::from_secs(21), "{:?}", world.elapsed());
    });
    let lines = report.unwrap().dialogue.join("\n");
    assert!(lines.contains("fault: broker 1 refuses connections for 20s") && lines.contains("refused"), "{lines}");
}

#[test]
fn a_producer_that_outlives_its_simulation_is_stopped() {
    let kept = std::rc::Rc::new(std::cell::RefCell::new(None));
    let keep = std::rc::Rc::clone(&kept);
    calm().max_reruns(0).check(ONCE, move |world| {
        let keep = std::rc::Rc::clone(&keep);
        async move {
            let producer = world.producer();
            producer.send("orders", "one").await.unwrap();
            *keep.borrow_mut() = Some(producer);
        }
    });
    let producer = kept.borrow_mut().take().unwrap();
    assert!(producer.batch().is_empty());
    let mut sending = std::pin::pin!(producer.send("orders", "two"));
    let polled = sending.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(SendMessageError::NotAccepted(_)))), "{polled:?}");
}
