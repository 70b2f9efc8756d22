//! Processes that write transactions to several partitions. Some have the same transactional id, so that they fence each other.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use kafka_batch_core::transaction::{AbortError, BeginError, CommitError, InitTransactionsError};
use kafka_batch_core::{Record, TopicPartition};
use kafka_batch_simulated::World;
use kafka_batch_transport::{InitTransactions, Transaction, TransactionalProducer};

use super::chance::Chance as _;
use super::laws;
use super::plan::{OUTPUT, PARTITIONS, Plan};
use super::process::process;
use super::settle::settle;
use super::told::{AllTold, Counts, Ending, Fenced, Outcome, Sent, Told};

/// How long a process that was fenced keeps its producer, which is to send nothing then.
const WATCHED: Duration = Duration::from_secs(90);

/// Separates the numbers of a process and of its successors.
const LIVES: usize = 1_000;

/// What the processes share: what they were told.
pub(super) type SharedTold = Rc<RefCell<AllTold>>;

/// Why a process stops, or builds a new producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Fenced,
    Rebuild,
}

/// Runs the application, and checks the laws.
pub(super) async fn run(world: World, plan: Plan) -> Result<Counts, String> {
    let told: SharedTold = Rc::default();
    let ids = 1 + world.below(2);
    let mut processes = Vec::new();
    let mut numbers = 0..;
    for id in 0..ids {
        // Alone, it is told nothing that only another process can be the cause of.
        let rivals = world.pick(&[1, 1, 2, 3]);
        for _ in 0..rivals {
            let number = numbers.next().expect("endless");
            let writer = Writer {
                world: world.clone(),
                told: Rc::clone(&told),
                number,
                transactional_id: format!("writer-{id}"),
                is_alone: rivals == 1,
            };
            processes.push(world.spawn(writer.run()));
        }
    }
    for process in processes {
        process.await;
    }
    settle(&world).await?;
    laws::check(&world, &plan, &told.borrow())?;
    for id in 0..ids {
        laws::a_new_producer_commits(&world, &format!("writer-{id}")).await?;
    }
    let mut counts = told.borrow().counts();
    counts.requests = world.cluster().requests().len() as u64;
    Ok(counts)
}

/// A process, and its successors after it was killed.
#[derive(Clone)]
struct Writer {
    world: World,
    told: SharedTold,
    number: usize,
    transactional_id: String,
    is_alone: bool,
}

impl Writer {
    async fn run(self) {
        let Self { world, .. } = &self;
        world.sleep(world.millis(world.pick(&[1, 200, 20_000]))).await;
        let lives = if world.percent(60) { 1 } else { 2 + world.below(3) };
        for life in 0..lives {
            let client_id = format!("process-{}-{life}", self.number);
            let timeout = world.pick(&["2000", "10000", "60000"]);
            let builder = world
                .producer_builder()
                .set("client.id", client_id.clone())
                .set("transaction.timeout.ms", timeout)
                .set("delivery.timeout.ms", world.pick(&["4000", "120000"]))
                .set("request.timeout.ms", world.pick(&["1000", "3000"]))
                .set("linger.ms", if self.sends_messages() { world.pick(&["5", "100"]) } else { "0" })
                .transactional_id(self.transactional_id.clone());
            let built = builder.build_transactional_with_task().expect("valid settings");
            let is_last = life + 1 == lives;
            let killed_after = (!is_last).then(|| world.millis(world.pick(&[30, 300, 3_000, 30_000])));
            let is_only = self.is_alone && lives == 1;
            let this = Self { number: self.number + LIVES * life as usize, ..self.clone() };
            let ended =
                process(world, built, killed_after, move |producer| this.live(producer, client_id, is_only)).await;
            world.note(format_args!("process {} ends: {ended:?}", self.number));
            match ended {
                Some(End::Done | End::Fenced) => return,
                Some(End::Rebuild) | None => {}
            }
        }
    }

    /// The application, from the start of a process to its end.
    async fn live(self, producer: InitTransactions, client_id: String, is_only: bool) -> End {
        let mut producer = match producer.await {
            Ok(producer) => producer,
            Err(InitTransactionsError::TimedOut { .. }) => return End::Rebuild,
            Err(error) => {
                self.only_law(is_only, "initialised", &error);
                return End::Rebuild;
            }
        };
        let initialized_at = self.world.elapsed();
        let transactions = 1 + self.world.below(6);
        let mut end = End::Done;
        for _ in 0..transactions {
            if self.world.percent(20) {
                self.world.sleep(self.world.millis(self.world.pick(&[20, 4_000]))).await;
            }
            match self.transaction(&mut producer, initialized_at, is_only).await {
                Ok(()) => {}
                Err(ended) => {
                    end = ended;
                    break;
                }
            }
        }
        if end == End::Fenced {
            self.told.borrow_mut().fenced.push(Fenced { client_id, at: self.world.elapsed() });
            self.world.sleep(WATCHED).await;
        }
        // What a commit became that was given up.
        if self.last_is_pending() {
            match producer.begin().await {
                Ok(transaction) => {
                    self.told.borrow_mut().violated("the outcome of a commit is told", "begin succeeded");
                    drop(transaction);
                }
                Err(error) => drop(self.begin_error(error, is_only)),
            }
        }
        let closed = if self.world.percent(70) { producer.close().await } else { producer.close_at_once().await };
        self.world.note(format_args!("closed: {closed:?}"));
        end
    }

    /// Makes one transaction.
    async fn transaction(
        &self,
        producer: &mut TransactionalProducer,
        initialized_at: Duration,
        is_only: bool,
    ) -> Result<(), End> {
        let world = &self.world;
        let transaction = loop {
            let was_pending = self.last_is_pending();
            match producer.begin().await {
                Ok(transaction) => {
                    if was_pending {
                        self.told.borrow_mut().violated("the outcome of a commit is told", "begin succeeded");
                    }
                    break transaction;
                }
                Err(error) => self.begin_error(error, is_only)?,
            }
        };
        let number = {
            let told = Told::new(self.number, self.transactional_id.clone(), initialized_at);
            self.told.borrow_mut().begun(told, world.elapsed())
        };
        let has_failed = self.send(&transaction, number).await;
        let commits = if has_failed { world.percent(30) } else { world.percent(75) };
        if !commits {
            return match world.below(3) {
                0 => {
                    drop(transaction);
                    Ok(())
                }
                _ => match transaction.abort().await {
                    Ok(()) => {
                        self.tell(number, Outcome::NotCommitted);
                        Ok(())
                    }
                    Err(error) => {
                        self.tell(number, Outcome::NotCommitted);
                        self.only_law(is_only, "aborted", &error);
                        Err(if matches!(error, AbortError::Fenced(_)) { End::Fenced } else { End::Rebuild })
                    }
                },
            };
        }
        self.told.borrow_mut().transactions[number].ending = Ending::Commit;
        let outcome = if world.percent(15) {
            match world.timeout(world.millis(world.pick(&[5, 400])), transaction.commit()).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    world.note(format_args!("the commit of {number} is given up"));
                    return Ok(());
                }
            }
        } else {
            transaction.commit().await
        };
        self.committed(number, outcome, is_only)
    }

    /// Returns true if it also sends single messages, which the producer gathers in batches for a while.
    fn sends_messages(&self) -> bool {
        self.world.seed() % 4 == 3
    }

    /// Sends some batches. Returns whether one was refused or has failed.
    async fn send(&self, transaction: &Transaction<'_>, number: usize) -> bool {
        let world = &self.world;
        let mut pending = Vec::new();
        let mut has_failed = false;
        for position in 0..world.pick(&[0, 1, 1, 2, 3, 6]) {
            let partition = world.below(PARTITIONS as u64) as i32;
            let value = format!("{number}:{position}");
            if self.sends_messages() && world.percent(60) {
                // Its outcome is not awaited, and it may still be gathered when the transaction ends.
                match transaction.enqueue((OUTPUT, partition), &*value).await {
                    Ok(_) => {
                        self.told.borrow_mut().transactions[number].sent.push(Sent { partition, value });
                        continue;
                    }
                    Err(error) => {
                        world.note(format_args!("{number}: {error}"));
                        has_failed = true;
                        break;
                    }
                }
            }
            let mut batch = transaction.batch();
            assert!(!batch.append(Record::new(&value)).expect("a short value").is_full());
            match transaction.send_batch(batch, TopicPartition::new(OUTPUT, partition)).await {
                Ok(accepted) => {
                    self.told.borrow_mut().transactions[number].sent.push(Sent { partition, value });
                    pending.push(accepted);
                }
                Err(error) => {
                    world.note(format_args!("{number}: {error}"));
                    has_failed = true;
                    break;
                }
            }
            if world.percent(20) {
                world.sleep(world.millis(world.pick(&[5, 300, 6_000]))).await;
            }
            let awaited = if world.percent(10) { pending.pop() } else { None };
            if let Some(accepted) = awaited {
                has_failed |= accepted.await.is_err();
            }
        }
        if world.percent(30) {
            for accepted in pending {
                has_failed |= accepted.await.is_err();
            }
        }
        world.note(format_args!("transaction {number} has {}", if has_failed { "failed" } else { "its batches" }));
        has_failed
    }

    /// Takes the outcome of a commit.
    fn committed(&self, number: usize, outcome: Result<(), CommitError>, is_only: bool) -> Result<(), End> {
        self.world.note(format_args!("commit of {number}: {outcome:?}"));
        match outcome {
            Ok(()) => {
                self.tell(number, Outcome::Committed);
                Ok(())
            }
            Err(CommitError::Aborted(_)) => {
                self.tell(number, Outcome::NotCommitted);
                Ok(())
            }
            Err(error @ CommitError::Unknown(_)) => {
                self.tell(number, Outcome::Unknown);
                self.only_law(is_only, "told", &error);
                Err(End::Rebuild)
            }
            Err(error @ CommitError::Fenced(_)) => {
                self.tell(number, Outcome::NotCommitted);
                self.only_law(is_only, "told", &error);
                Err(End::Fenced)
            }
            Err(error) => {
                self.tell(number, Outcome::NotCommitted);
                self.only_law(is_only, "told", &error);
                Err(End::Rebuild)
            }
        }
    }

    fn begin_error(&self, error: BeginError, is_only: bool) -> Result<(), End> {
        self.world.note(format_args!("begin: {error:?}"));
        match error {
            BeginError::InterruptedCommit(outcome) => match self.last_pending() {
                Some(number) => self.committed(number, outcome.map_err(|error| *error), is_only),
                None => {
                    self.told
                        .borrow_mut()
                        .violated("the outcome of a commit is told once", format_args!("{outcome:?}"));
                    Ok(())
                }
            },
            BeginError::Fenced(_) => {
                self.only_law(is_only, "told", &error);
                Err(End::Fenced)
            }
            _ => {
                self.only_law(is_only, "told", &error);
                Err(End::Rebuild)
            }
        }
    }

    /// Checks an error that the only producer of an id, at level 2, cannot get from the faults of a simulation.
    fn only_law(&self, is_only: bool, what: &str, error: &dyn std::fmt::Display) {
        if is_only {
            let mut told = self.told.borrow_mut();
            told.only_errors.push(format!("{} was {what}: {error}", self.transactional_id));
        }
    }

    fn tell(&self, number: usize, outcome: Outcome) {
        let mut told = self.told.borrow_mut();
        told.transactions[number].ended_at = Some(self.world.elapsed());
        if told.transactions[number].outcome.replace(outcome).is_some() {
            told.violated("a transaction has one outcome", number);
        }
    }

    /// Returns the last transaction of this process, if its commit was given up.
    fn last_pending(&self) -> Option<usize> {
        let told = self.told.borrow();
        let number = told.transactions.iter().rposition(|told| told.process == self.number)?;
        let last = &told.transactions[number];
        (last.ending == Ending::Commit && last.outcome.is_none()).then_some(number)
    }

    fn last_is_pending(&self) -> bool {
        self.last_pending().is_some()
    }
}
