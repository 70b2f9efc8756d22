//! Appending values whose records are alike: the same key and headers, and the same timestamp or one each.

mod contiguous;
mod run;
mod value;

use core::iter::Peekable;

pub use contiguous::{ContiguousIter, ContiguousValues, OffsetsError};
pub use value::AsValue;

use super::append::AppendTo;
use super::{Append, AppendError, Appended, ExtendError, FillOutcome, Full, KafkaBatch};
use crate::field::IntoField;
use crate::headers::{EncodedHeaders, HeaderList};
use crate::record::Record;
use crate::time::Timestamp;
use run::{Run, SharedKey};

/// Appends values to a batch, as records with the same key and headers. Created by [`KafkaBatch::bulk`].
///
/// The batch is then byte for byte what appending these records one by one makes of it, and the limits are the same. What
/// the records have in common is encoded once for all of them, which takes about half the time with short values.
///
/// A value is anything that implements [`AsValue`]: bytes or text, borrowed or owned; an [`Option`] of it, whose `None` is
/// null; or a pair of it and a timestamp. Values that lie in one buffer, as those of an Arrow array do, are
/// [`ContiguousValues`].
#[derive(Debug)]
pub struct BulkWriter<'b, 'a> {
    batch: &'b mut KafkaBatch,
    common: Common<'a>,
}

/// What the records have in common.
#[derive(Clone, Copy, Debug)]
struct Common<'a> {
    key: Option<&'a [u8]>,
    headers: HeaderList<'a>,
    timestamp: Option<Timestamp>,
}

impl KafkaBatch {
    /// Returns a writer that appends values to this batch, as records that are alike.
    ///
    /// # Examples
    ///
    /// ```
    /// use kafka_batch_core::{KafkaBatch, Record, Timestamp};
    ///
    /// let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
    /// batch.bulk().key("sensor-7").extend(["21.5", "21.7"])?;
    /// batch.bulk().extend([("21.6", 1_700_000_000_000), ("21.4", 1_700_000_000_005)])?; // with timestamps
    ///
    /// let mut one_by_one = batch.next_batch();
    /// one_by_one.extend([Record::new("21.5").key("sensor-7"), Record::new("21.7").key("sensor-7")])?;
    /// one_by_one.extend([Record::new("21.6").timestamp(1_700_000_000_000), Record::new("21.4").timestamp(1_700_000_000_005)])?;
    /// assert_eq!(batch, one_by_one);
    /// # Ok::<(), kafka_batch_core::ExtendError>(())
    /// ```
    pub const fn bulk<'a>(&mut self) -> BulkWriter<'_, 'a> {
        BulkWriter { batch: self, common: Common { key: None, headers: HeaderList::EMPTY, timestamp: None } }
    }
}

impl<'a> BulkWriter<'_, 'a> {
    /// Sets the key of the records. Default: null.
    #[must_use]
    pub fn key(mut self, key: impl IntoField<'a, Field = &'a [u8]>) -> Self {
        self.common.key = key.into_field();
        self
    }

    /// Sets the headers of the records, in order. [`EncodedHeaders`](crate::record::EncodedHeaders) are copied into each record
    /// at once. Default: none.
    #[must_use]
    pub fn headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.common.headers = headers.into();
        self
    }

    /// Sets the timestamp of records whose values have none. Default: that of the batch ([`KafkaBatch::now`]).
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.common.timestamp = Some(timestamp.into());
        self
    }

    /// Appends values in order, up to the first one that is refused. As [`KafkaBatch::extend`].
    ///
    /// # Errors
    /// The batch is full, or a record cannot be in it: no batch with these settings can hold it, or the key routes to another
    /// partition. The error has the value's position.
    pub fn extend(&mut self, values: impl IntoIterator<Item: AsValue>) -> Result<Appended, ExtendError> {
        self.fill_from(&mut values.into_iter().peekable())?.all_appended()
    }

    /// Appends all the values or none. As [`KafkaBatch::try_extend`].
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn try_extend(&mut self, values: impl IntoIterator<Item: AsValue>) -> Result<Appended, ExtendError> {
        let common = self.common;
        self.batch.all_or_nothing(|batch| BulkWriter { batch, common }.extend(values))
    }

    /// Appends values from the front of an iterator until one does not fit. As [`KafkaBatch::fill_from`].
    ///
    /// # Errors
    /// No batch with these settings can hold a record, or the key routes to another partition. The record's value stays at the
    /// front of the iterator: remove it to continue.
    pub fn fill_from<I>(&mut self, values: &mut Peekable<I>) -> Result<FillOutcome, ExtendError>
    where
        I: Iterator<Item: AsValue>,
    {
        let before = self.batch.stats;
        // Runs are worth their cost for short values. The first value decides, because looking at each would cost long ones more than it saves.
        let first = values.peek().and_then(|item| item.as_value().0);
        let refusal = if Run::takes(first) && Run::is_possible(self.batch, &self.common) {
            self.append_runs(values)
        } else {
            self.append_each(values)
        };
        self.batch.filled(&before, refusal)
    }

    /// Appends records in runs. Returns why the next one was refused.
    fn append_runs<I>(&mut self, values: &mut Peekable<I>) -> Result<Option<Full>, AppendError>
    where
        I: Iterator<Item: AsValue>,
    {
        let (common, key) = (self.common, SharedKey::new(self.common.key));
        let (mut refusal, mut may_run, mut empty_runs) = (Ok(None), true, 0);
        while let Some(item) = values.peek() {
            let (value, timestamp) = item.as_value();
            if may_run && Run::takes(value) {
                if let Some(mut run) = Run::begin(self.batch, key, common.timestamp) {
                    let mut appended = run.append(value, timestamp);
                    empty_runs = if appended { 0 } else { empty_runs + 1 };
                    while appended {
                        values.next();
                        let Some(item) = values.peek() else { break };
                        let (value, timestamp) = item.as_value();
                        appended = run.append(value, timestamp);
                    }
                }
                if empty_runs > MAX_EMPTY_RUNS {
                    return self.append_each(values);
                }
                may_run = false; // the next one needs the ordinary path
                continue;
            }
            may_run = true;
            if !common.append(self.batch, value, timestamp, &mut refusal) {
                break;
            }
            values.next();
        }
        refusal
    }

    /// Appends records by the ordinary path. Returns why the next one was refused.
    fn append_each<I>(&mut self, values: &mut Peekable<I>) -> Result<Option<Full>, AppendError>
    where
        I: Iterator<Item: AsValue>,
    {
        let Common { key, headers, timestamp } = self.common;
        match key {
            None if headers.is_empty() => self.batch.append_until_refused(values, &mut Plain { timestamp }),
            Some(key) if headers.is_empty() => self.batch.append_until_refused(values, &mut Keyed { key, timestamp }),
            _ => match EncodedHeaders::new(headers) {
                // Encoded once, and not for each record.
                Ok(encoded) => {
                    let headers = HeaderList::from(&encoded);
                    self.batch.append_until_refused(values, &mut Common { headers, ..self.common })
                }
                Err(_) => self.batch.append_until_refused(values, &mut self.common), // the first record is refused
            },
        }
    }
}

/// After this many runs without a record, something about the records is unusual, such as timestamps far apart.
const MAX_EMPTY_RUNS: u32 = 8;

impl Common<'_> {
    /// Appends a record between two runs. Returns `false` if it is refused.
    ///
    /// Not inlined, so that runs have the registers.
    #[inline(never)]
    fn append(
        &self,
        batch: &mut KafkaBatch,
        value: Option<&[u8]>,
        timestamp: Option<Timestamp>,
        refusal: &mut Result<Option<Full>, AppendError>,
    ) -> bool {
        let timestamp = timestamp.or(self.timestamp);
        match batch.append(Record { key: self.key, value, headers: self.headers, timestamp }) {
            Ok(Append::Appended(_)) => return true,
            Ok(Append::Full(full)) => *refusal = Ok(Some(full)),
            Err(error) => *refusal = Err(error),
        }
        false
    }
}

impl<V: AsValue> AppendTo<V> for Common<'_> {
    #[inline(always)]
    fn append_to(&mut self, batch: &mut KafkaBatch, item: &V) -> Result<Append, AppendError> {
        let (value, timestamp) = item.as_value();
        let timestamp = timestamp.or(self.timestamp);
        batch.append(Record { key: self.key, value, headers: self.headers, timestamp })
    }
}

/// Records with neither key nor headers, which is then known to the compiler.
struct Plain {
    timestamp: Option<Timestamp>,
}

/// Records with a key and without headers.
struct Keyed<'a> {
    key: &'a [u8],
    timestamp: Option<Timestamp>,
}

impl<V: AsValue> AppendTo<V> for Keyed<'_> {
    #[inline(always)]
    fn append_to(&mut self, batch: &mut KafkaBatch, item: &V) -> Result<Append, AppendError> {
        let (value, timestamp) = item.as_value();
        let timestamp = timestamp.or(self.timestamp);
        batch.append(Record { key: Some(self.key), value, headers: HeaderList::EMPTY, timestamp })
    }
}

impl<V: AsValue> AppendTo<V> for Plain {
    #[inline(always)]
    fn append_to(&mut self, batch: &mut KafkaBatch, item: &V) -> Result<Append, AppendError> {
        let (value, timestamp) = item.as_value();
        let timestamp = timestamp.or(self.timestamp);
        batch.append(Record { key: None::<&[u8]>, value, headers: HeaderList::EMPTY, timestamp })
    }
}

#[cfg(test)]
mod tests;
