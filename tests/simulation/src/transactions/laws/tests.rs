//! Each law notices a made-up history that violates it, and nothing in the same history without the fault.

use kafka_batch_simulated::FaultIntensity;
use kafka_batch_testing::Release;

use super::super::plan::Application;
use super::*;

fn plan(level: i16) -> Plan {
    Plan {
        application: Application::Writers,
        release: Release::NEWEST,
        level,
        intensity: FaultIntensity::Normal,
        has_level_changes: false,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A transaction of one process, which has sent `a` and `b` to partition 0, and `c` to partition 1.
fn transaction(ending: Ending, outcome: Option<Outcome>) -> Told {
    let mut told = Told::new(7, "id".into(), seconds(10));
    let sent = [(0, "a"), (0, "b"), (1, "c")];
    told.sent = sent.map(|(partition, value)| Sent { partition, value: value.into() }).into();
    (told.ending, told.outcome, told.ended_at) = (ending, outcome, Some(seconds(20)));
    told
}

fn all(transaction: Told) -> AllTold {
    AllTold { transactions: vec![transaction], ..AllTold::default() }
}

fn committed(partitions: [&[&str]; 2]) -> History {
    let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    History { committed: partitions.map(values).into(), ..History::default() }
}

/// Returns the law that is violated, at level 2.
fn law(history: &History, told: &AllTold) -> Option<String> {
    let violation = history.check(&plan(2), told).err()?;
    Some(violation.split(':').next().unwrap_or_default().to_owned())
}

#[test]
fn what_is_committed_is_compared_with_what_was_told() {
    use Ending::{Abort, Commit};
    use Outcome::{Committed, NotCommitted, Unknown};

    type Values = [&'static [&'static str]; 2];
    type Row = (Values, Ending, Option<Outcome>, Option<&'static str>);
    const NONE: Values = [&[], &[]];
    const ALL: Values = [&["a", "b"], &["c"]];
    let rows: [Row; 14] = [
        (ALL, Commit, Some(Committed), None),
        (ALL, Commit, Some(Unknown), None),
        (ALL, Commit, None, None),
        (NONE, Commit, Some(NotCommitted), None),
        (NONE, Commit, Some(Unknown), None),
        (NONE, Abort, None, None),
        (NONE, Commit, Some(Committed), Some("what is reported as committed is committed")),
        (ALL, Commit, Some(NotCommitted), Some("what is reported as not committed is not committed")),
        (ALL, Abort, Some(NotCommitted), Some("what is reported as not committed is not committed")),
        (ALL, Abort, None, Some("what was never to be committed is not committed")),
        ([&["a"], &["c"]], Commit, None, Some("a transaction is committed as a whole or not at all")),
        ([&["a", "b", "a", "b"], &["c", "c"]], Commit, None, Some("nothing is committed twice")),
        ([&["b", "a"], &["c"]], Commit, None, Some("the order in a partition is the order of acceptance")),
        ([&["a", "b"], &["c", "d"]], Commit, None, Some("only accepted records are committed")),
    ];
    for (values, ending, outcome, expected) in rows {
        let found = law(&committed(values), &all(transaction(ending, outcome)));
        assert_eq!(found.as_deref(), expected, "{values:?}, {ending:?}, {outcome:?}");
    }
}

#[test]
fn only_transactions_of_producers_that_share_an_epoch_are_exempt() {
    let mut history = committed([&["a"], &[]]);
    let told = all(transaction(Ending::Commit, None));
    for (id, at, is_exempt) in [
        ("id", 9, false), // the producer was initialised later, and has an epoch of its own
        ("id", 10, true),
        ("id", 20, true),
        ("id", 21, false), // it had ended
        ("other", 15, false),
    ] {
        history.shared_epochs = SharedEpochs(BTreeMap::from([(id.into(), vec![seconds(at)])]));
        assert_eq!(law(&history, &told).is_none(), is_exempt, "{id} at {at}");
    }
    // Also what it begins later, and never ends.
    let mut open = transaction(Ending::Commit, None);
    open.ended_at = None;
    history.shared_epochs = SharedEpochs(BTreeMap::from([("id".into(), vec![seconds(21)])]));
    assert_eq!(law(&history, &all(open)), None);
}

fn request(api: ApiKey, version: i16, sent_at: u64) -> Request {
    let (client_id, transactional_id) = (Some("process".to_owned()), Some("id".to_owned()));
    Request { client_id, api, version, connection: 1, transactional_id, sent_at: seconds(sent_at) }
}

#[test]
fn a_request_is_late_if_it_was_sent_after_the_fence_whenever_it_is_received() {
    let told = AllTold {
        fenced: vec![Fenced { client_id: "process".into(), at: seconds(30) }],
        ..all(transaction(Ending::Abort, None))
    };
    let mut history = committed([&[], &[]]);
    for (api, version, sent_at, is_late) in [
        (ApiKey::EndTxn, 5, 30, false),
        (ApiKey::EndTxn, 5, 31, true),
        (ApiKey::Produce, 12, 31, true),
        (ApiKey::InitProducerId, 4, 31, true),
        (ApiKey::TxnOffsetCommit, 5, 31, true),
        (ApiKey::Metadata, 12, 31, false),
    ] {
        history.requests = vec![request(api, version, sent_at)];
        let expected = is_late.then_some("a producer that is fenced sends nothing");
        assert_eq!(law(&history, &told).as_deref(), expected, "{api:?} at {sent_at}");
        history.requests[0].client_id = Some("another".into());
        assert_eq!(law(&history, &told), None);
    }
}

#[test]
fn requests_of_another_level_are_noticed() {
    let told = AllTold::default();
    for (api, below, at_level_2) in [
        (ApiKey::Produce, 11, 12),
        (ApiKey::EndTxn, 4, 5),
        (ApiKey::TxnOffsetCommit, 4, 5),
        (ApiKey::AddPartitionsToTxn, 3, -1),
        (ApiKey::AddOffsetsToTxn, 3, -1),
    ] {
        for (version, levels) in [(below, [0, 1].as_slice()), (at_level_2, [2].as_slice())] {
            let history = History { requests: vec![request(api, version, 0)], ..History::default() };
            for level in (0..=2).filter(|_| version >= 0) {
                let holds = history.check(&plan(level), &told).is_ok();
                assert_eq!(holds, levels.contains(&level), "{api:?} v{version} at level {level}");
            }
        }
    }
}

#[test]
fn what_processes_and_brokers_find_themselves_is_reported() {
    let history = History { violations: vec!["Produce v99".into()], ..History::default() };
    assert_eq!(law(&history, &AllTold::default()).as_deref(), Some("brokers accept what is sent"));
    let mut told = AllTold::default();
    told.violated("the outcome of a commit is told once", "again");
    assert_eq!(law(&History::default(), &told).as_deref(), Some("the outcome of a commit is told once"));
    let told = AllTold { only_errors: vec!["fenced".into()], ..AllTold::default() };
    const ONLY: &str = "the only producer of an id goes on, at level 2";
    assert_eq!(law(&History::default(), &told).as_deref(), Some(ONLY));
    assert_eq!(History::default().check(&plan(1), &told), Ok(()));
    // A repeated InitProducerId on another connection can have fenced it.
    let mut history = History { requests: vec![request(ApiKey::InitProducerId, 4, 0); 2], ..History::default() };
    assert_eq!(law(&history, &told).as_deref(), Some(ONLY));
    history.requests[1].connection = 2;
    assert_eq!(law(&history, &told), None);
}

#[test]
fn each_input_is_in_the_output_once() {
    let check = |outputs: &[&str], told: &[Told], shared: &SharedEpochs| {
        let inputs = ["a", "b", "c"].map(str::to_owned).into();
        once(inputs, outputs.iter().map(|value| (*value).to_owned()).collect(), told, shared)
    };
    let none = SharedEpochs::default();
    assert_eq!(check(&["c", "a", "b"], &[], &none), Ok(()));
    for (outputs, expected) in [
        (&["a", "b", "c", "b"][..], "no input record is in the output twice: b"),
        (&["a", "c"], "each input record is in the output: 1 are missing, as b"),
    ] {
        assert_eq!(check(outputs, &[], &none), Err(expected.into()));
        // Unless a transaction of a producer that shared an epoch has read it.
        let shared = SharedEpochs(BTreeMap::from([("id".into(), vec![seconds(15)])]));
        let mut told = transaction(Ending::Commit, None);
        assert_eq!(check(outputs, std::slice::from_ref(&told), &none), Err(expected.into()));
        assert_eq!(check(outputs, std::slice::from_ref(&told), &shared), Ok(()));
        told.sent.retain(|sent| sent.value != "b");
        assert_eq!(check(outputs, std::slice::from_ref(&told), &shared), Err(expected.into()));
    }
}
