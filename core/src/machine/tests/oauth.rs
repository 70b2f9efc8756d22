//! OAUTHBEARER: when a token is asked for, and what happens without one.

use super::*;

fn world(session: i64) -> World {
    let mut world = World::new(|config| config.sasl = Some(OAuthBearer::new().into()));
    world.session = Some(session);
    world.bearer = Some(b"n,,\x01auth=Bearer good\x01\x01".to_vec());
    world
}

fn token(value: &str, seconds: u64) -> Result<OAuthToken, TransportError> {
    Ok(OAuthToken::new(value).unwrap().lifetime(Duration::from_secs(seconds)))
}

fn requested(world: &World) -> usize {
    world.events.iter().filter(|event| matches!(event, Event::TokenRequired)).count()
}

fn logins(world: &World) -> usize {
    world.apis().iter().filter(|&&api| api == 36).count()
}

fn errors(world: &World) -> Vec<String> {
    let error = |event: &Event| match event {
        Event::ConnectionError(error) => Some(error.to_string()),
        _ => None,
    };
    world.events.iter().filter_map(error).collect()
}

#[test]
fn a_token_is_asked_for_once_and_connections_wait_for_it() {
    let mut world = World::new(|config| {
        config.sasl = Some(OAuthBearer::new().into());
        config.bootstrap_servers.push(("other".into(), 9093));
    });
    world.session = Some(0);
    world.bearer = Some(b"n,,\x01auth=Bearer good\x01\x01".to_vec());
    world.send(&["x"], 0);
    world.run();
    assert_eq!((requested(&world), logins(&world)), (1, 0));
    let stats = world.producer.stats(world.now);
    assert_eq!(
        (stats.connection_count(), stats.requests_in_flight()),
        (1, 0),
        "the application is asked, and no broker"
    );
    world.pass(at(2_500));
    assert_eq!(world.connects.len(), 2, "the other one is tried, too");
    assert_eq!(requested(&world), 1);
    world.producer.set_token(token("good", 3_600), world.now);
    world.run();
    assert_eq!(world.fates(), [(0, DONE)]);
    assert_eq!(errors(&world), [] as [&str; 0]);
}

#[test]
fn a_token_is_sent_with_its_extensions() {
    let mut world = world(0);
    world.bearer = Some(b"n,,\x01auth=Bearer good\x01logicalCluster=lkc-1\x01\x01".to_vec());
    let token = OAuthToken::new("good").unwrap().extension("logicalCluster", "lkc-1").unwrap();
    world.producer.set_token(Ok(token), world.now);
    world.send(&["x"], 0);
    world.run();
    assert_eq!((world.fates(), requested(&world)), (vec![(0, DONE)], 0));
}

#[test]
fn a_token_is_replaced_before_it_expires_and_used_for_the_next_session() {
    let mut world = world(100_000);
    world.producer.set_token(token("good", 100), world.now);
    world.send(&["x"], 0);
    world.run();
    world.pass(at(79_999));
    assert_eq!((requested(&world), logins(&world)), (0, 2));
    world.pass(at(85_000));
    assert_eq!(requested(&world), 1, "after 80 to 85 % of its lifetime");
    world.bearer = Some(b"n,,\x01auth=Bearer better\x01\x01".to_vec());
    world.producer.set_token(token("better", 100), world.now);
    world.pass(at(95_000));
    assert_eq!((logins(&world), world.closed.len()), (4, 0));
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, DONE), (1, DONE)]);
}

#[test]
fn without_connections_a_token_is_asked_for_when_one_is_needed() {
    let mut world = world(0);
    world.producer.set_token(token("good", 100), world.now);
    world.pass(at(90_000));
    assert_eq!(requested(&world), 0);
    // The old one is still valid.
    world.send(&["x"], 0);
    world.run();
    assert_eq!((requested(&world), world.fates()), (1, vec![(0, DONE)]));
    world.pass(at(1_000_000));
    assert_eq!(requested(&world), 1);
    // This one is not.
    world.producer.set_token(token("good", 100), world.now);
    world.pass(at(2_000_000));
    let before = requested(&world);
    world.send(&["y"], 0);
    world.run();
    assert_eq!((requested(&world), world.fates().len()), (before + 1, 1));
}

#[test]
fn an_expired_token_is_not_used() {
    let mut world = world(100_000);
    world.producer.set_token(token("good", 90), world.now);
    world.send(&["x"], 0);
    world.run();
    world.pass(at(94_999));
    assert_eq!((requested(&world), logins(&world)), (1, 2), "no token was brought");
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.fates().len(), 1);
    world.producer.set_token(token("good", 90), world.now);
    world.run();
    assert_eq!((world.fates(), errors(&world).len()), (vec![(0, DONE), (1, DONE)], 0));
    assert_eq!(world.closed.len(), 0);
}

#[test]
fn a_refused_token_is_an_error_in_words_and_not_sent_again() {
    let mut world = world(0);
    world.producer.set_token(token("bad", 3_600), world.now);
    world.producer.lookup_topic("t", world.now);
    world.run();
    let expected = "boot:9092: OAUTHBEARER: the broker refuses the token: invalid_token, so it has expired, is not valid yet, has \
                    another audience or issuer than the broker expects, or is not signed with a key that the broker knows (the \
                    broker's log has the reason)";
    assert_eq!(errors(&world), [expected]);
    let [Event::Topic { partitions: Err(error), .. }, ..] = &world.events[..] else { panic!("{:?}", world.events) };
    assert!(matches!(error, TopicLookupError::Authentication(_)));
    assert_eq!(logins(&world), 2, "the token, and the acknowledgement of the answer");
    world.now = at(10_000);
    world.send(&["x"], 0);
    world.run();
    assert_eq!((requested(&world), logins(&world)), (1, 2));
    world.producer.set_token(token("good", 3_600), world.now);
    world.run();
    assert_eq!(world.fates(), [(0, DONE)]);
}

#[test]
fn without_a_token_connections_fail_and_it_is_asked_for_again() {
    let mut world = world(0);
    world.send(&["x"], 0);
    world.run();
    world.producer.set_token(Err(String::from("the endpoint is down").into()), world.now);
    world.run();
    assert_eq!(errors(&world), ["boot:9092: OAUTHBEARER: no token: the endpoint is down"]);
    world.pass(at(5_000));
    assert_eq!(requested(&world), 2);
    world.pass(at(29_000));
    assert_eq!(errors(&world).len(), 1);
    world.pass(at(40_000));
    assert!(
        errors(&world)[1].ends_with("OAUTHBEARER: no token was brought within request.timeout.ms (30000)"),
        "{:?}",
        errors(&world)
    );
    world.producer.set_token(token("good", 3_600), world.now);
    world.pass(at(45_000));
    assert_eq!(world.fates(), [(0, DONE)], "a late one is used");
}

#[test]
fn after_an_error_a_valid_token_is_kept() {
    let mut world = world(0);
    world.producer.set_token(token("good", 1_000), world.now);
    world.send(&["x"], 0);
    world.pass(at(500_000));
    world.send(&["x"], 0);
    world.pass(at(850_000));
    assert_eq!(requested(&world), 1);
    world.producer.set_token(Err(String::from("down").into()), world.now);
    world.pass(at(859_999));
    assert_eq!(requested(&world), 1);
    world.pass(at(860_000));
    assert_eq!(requested(&world), 2);
    world.send(&["y"], 0);
    world.run();
    assert_eq!((world.fates().len(), errors(&world).len()), (3, 0));
}

#[test]
fn with_another_mechanism_a_token_has_no_effect() {
    let mut world = World::new(|_| {});
    world.producer.set_token(token("good", 1), world.now);
    world.producer.set_token(Err(String::from("down").into()), world.now);
    world.send(&["x"], 0);
    world.run();
    assert_eq!((world.fates(), world.events.len()), (vec![(0, DONE)], 1));
}
