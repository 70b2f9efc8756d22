//! The laws: what consumers of committed records read, compared with what the applications were told. Texts begin with the law.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_batch_core::{Record, TopicPartition};
use kafka_batch_simulated::World;
use kafka_batch_testing::{ApiKey, ReceivedRequest};

use super::plan::{OUTPUT, PARTITIONS, Plan};
use super::told::{AllTold, Ending, Fenced, Outcome, Told};

/// The time after which a request that was sent has arrived, whatever the faults.
const IN_TRANSIT: Duration = Duration::from_secs(45);

/// Returns the committed values of a topic, by partition, in order.
pub(super) fn committed(world: &World, topic: &str) -> Vec<Vec<String>> {
    let logs = world.cluster().logs(topic);
    logs.iter().map(|log| log.committed_values().expect("no codec")).collect()
}

/// Checks the laws of transactions.
pub(super) fn check(world: &World, plan: &Plan, told: &AllTold) -> Result<(), String> {
    if let Some(violation) = &told.violation {
        return Err(violation.clone());
    }
    let logs = committed(world, OUTPUT);
    let mut places: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
    for (partition, values) in logs.iter().enumerate() {
        for (place, value) in values.iter().enumerate() {
            places.entry((partition, value.as_str())).or_default().push(place);
        }
    }
    let count = |partition: i32, value: &str| places.get(&(partition as usize, value)).map_or(0, Vec::len);
    for (number, told) in told.transactions.iter().enumerate() {
        outcome(number, told, count)?;
        let mut last = BTreeMap::new();
        for sent in &told.sent {
            let Some([place]) = places.get(&(sent.partition as usize, sent.value.as_str())).map(Vec::as_slice) else {
                continue;
            };
            if last.insert(sent.partition, *place).is_some_and(|before| before > *place) {
                return Err(format!("the order in a partition is the order of acceptance: transaction {number}"));
            }
        }
    }
    let sent: usize = told.transactions.iter().map(|told| told.sent.len()).sum();
    let expected = told.transactions.iter().flat_map(|told| &told.sent);
    let known: usize = expected.map(|sent| count(sent.partition, &sent.value)).sum();
    let read: usize = logs.iter().map(Vec::len).sum();
    if known != read {
        return Err(format!("only accepted records are committed: {read} of {sent}, of which {known} are known"));
    }
    let requests = world.cluster().requests();
    fenced(&told.fenced, &requests)?;
    levels(plan, &requests)?;
    if let Some(error) = told.only_errors.first().filter(|_| plan.is_level_2() && !is_initialised_late(&requests)) {
        return Err(format!("the only producer of an id goes on, at level 2: {error}"));
    }
    match world.cluster().violations().first() {
        Some(violation) => Err(format!("brokers accept what is sent: {violation}")),
        None => Ok(()),
    }
}

/// Checks a transaction.
fn outcome(number: usize, told: &Told, count: impl Fn(i32, &str) -> usize) -> Result<(), String> {
    let each: Vec<usize> = told.sent.iter().map(|sent| count(sent.partition, &sent.value)).collect();
    let (least, most) = (each.iter().min().copied().unwrap_or(0), each.iter().max().copied().unwrap_or(0));
    if least != most {
        return Err(format!("a transaction is committed as a whole or not at all: {number}, {told:?}: {each:?}"));
    }
    if most > 1 {
        return Err(format!("nothing is committed twice: {number}, {told:?}: {each:?}"));
    }
    let law = match (told.outcome, told.ending) {
        (Some(Outcome::Committed), _) if least == 0 && !each.is_empty() => "what is reported as committed is committed",
        (Some(Outcome::NotCommitted), _) if most > 0 => "what is reported as not committed is not committed",
        (_, Ending::Abort) if most > 0 => "what was never to be committed is not committed",
        _ => return Ok(()),
    };
    Err(format!("{law}: {number}, {told:?}: {each:?}"))
}

/// Checks that a producer that was fenced sends nothing of a transaction any more.
fn fenced(fenced: &[Fenced], requests: &[ReceivedRequest]) -> Result<(), String> {
    let of_transactions = [
        ApiKey::Produce,
        ApiKey::InitProducerId,
        ApiKey::AddPartitionsToTxn,
        ApiKey::AddOffsetsToTxn,
        ApiKey::TxnOffsetCommit,
        ApiKey::EndTxn,
    ];
    for Fenced { client_id, at } in fenced {
        let late = requests.iter().find(|request| {
            request.client_id.as_ref() == Some(client_id)
                && of_transactions.contains(&request.api)
                && request.at > *at + IN_TRANSIT
        });
        if let Some(late) = late {
            return Err(format!("a producer that is fenced sends nothing: {client_id} at {at:?}: {late:?}"));
        }
    }
    Ok(())
}

/// Checks that requests are of the level of `transaction.version`.
fn levels(plan: &Plan, requests: &[ReceivedRequest]) -> Result<(), String> {
    for request in requests.iter().filter(|request| request.transactional_id.is_some()) {
        let is_of_level_2 = match request.api {
            ApiKey::Produce => request.version >= 12,
            ApiKey::EndTxn | ApiKey::TxnOffsetCommit => request.version >= 5,
            ApiKey::AddPartitionsToTxn | ApiKey::AddOffsetsToTxn => false,
            _ => continue,
        };
        if is_of_level_2 && plan.is_below_level_2() || !is_of_level_2 && plan.is_level_2() {
            return Err(format!("requests are of the level of transaction.version: {request:?}"));
        }
    }
    Ok(())
}

/// Returns true if a request to initialise an id may have been executed after the producer had been initialised by another one:
/// then it has fenced itself, as with Kafka (KAFKA-20357).
fn is_initialised_late(requests: &[ReceivedRequest]) -> bool {
    let mut connections: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.api == ApiKey::InitProducerId) {
        let Some(id) = request.transactional_id.as_deref() else { continue };
        let (connection, is_late) = connections.entry(id).or_insert((request.connection, false));
        // Sent again after a connection was given up, or a response did not come.
        *is_late |= *connection != request.connection;
    }
    connections.values().any(|(_, is_late)| *is_late)
}

/// Checks that a producer that begins when the faults are over commits.
pub(super) async fn a_new_producer_commits(world: &World, transactional_id: &str) -> Result<(), String> {
    const LAW: &str = "after the faults end, a new producer commits";
    let builder = world.producer_builder().set("client.id", "last").transactional_id(transactional_id);
    let committed = async {
        let mut producer = builder.build_transactional().await.map_err(|error| error.to_string())?;
        let transaction = producer.begin().await.map_err(|error| error.to_string())?;
        for partition in 0..PARTITIONS {
            let mut batch = transaction.batch();
            assert!(!batch.append(Record::new("last")).expect("a short value").is_full());
            let to = TopicPartition::new(OUTPUT, partition);
            drop(transaction.send_batch(batch, to).await.map_err(|error| error.to_string())?);
        }
        transaction.commit().await.map_err(|error| error.to_string())?;
        producer.close().await.map_err(|error| error.to_string())
    };
    match world.timeout(Duration::from_secs(100), committed).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{LAW}: {transactional_id}: {error}")),
        Err(late) => Err(format!("{LAW}: {transactional_id}: {late}")),
    }
}
