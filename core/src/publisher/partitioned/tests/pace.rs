//! Sources that are never empty.

use super::*;

#[test]
fn while_the_source_is_never_empty_batches_grow_instead_of_being_sent_with_a_record_each() {
    const PARTITIONS: i32 = 4_000;
    let (fake, time) = (Fake::new(PARTITIONS as u32), Time::default());
    let (clock, timer) = (time.clone(), time.clone());
    let (source_time, mut number) = (time.clone(), 0);
    // 64 messages a millisecond, each for the next partition, so that a batch has one record when it is due.
    let endless = move |_: &mut Context<'_>| {
        number += 1;
        if number % 64 == 0 {
            source_time.pass(1);
        }
        Poll::Ready(Some(message("a", number)))
    };
    let publisher = PartitionedPublisher::from_poll_fn(&fake, "t", endless, move || clock.millis());
    let mut publisher = now(publisher)
        .unwrap()
        .linger(Duration::from_millis(LINGER), move |time| timer.sleep(time))
        .partition_by(|message, _| Some(message.message().parse::<i32>().unwrap() % PARTITIONS));
    let mut open = 0;
    while time.millis() < 2_000 {
        let _ = pin!(publisher.next()).poll(&mut Context::from_waker(Waker::noop()));
        open = open.max(publisher.open().open_count());
    }
    let sent = fake.accepted().len();
    // One for 16 messages, and 32 each millisecond, which is half of what is due.
    assert!((30 * 2_000..40 * 2_000).contains(&sent), "{sent} batches");
    assert!(open > 64 * (LINGER as usize + 20), "{open} were open");
    assert!(open < 64 * (LINGER as usize + MAX_DELAY as usize + 3), "{open} were open: some waited for too long");
}

#[test]
fn a_slow_source_delays_no_batch() {
    let (fake, time) = (Fake::new(1_000), Time::default());
    let (clock, timer, source_time, mut number) = (time.clone(), time.clone(), time.clone(), 0);
    let slow = move |_: &mut Context<'_>| {
        number += 1;
        source_time.pass(1);
        Poll::Ready(Some(message("a", number)))
    };
    let publisher = now(PartitionedPublisher::from_poll_fn(&fake, "t", slow, move || clock.millis())).unwrap();
    let mut publisher = publisher
        .linger(Duration::from_millis(LINGER), move |time| timer.sleep(time))
        .partition_by(|message, _| Some(message.message().parse::<i32>().unwrap() % 1_000));
    while time.millis() < 1_000 {
        let _ = pin!(publisher.next()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(publisher.open().open_count() <= LINGER as usize + MESSAGES_PER_ROUND);
    }
}
