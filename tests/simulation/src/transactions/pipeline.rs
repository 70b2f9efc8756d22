//! A group of processes that consume, transform and produce: each input record is in the output once, whoever is killed (KIP-447).
//!
//! Consumers are simulated by reading the brokers' logs and the group's offsets directly. An offset is read as with
//! `isolation.level=read_committed`: not while a transaction that has one for the same partition is open.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use kafka_batch_core::transaction::{BeginError, CommitError, GroupMetadata};
use kafka_batch_core::{KafkaBatch, Record, TopicPartition};
use kafka_batch_simulated::World;
use kafka_batch_transport::{InitTransactions, TransactionalProducer};

use super::chance::Chance as _;
use super::laws;
use super::plan::{Application, Grouping, INPUT, INPUT_PARTITIONS, OUTPUT, PARTITIONS, Plan};
use super::process::process;
use super::settle::settle;
use super::told::{AllTold, Counts, Outcome, Sent, Told};

const GROUP: &str = "pipeline";
/// The number of input records of each partition.
const INPUTS: i64 = 12;
/// How often a member looks for work.
const POLL: Duration = Duration::from_millis(200);

/// Why a process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Fenced,
    Rebuild,
}

/// Which member has which partitions.
#[derive(Clone, Debug, Default)]
struct Assignment {
    generation: i32,
    members: Vec<String>,
}

impl Assignment {
    /// Returns the partitions of a member.
    fn partitions_of(&self, member: &str) -> Vec<i32> {
        let Some(place) = self.members.iter().position(|other| other == member) else { return Vec::new() };
        let count = self.members.len() as i32;
        (0..INPUT_PARTITIONS).filter(|partition| (partition + self.generation) % count == place as i32).collect()
    }
}

/// Runs the application, and checks the laws.
pub(super) async fn run(world: World, plan: Plan) -> Result<Counts, String> {
    let Application::Pipeline(grouping) = plan.application else { unreachable!("this application is the plan's") };
    let pipeline = Pipeline {
        world: world.clone(),
        grouping,
        assignment: Rc::default(),
        counts: Rc::default(),
        told: Rc::default(),
        next_member: Rc::default(),
        next_process: Rc::default(),
    };
    pipeline.fill().await;
    let processes: Vec<_> = (0..1 + world.below(3)).map(|slot| world.spawn(pipeline.clone().slot(slot))).collect();
    for process in processes {
        process.await?;
    }
    settle(&world).await?;
    pipeline.check()?;
    laws::a_new_producer_commits(&world, "pipeline-0").await?;
    let mut counts = *pipeline.counts.borrow();
    counts.runs = 1;
    counts.requests = world.cluster().requests().len() as u64;
    Ok(counts)
}

/// What all processes share.
#[derive(Clone)]
struct Pipeline {
    world: World,
    grouping: Grouping,
    assignment: Rc<RefCell<Assignment>>,
    counts: Rc<RefCell<Counts>>,
    told: Rc<RefCell<AllTold>>,
    next_member: Rc<Cell<u32>>,
    next_process: Rc<Cell<usize>>,
}

impl Pipeline {
    /// Writes the input.
    async fn fill(&self) {
        let producer = self.world.producer();
        for partition in 0..INPUT_PARTITIONS {
            while self.input_end(partition) < INPUTS {
                let mut batch = producer.batch();
                for number in 0..3 {
                    assert!(!batch.append(Record::new(&format!("{number}"))).expect("a short value").is_full());
                }
                if let Ok(pending) = producer.send_batch(batch, TopicPartition::new(INPUT, partition)).await {
                    drop(pending.await);
                }
            }
        }
        drop(producer.close().await);
        self.counts.borrow_mut().inputs = (0..INPUT_PARTITIONS).map(|partition| self.input_end(partition) as u64).sum();
    }

    fn input_end(&self, partition: i32) -> i64 {
        self.world.cluster().log(INPUT, partition).map_or(0, |log| log.high_watermark())
    }

    fn committed(&self, partition: i32) -> i64 {
        let offsets = self.world.cluster().committed_offsets(GROUP);
        let of = |((topic, other), _): &&((String, i32), _)| topic == INPUT && *other == partition;
        offsets.iter().find(of).map_or(0, |(_, committed)| committed.offset)
    }

    fn is_done(&self) -> bool {
        (0..INPUT_PARTITIONS).all(|partition| self.committed(partition) >= self.input_end(partition))
    }

    /// Adds a member to the group, or removes one, and assigns the partitions again.
    fn rebalance(&self, joins: Option<&str>, leaves: Option<&str>) {
        let mut assignment = self.assignment.borrow_mut();
        assignment.members.retain(|member| Some(member.as_str()) != leaves);
        assignment.members.extend(joins.map(str::to_owned));
        assignment.generation += 1;
        let (cluster, generation) = (self.world.cluster(), assignment.generation);
        let members = assignment.members.clone();
        match self.grouping {
            Grouping::Classic | Grouping::IdForEachPartition => {
                cluster.set_group_members(GROUP, generation, members.iter().map(|member| (member.as_str(), None)));
            }
            Grouping::Consumer => {
                for member in &members {
                    let owned = assignment.partitions_of(member);
                    let owned = owned.iter().map(|partition| (INPUT, *partition));
                    cluster.set_consumer_group_member(GROUP, member, generation, owned);
                }
                if let Some(left) = leaves {
                    cluster.remove_group_member(GROUP, left);
                }
            }
        }
    }

    /// Processes in one place, one after the other, until all is done.
    async fn slot(self, slot: u64) -> Result<(), String> {
        let world = self.world.clone();
        world.sleep(world.millis(world.pick(&[1, 3_000]))).await;
        for life in 0.. {
            if self.is_done() {
                break;
            }
            let next = self.next_member.get();
            self.next_member.set(next + 1);
            let member = format!("member-{next}");
            self.rebalance(Some(&member), None);
            let killed_after = (life < 6).then(|| world.millis(world.pick(&[100, 2_000, 20_000])));
            let ended = match self.grouping {
                Grouping::IdForEachPartition => self.live_alone(&member, killed_after).await,
                _ => self.start(format!("pipeline-{slot}"), &member, None, killed_after).await,
            };
            world.note(format_args!("{member} ends: {ended:?}"));
            self.rebalance(None, Some(&member));
        }
        Ok(())
    }

    /// Starts a process for each partition of a member, with a transactional id of the partition, and again when partitions were
    /// assigned anew.
    async fn live_alone(&self, member: &str, killed_after: Option<Duration>) -> Option<End> {
        while !self.is_done() {
            let partitions = self.assignment.borrow().partitions_of(member);
            let mut all = Vec::new();
            for partition in partitions {
                let (this, member) = (self.clone(), member.to_owned());
                all.push(self.world.spawn(async move {
                    this.start(format!("pipeline-{partition}"), &member, Some(partition), killed_after).await
                }));
            }
            self.world.sleep(POLL).await;
            let mut ended = Vec::new();
            for each in all {
                ended.push(each.await);
            }
            if ended.contains(&None) {
                return None;
            }
        }
        Some(End::Done)
    }

    async fn start(
        &self,
        transactional_id: String,
        member: &str,
        only: Option<i32>,
        killed_after: Option<Duration>,
    ) -> Option<End> {
        let builder = self
            .world
            .producer_builder()
            .set("client.id", member)
            .set("transaction.timeout.ms", self.world.pick(&["3000", "10000", "60000"]))
            .set("request.timeout.ms", "3000")
            .set("linger.ms", "0")
            .transactional_id(transactional_id.clone());
        let built = builder.build_transactional_with_task().expect("valid settings");
        let (this, member) = (self.clone(), member.to_owned());
        process(&self.world, built, killed_after, move |producer| this.live(producer, transactional_id, member, only))
            .await
    }

    /// The application, from the start of a process to its end.
    async fn live(self, producer: InitTransactions, id: String, member: String, only: Option<i32>) -> End {
        let Ok(mut producer) = producer.await else { return End::Rebuild };
        let (initialized_at, process) = (self.world.elapsed(), self.next_process.get());
        self.next_process.set(process + 1);
        while !self.is_done() {
            // What the member knows of its group, with which it makes some transactions, also if it is outdated.
            let known = self.assignment.borrow().clone();
            let partitions = only.map_or_else(|| known.partitions_of(&member), |partition| vec![partition]);
            let has_work = |partition: i32| {
                self.committed(partition) < self.input_end(partition)
                    && known.partitions_of(&member).contains(&partition)
            };
            if only.is_some_and(|partition| !has_work(partition)) {
                break;
            }
            for _ in 0..1 + self.world.below(4) {
                // The offsets are read after the group was joined, or the id was initialised.
                let Some(work) = self.work(&partitions).await else {
                    self.world.sleep(POLL).await;
                    break;
                };
                let told = Told::new(process, id.clone(), initialized_at);
                if let Err(end) = self.transaction(&mut producer, &member, known.generation, work, told).await {
                    self.world.note(format_args!("{member} stops: {end:?}"));
                    if end == End::Fenced {
                        self.counts.borrow_mut().fenced += 1;
                    }
                    drop(producer.close_at_once().await);
                    return end;
                }
            }
        }
        drop(producer.close().await);
        End::Done
    }

    /// Returns some records of these partitions: for each partition the first offset and the end.
    async fn work(&self, partitions: &[i32]) -> Option<BTreeMap<i32, (i64, i64)>> {
        let mut work = BTreeMap::new();
        for &partition in partitions {
            while self.world.cluster().is_offset_pending(GROUP, INPUT, partition) {
                self.world.sleep(Duration::from_millis(50)).await;
            }
            let (first, end) = (self.committed(partition), self.input_end(partition));
            if first < end {
                work.insert(partition, (first, end.min(first + 1 + self.world.below(4) as i64)));
            }
        }
        (!work.is_empty()).then_some(work)
    }

    /// Processes records in a transaction.
    async fn transaction(
        &self,
        producer: &mut TransactionalProducer,
        member: &str,
        generation: i32,
        work: BTreeMap<i32, (i64, i64)>,
        told: Told,
    ) -> Result<(), End> {
        let transaction = match producer.begin().await {
            Ok(transaction) => transaction,
            Err(BeginError::InterruptedCommit(_)) => return Ok(()),
            Err(BeginError::Fenced(_)) => return Err(End::Fenced),
            Err(_) => return Err(End::Rebuild),
        };
        self.counts.borrow_mut().transactions += 1;
        let number = self.told.borrow_mut().begun(told, self.world.elapsed());
        let mut is_complete = true;
        for (partition, (first, end)) in &work {
            for offset in *first..*end {
                let mut batch: KafkaBatch = transaction.batch();
                let value = format!("{partition}@{offset}");
                assert!(!batch.append(Record::new(&value)).expect("a short value").is_full());
                let to = TopicPartition::new(OUTPUT, self.world.below(PARTITIONS as u64) as i32);
                self.told.borrow_mut().transactions[number].sent.push(Sent { partition: to.partition, value });
                is_complete &= transaction.send_batch(batch, to).await.is_ok();
            }
        }
        let group = match self.grouping {
            Grouping::IdForEachPartition => GroupMetadata::unfenced(GROUP),
            Grouping::Classic | Grouping::Consumer => GroupMetadata::member(GROUP, generation, member),
        };
        let offsets = work.iter().map(|(partition, (_, end))| (TopicPartition::new(INPUT, *partition), *end));
        let sent = transaction.send_offsets(&group, offsets);
        // If the future is dropped, the offsets stay part of the transaction.
        let gives_up = self.world.seed() % 4 == 3 && self.world.percent(50);
        let sent = if gives_up {
            self.world.timeout(self.world.millis(self.world.pick(&[1, 50, 3_000])), sent).await.unwrap_or(Ok(()))
        } else {
            sent.await
        };
        self.world.note(format_args!("{member} {work:?}: {is_complete}, {sent:?}"));
        if !is_complete || sent.is_err() && self.world.percent(50) {
            let aborted = transaction.abort().await;
            self.tell(number, Outcome::NotCommitted);
            return aborted.map_err(|_| End::Rebuild);
        }
        let outcome = transaction.commit().await;
        self.world.note(format_args!("{member} {work:?}: {outcome:?}"));
        if sent.is_err() && outcome.is_ok() {
            panic!("a transaction with refused offsets is not committed");
        }
        match outcome {
            Ok(()) => {
                self.tell(number, Outcome::Committed);
                Ok(())
            }
            Err(CommitError::Aborted(_)) => {
                self.tell(number, Outcome::NotCommitted);
                Ok(())
            }
            Err(CommitError::Fenced(_)) => {
                self.tell(number, Outcome::NotCommitted);
                Err(End::Fenced)
            }
            Err(CommitError::Unknown(_)) => {
                self.tell(number, Outcome::Unknown);
                Err(End::Rebuild)
            }
            Err(_) => {
                self.tell(number, Outcome::NotCommitted);
                Err(End::Rebuild)
            }
        }
    }

    fn tell(&self, number: usize, outcome: Outcome) {
        self.told.borrow_mut().transactions[number].ended_at = Some(self.world.elapsed());
        let mut counts = self.counts.borrow_mut();
        match outcome {
            Outcome::Committed => counts.committed += 1,
            Outcome::NotCommitted => counts.not_committed += 1,
            Outcome::Unknown => counts.unknown += 1,
        }
    }

    /// Checks that each input record is in the output once.
    fn check(&self) -> Result<(), String> {
        let inputs = (0..INPUT_PARTITIONS)
            .flat_map(|partition| (0..self.input_end(partition)).map(move |offset| format!("{partition}@{offset}")));
        let outputs = laws::committed(&self.world, OUTPUT).into_iter().flatten().collect();
        laws::once(inputs.collect(), outputs, &self.told.borrow().transactions, &laws::shared_epochs(&self.world))
    }
}
