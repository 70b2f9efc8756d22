//! The laws: what consumers of committed records read, compared with what the applications were told. Texts begin with the law.
//!
//! # What no client can prevent
//! With `transaction.version` 2, the coordinator of Kafka 4.4 returns to a fenced producer the epoch of the one that has fenced it, if
//! that one has ended a transaction by a request of a lower level, and its epoch is the next one
//! (`findings/kafka-fenced-gets-the-epoch.sh`). Brokers of the simulation do the same, and record when
//! ([`Transaction::epoch_shared_at`](kafka_batch_testing::Transaction::epoch_shared_at)). From then on two producers write
//! under one identity: what brokers accept and end of one can be of the other. So nothing is required of the transactions that
//! either of them had not ended by then ([`SharedEpochs::concern`]), and everything of all others.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_batch_core::{Record, TopicPartition};
use kafka_batch_simulated::World;
use kafka_batch_testing::{ApiKey, ReceivedRequest};

use super::plan::{OUTPUT, PARTITIONS, Plan};
use super::told::{AllTold, Ending, Fenced, Outcome, Sent, Told};

/// Returns the committed values of a topic, by partition, in order.
pub(super) fn committed(world: &World, topic: &str) -> Vec<Vec<String>> {
    let logs = world.cluster().logs(topic);
    logs.iter().map(|log| log.committed_values().expect("no codec")).collect()
}

/// When the coordinator has returned the epoch of a producer to one that it had fenced, by transactional id.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedEpochs(BTreeMap<String, Vec<Duration>>);

/// Returns when epochs were shared.
pub(super) fn shared_epochs(world: &World) -> SharedEpochs {
    let all = world.cluster().transactions().into_iter();
    SharedEpochs(all.map(|known| (known.transactional_id, known.epoch_shared_at)).collect())
}

impl SharedEpochs {
    /// Returns true if a transaction may be of one of two producers that shared an epoch while it was open, or before.
    /// A producer that was initialised later has an epoch of its own.
    fn concern(&self, told: &Told) -> bool {
        let has_part = |at: &Duration| told.initialized_at <= *at && told.ended_at.is_none_or(|ended| ended >= *at);
        self.0.get(&told.transactional_id).is_some_and(|all| all.iter().any(has_part))
    }
}

/// A request that a broker has received.
#[derive(Clone, Debug)]
struct Request {
    client_id: Option<String>,
    api: ApiKey,
    version: i16,
    connection: u64,
    transactional_id: Option<String>,
    /// When the client has sent it.
    sent_at: Duration,
}

/// Returns what brokers have received, in order.
fn requests(world: &World) -> Vec<Request> {
    let cluster = world.cluster();
    let mut connections: BTreeMap<u64, std::vec::IntoIter<Duration>> = BTreeMap::new();
    let request = |received: ReceivedRequest| {
        let ReceivedRequest { client_id, api, version, connection, transactional_id, .. } = received;
        // Brokers receive the requests of a connection in the order in which they were sent.
        let sent =
            connections.entry(connection).or_insert_with(|| cluster.requests_sent_at(connection).into_iter()).next();
        let sent_at = sent.expect("a request is received after it was sent");
        Request { client_id, api, version, connection, transactional_id, sent_at }
    };
    cluster.requests().into_iter().map(request).collect()
}

/// What happened in a run, apart from what the applications were told.
#[derive(Debug, Default)]
struct History {
    /// The committed values by partition, in order.
    committed: Vec<Vec<String>>,
    requests: Vec<Request>,
    shared_epochs: SharedEpochs,
    /// What brokers did not accept.
    violations: Vec<String>,
}

/// Checks the laws of transactions.
pub(super) fn check(world: &World, plan: &Plan, told: &AllTold) -> Result<(), String> {
    let history = History {
        committed: committed(world, OUTPUT),
        requests: requests(world),
        shared_epochs: shared_epochs(world),
        violations: world.cluster().violations(),
    };
    history.check(plan, told)
}

impl History {
    fn check(&self, plan: &Plan, told: &AllTold) -> Result<(), String> {
        if let Some(violation) = &told.violation {
            return Err(violation.clone());
        }
        let mut places = Places::new();
        for (partition, values) in self.committed.iter().enumerate() {
            for (place, value) in values.iter().enumerate() {
                places.entry((partition, value.as_str())).or_default().push(place);
            }
        }
        for (number, told) in told.transactions.iter().enumerate() {
            if self.shared_epochs.concern(told) {
                continue;
            }
            outcome(number, told, &places)?;
            order(number, told, &places)?;
        }
        let sent: BTreeSet<(usize, &str)> = told
            .transactions
            .iter()
            .flat_map(|told| &told.sent)
            .map(|sent| (sent.partition as usize, sent.value.as_str()))
            .collect();
        if let Some((partition, value)) = places.keys().find(|place| !sent.contains(*place)) {
            return Err(format!("only accepted records are committed: {value} in partition {partition}"));
        }
        fenced(&told.fenced, &self.requests)?;
        levels(plan, &self.requests)?;
        let error = told.only_errors.first().filter(|_| plan.is_level_2() && !is_initialised_late(&self.requests));
        if let Some(error) = error {
            return Err(format!("the only producer of an id goes on, at level 2: {error}"));
        }
        match self.violations.first() {
            Some(violation) => Err(format!("brokers accept what is sent: {violation}")),
            None => Ok(()),
        }
    }
}

/// The places of committed values in their partition, by partition and value.
type Places<'h> = BTreeMap<(usize, &'h str), Vec<usize>>;

/// Returns where a record is.
fn places_of<'p>(sent: &'p Sent, places: &'p Places<'p>) -> &'p [usize] {
    places.get(&(sent.partition as usize, sent.value.as_str())).map_or(&[], Vec::as_slice)
}

/// Checks what is committed of a transaction.
fn outcome(number: usize, told: &Told, places: &Places<'_>) -> Result<(), String> {
    let each: Vec<usize> = told.sent.iter().map(|sent| places_of(sent, places).len()).collect();
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

/// Checks the order of the records of a transaction that is committed.
fn order(number: usize, told: &Told, places: &Places<'_>) -> Result<(), String> {
    let mut last = BTreeMap::new();
    for sent in &told.sent {
        let [place] = places_of(sent, places) else { continue };
        if last.insert(sent.partition, *place).is_some_and(|before| before > *place) {
            return Err(format!("the order in a partition is the order of acceptance: transaction {number}"));
        }
    }
    Ok(())
}

/// Checks that a producer that was fenced sends nothing of a transaction any more.
fn fenced(fenced: &[Fenced], requests: &[Request]) -> Result<(), String> {
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
                && request.sent_at > *at
        });
        if let Some(late) = late {
            return Err(format!("a producer that is fenced sends nothing: {client_id} at {at:?}: {late:?}"));
        }
    }
    Ok(())
}

/// Checks that requests are of the level of `transaction.version`.
fn levels(plan: &Plan, requests: &[Request]) -> Result<(), String> {
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
fn is_initialised_late(requests: &[Request]) -> bool {
    let mut connections: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.api == ApiKey::InitProducerId) {
        let Some(id) = request.transactional_id.as_deref() else { continue };
        let (connection, is_late) = connections.entry(id).or_insert((request.connection, false));
        // Sent again after a connection was given up, or a response did not come.
        *is_late |= *connection != request.connection;
    }
    connections.values().any(|(_, is_late)| *is_late)
}

/// Checks that each input of a pipeline is in its output once.
pub(super) fn once(
    inputs: BTreeSet<String>,
    outputs: Vec<String>,
    told: &[Told],
    shared_epochs: &SharedEpochs,
) -> Result<(), String> {
    let concerned = told.iter().filter(|told| shared_epochs.concern(told));
    let exempt: BTreeSet<&str> = concerned.flat_map(|told| &told.sent).map(|sent| sent.value.as_str()).collect();
    let mut missing = inputs;
    for value in outputs {
        if !missing.remove(&value) && !exempt.contains(value.as_str()) {
            return Err(format!("no input record is in the output twice: {value}"));
        }
    }
    missing.retain(|value| !exempt.contains(value.as_str()));
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(format!("each input record is in the output: {} are missing, as {first}", missing.len())),
    }
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
