//! Logging in at hostile brokers, with the machine alone.

use kafka_batch::Timestamp;
use kafka_batch::machine::{Clock, Event, Input, Instant, Machine, Output, ProducerConfig, Sasl, SaslMechanism};
use proptest::prelude::*;

use crate::answers::{Answer, FORMS, Hostile};
use crate::needles::Needles;

/// Talks until the connection is given up, and searches all that there is to see meanwhile.
fn log_in(mechanism: SaslMechanism, password: &str, mut broker: Hostile) {
    let whence = format!("{mechanism} at {:?}", broker.answer);
    let sasl = Sasl::new(mechanism, "bob", password).unwrap();
    let mut config = ProducerConfig::new([("localhost", 1)]);
    config.sasl = Some(sasl);
    let now = Instant::START;
    let mut seen = vec![format!("{config:?}")];
    let mut machine = Machine::new(config, Clock { now, wall: Timestamp::from_millis(0) }, 7);
    machine.lookup_topic("t", now);
    loop {
        let output = machine.poll_output(now);
        seen.push(format!("{output:?} {output:#?}"));
        match output {
            Output::Connect { connection, .. } => machine.handle_input(Input::Connected(connection), now),
            Output::Transmit { connection, bytes } => {
                let Some(answer) = broker.answer(&bytes.concat()[4..]) else { break };
                let frame = [&(answer.len() as i32).to_be_bytes()[..], &answer].concat();
                // In two pieces, so that a frame that is not whole is seen, too.
                for piece in [&frame[..frame.len() - 1], &frame[frame.len() - 1..]] {
                    let input = Input::Received(connection, piece);
                    seen.push(format!("{input:?} {input:#?}"));
                    machine.handle_input(input, now);
                    seen.push(format!("{machine:?} {machine:#?}"));
                }
            }
            Output::Event(Event::ConnectionError(error)) => seen.push(format!("{error}")),
            Output::Event(Event::Topic { partitions: Err(error), .. }) => seen.push(format!("{error}")),
            Output::Wait(_) => break,
            _ => {}
        }
    }
    let expected = if broker.challenges.is_some() && mechanism != SaslMechanism::Plain { 2 } else { 1 };
    assert!(broker.tokens >= expected, "{whence}: {} tokens came", broker.tokens);
    let mut needles = Needles::of([password]);
    broker.heard.iter().for_each(|secret| needles.add(secret));
    seen.iter().for_each(|text| needles.are_not_in(text, &whence));
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        3 => (0..FORMS).prop_map(Answer::Refuse),
        3 => (0..FORMS).prop_map(Answer::RefuseInToken),
        1 => any::<Vec<u8>>().prop_map(Answer::Token),
        1 => Just(Answer::Token(b"v=bm90IHRoZSBzaWduYXR1cmU=".to_vec())),
        1 => any::<Vec<u8>>().prop_map(Answer::Frame),
        1 => Just(Answer::Repeat),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_broker_that_repeats_what_it_was_sent_is_not_quoted(
        plain in prop::string::string_regex("\\PC{8,40}").unwrap().no_shrink(),
        printable in prop::string::string_regex("[!-~]{8,40}").unwrap().no_shrink(),
        challenges in any::<bool>(),
        answer in answer(),
    ) {
        log_in(SaslMechanism::Plain, &plain, Hostile::new(None, answer.clone()));
        let challenges = challenges.then(|| printable.clone());
        log_in(SaslMechanism::ScramSha256, &printable, Hostile::new(challenges, answer));
    }
}
