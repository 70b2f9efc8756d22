//! One record, as it is read from a batch.

use core::str::Utf8Error;

use super::to_append::{AsRecord, Record};
use crate::headers::{HeaderList, RawHeaderList};
use crate::time::Timestamp;

/// A record read from a batch, borrowed from the batch's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordView<'a> {
    /// The offset: relative to the batch's first record in a batch that is being filled, absolute in one from a log.
    pub offset: i64,
    /// The timestamp: the batch's max timestamp under log-append-time; [`Timestamp::NO_TIMESTAMP`] in magic 0.
    pub timestamp: Timestamp,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: HeaderList<'a>,
}

impl<'a> RecordView<'a> {
    /// Returns the same record, to be appended to another batch.
    #[must_use]
    pub const fn to_record(&self) -> Record<'a> {
        Record { key: self.key, value: self.value, headers: self.headers, timestamp: Some(self.timestamp) }
    }
}

impl AsRecord for RecordView<'_> {
    #[inline(always)]
    fn as_record(&self) -> Record<'_> {
        self.to_record()
    }
}

impl<'a> From<RecordView<'a>> for Record<'a> {
    fn from(view: RecordView<'a>) -> Self {
        view.to_record()
    }
}

/// A record read from a batch, with the names of its headers as bytes: see
/// [`Records::iter_lenient`](crate::decode::Records::iter_lenient).
///
/// It converts into a [`RecordView`] if the names are UTF-8, and a `RecordView` into it always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawRecordView<'a> {
    /// Its offset, as in [`RecordView`].
    pub offset: i64,
    /// Its timestamp, as in [`RecordView`].
    pub timestamp: Timestamp,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The headers, in their order.
    pub headers: RawHeaderList<'a>,
}

impl<'a> From<RecordView<'a>> for RawRecordView<'a> {
    fn from(view: RecordView<'a>) -> Self {
        let RecordView { offset, timestamp, key, value, headers } = view;
        Self { offset, timestamp, key, value, headers: headers.into() }
    }
}

impl<'a> TryFrom<RawRecordView<'a>> for RecordView<'a> {
    type Error = Utf8Error;

    /// Converts, if the names of all headers are UTF-8.
    ///
    /// # Errors
    /// That of the first name that is not.
    fn try_from(view: RawRecordView<'a>) -> Result<Self, Utf8Error> {
        let RawRecordView { offset, timestamp, key, value, headers } = view;
        Ok(Self { offset, timestamp, key, value, headers: headers.try_into()? })
    }
}
