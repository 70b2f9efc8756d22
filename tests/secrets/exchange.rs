//! Authentication with hostile brokers, with the machine alone.

use kafka_batch::Timestamp;
use kafka_batch::machine::{Clock, Event, Input, Instant, Machine, MachineConfig, Output, Sasl, SaslMechanism};
use proptest::prelude::*;

use crate::answers::{Answer, FORMS, Hostile};
use crate::needles::Needles;

/// Exchanges messages until the machine gives up the connection, and searches everything that it shows.
fn log_in(mechanism: SaslMechanism, password: &str, mut broker: Hostile) {
    let context = format!("{mechanism} at {:?}", broker.answer);
    let sasl = Sasl::new(mechanism, "bob", password).unwrap();
    let mut config = MachineConfig::new([("localhost", 1)]);
    config.sasl = Some(sasl);
    let now = Instant::START;
    let mut texts = vec![format!("{config:?}")];
    let mut machine = Machine::new(config, Clock { now, wall: Timestamp::from_millis(0) }, 7);
    machine.lookup_topic("t", now);
    loop {
        let output = machine.poll_output(now);
        texts.push(format!("{output:?} {output:#?}"));
        match output {
            Output::Connect { connection, .. } => machine.handle_input(Input::Connected(connection), now),
            Output::Transmit { connection, bytes } => {
                let Some(answer) = broker.respond(&bytes.concat()[4..]) else { break };
                let frame = [&(answer.len() as i32).to_be_bytes()[..], &answer].concat();
                // In two pieces, so that the state with an incomplete frame is searched too.
                for piece in [&frame[..frame.len() - 1], &frame[frame.len() - 1..]] {
                    let input = Input::Received(connection, piece);
                    texts.push(format!("{input:?} {input:#?}"));
                    machine.handle_input(input, now);
                    texts.push(format!("{machine:?} {machine:#?}"));
                }
            }
            Output::Event(Event::ConnectionError(error)) => texts.push(format!("{error}")),
            Output::Event(Event::Topic { partitions: Err(error), .. }) => texts.push(format!("{error}")),
            Output::Wait(_) => break,
            _ => {}
        }
    }
    let expected = if broker.challenges.is_some() && mechanism != SaslMechanism::Plain { 2 } else { 1 };
    assert!(broker.tokens >= expected, "{context}: {} tokens received", broker.tokens);
    let mut needles = Needles::of([password]);
    broker.secrets.iter().for_each(|secret| needles.add(secret));
    texts.iter().for_each(|text| needles.are_not_in(text, &context));
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        3 => (0..FORMS).prop_map(Answer::Reject),
        3 => (0..FORMS).prop_map(Answer::RejectInToken),
        1 => any::<Vec<u8>>().prop_map(Answer::Token),
        1 => Just(Answer::Token(b"v=bm90IHRoZSBzaWduYXR1cmU=".to_vec())),
        1 => any::<Vec<u8>>().prop_map(Answer::Frame),
        1 => Just(Answer::Repeat),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_broker_that_repeats_secrets_is_not_quoted(
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
