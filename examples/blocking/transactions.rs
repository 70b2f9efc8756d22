//! Publishing in transactions, if `--transactional-id` is given.

use kafka_batch::TopicPartition;
use kafka_batch::machine::{Event, TransactionEvent};
use kafka_batch::transaction::GroupMetadata;

use super::{Application, Args, Failure, print_error};

/// The transactions of the producer.
#[derive(Default)]
pub(crate) struct Transaction {
    /// Without `--transactional-id`, nothing is done here.
    is_used: bool,
    is_open: bool,
    /// The number of records after which it is committed.
    limit: usize,
    /// The records in the open transaction.
    records: usize,
    /// The records in all of them, which is the offset to commit.
    published: usize,
    committed: usize,
    offset_of: Option<(GroupMetadata, TopicPartition)>,
}

impl Transaction {
    pub(crate) fn new(args: &Args) -> Self {
        // The group has no members that could lose their partitions: nothing consumes in it.
        let offset_of =
            args.group.as_deref().map(|group| (GroupMetadata::unfenced(group), TopicPartition::new(&args.topic, 0)));
        let is_used = args.transactional_id.is_some();
        Self { is_used, limit: args.transaction_records, offset_of, ..Self::default() }
    }

    /// Returns a line for the summary.
    pub(crate) fn summary(&self) -> String {
        if self.is_used { format!("transactions  {} committed\n", self.committed) } else { String::new() }
    }
}

impl Application {
    pub(crate) fn init_transactions(&mut self) -> Result<(), Failure> {
        if !self.transaction.is_used {
            return Ok(());
        }
        self.producer.init_transactions().map_err(misuse)?;
        match self.next_transaction_event()? {
            TransactionEvent::Initialized(result) => result.map_err(|error| failed(&error)),
            other => Err(misuse(format_args!("{other:?}"))),
        }
    }

    /// Begins a transaction, unless one is open.
    pub(crate) fn begin(&mut self) -> Result<(), Failure> {
        if !self.transaction.is_used || self.transaction.is_open {
            return Ok(());
        }
        self.producer.begin_transaction().map_err(misuse)?;
        match self.next_transaction_event()? {
            TransactionEvent::Begun(result) => result.map_err(|error| failed(&error))?,
            other => return Err(misuse(format_args!("{other:?}"))),
        }
        self.transaction.is_open = true;
        Ok(())
    }

    /// Counts the records of a batch that was sent, and commits if there are enough.
    pub(crate) fn commit_if_full(&mut self, records: usize) -> Result<(), Failure> {
        self.transaction.records += records;
        self.transaction.published += records;
        if self.transaction.records >= self.transaction.limit { self.commit() } else { Ok(()) }
    }

    /// Commits the transaction, if one is open, with the offset.
    pub(crate) fn commit(&mut self) -> Result<(), Failure> {
        if !self.transaction.is_open {
            return Ok(());
        }
        if let Some((group, of)) = self.transaction.offset_of.clone() {
            let next = i64::try_from(self.transaction.published).unwrap_or(i64::MAX);
            self.producer.send_offsets(group, vec![(of, next.into())]).map_err(misuse)?;
        }
        self.producer.commit_transaction().map_err(misuse)?;
        loop {
            match self.next_transaction_event()? {
                TransactionEvent::OffsetsSent { .. } => {} // its error is that of the commit, too
                TransactionEvent::Committed(result) => {
                    self.transaction.is_open = false;
                    result.map_err(|error| failed(&error))?;
                    self.transaction.records = 0;
                    self.transaction.committed += 1;
                    return Ok(());
                }
                other => return Err(misuse(format_args!("{other:?}"))),
            }
        }
    }

    /// Aborts the transaction, if one is open, before the program ends because of another error. Otherwise consumers of committed
    /// records would wait until `transaction.timeout.ms` is over.
    pub(crate) fn abort(&mut self) {
        if !self.transaction.is_open {
            return;
        }
        self.transaction.is_open = false;
        let _ = self.producer.abort_transaction(); // not possible if a commit was begun, which aborts it, too
        while let Some(event) = self.producer.next_event(Self::EVENT_TIMEOUT) {
            match event {
                Event::Transaction(TransactionEvent::Aborted(Err(error))) => print_error(format_args!("{error}")),
                Event::Transaction(TransactionEvent::Committed(Err(error))) => print_error(format_args!("{error}")),
                Event::Transaction(TransactionEvent::Aborted(Ok(())) | TransactionEvent::Committed(Ok(()))) => {}
                _ => continue,
            }
            return;
        }
    }

    fn next_transaction_event(&mut self) -> Result<TransactionEvent, Failure> {
        loop {
            if let Some(Event::Transaction(event)) = self.next_event()? {
                return Ok(event);
            }
        }
    }
}

/// Returns the failure of a command, whose error says what to do.
fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new(error, "see to the brokers, and publish what was not committed")
}

fn misuse(error: impl std::fmt::Display) -> Failure {
    Failure::new(error, "none: this is a fault of this program")
}
