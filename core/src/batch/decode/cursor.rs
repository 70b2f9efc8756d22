//! Decodes fields from untrusted bytes.

use super::error::{DecodeErrorKind, Field};
use crate::varint::{self, VarintError};

/// A decoding error and its position, counted from the start of the decoded bytes.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) kind: DecodeErrorKind,
}

pub(super) type Read<T> = Result<T, Fault>;

/// A byte slice with a read position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    #[inline]
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) const fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Returns the bytes from `start` to the current position.
    #[inline]
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    #[cold]
    pub(super) const fn fault(&self, kind: DecodeErrorKind) -> Fault {
        Fault { at: self.at, kind }
    }

    #[inline(always)]
    pub(super) fn array<const N: usize>(&mut self, field: Field) -> Read<[u8; N]> {
        match self.rest().first_chunk() {
            Some(array) => {
                self.at += N;
                Ok(*array)
            }
            None => Err(self.fault(DecodeErrorKind::Cut { field })),
        }
    }

    #[inline(always)]
    pub(super) fn varint(&mut self, field: Field) -> Read<i32> {
        let read = varint::read_i32(self.rest());
        self.advance(read, field)
    }

    #[inline(always)]
    pub(super) fn varlong(&mut self, field: Field) -> Read<i64> {
        let read = varint::read_i64(self.rest());
        self.advance(read, field)
    }

    #[inline(always)]
    fn advance<T>(&mut self, read: Result<(T, usize), VarintError>, field: Field) -> Read<T> {
        match read {
            Ok((value, used)) => {
                self.at += used;
                Ok(value)
            }
            Err(VarintError::Truncated) => Err(self.fault(DecodeErrorKind::Cut { field })),
            Err(VarintError::TooLong) => Err(self.fault(DecodeErrorKind::VarintTooLong { field })),
        }
    }

    /// Takes `length` bytes. An invalid length is reported at `length_at`, where it was read.
    #[inline(always)]
    pub(super) fn take(&mut self, length: i32, length_at: usize, field: Field) -> Read<&'a [u8]> {
        let start = self.at;
        let taken = usize::try_from(length).ok().and_then(|length| self.rest().get(..length));
        match taken {
            Some(bytes) => {
                self.at = start + bytes.len();
                Ok(bytes)
            }
            None => {
                let kind = DecodeErrorKind::Length { field, found: i64::from(length), left: self.left() };
                Err(Fault { at: length_at, kind })
            }
        }
    }

    /// Reads nullable bytes with a varint length prefix (magic 2). Null is −1; with `LENIENT`, any negative length.
    #[inline(always)]
    pub(super) fn nullable<const LENIENT: bool>(&mut self, field: Field) -> Read<Option<&'a [u8]>> {
        let length_at = self.at;
        match self.varint(field)? {
            -1 => Ok(None),
            ..-1 if LENIENT => Ok(None),
            length => self.take(length, length_at, field).map(Some),
        }
    }

    /// Reads nullable bytes with a 32-bit length prefix (magic 0 and 1). Null is as in [`nullable`](Self::nullable).
    #[inline(always)]
    pub(super) fn nullable_fixed<const LENIENT: bool>(&mut self, field: Field) -> Read<Option<&'a [u8]>> {
        let length_at = self.at;
        match i32::from_be_bytes(self.array(field)?) {
            -1 => Ok(None),
            ..-1 if LENIENT => Ok(None),
            length => self.take(length, length_at, field).map(Some),
        }
    }
}
