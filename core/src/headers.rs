//! Record headers (KIP-82): an ordered list in which names may repeat, and null and empty values differ.

mod raw;

use alloc::vec::Vec;
use core::fmt;

use crate::field::IntoField;
use crate::varint;

pub use raw::{RawHeader, RawHeaderIter, RawHeaderList};

/// One header: a UTF-8 name, and a value that is bytes or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Exhaustive on purpose: a header is a name and a value in every format.
pub struct Header<'a> {
    /// The name: any text, including the empty one. Names may repeat within a record.
    pub name: &'a str,
    /// The value. `None` is null, `Some(b"")` is empty.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// Creates a header. The value is borrowed bytes or text, or an [`Option`] of that; `None` is null.
    #[must_use]
    pub fn new(name: &'a str, value: impl IntoField<'a, Field = &'a [u8]>) -> Self {
        Self { name, value: value.into_field() }
    }

    /// Creates a header whose value is null.
    #[must_use]
    pub const fn null(name: &'a str) -> Self {
        Self { name, value: None }
    }
}

/// The headers of one record, borrowed: a slice of [`Header`]s, or encoded bytes.
///
/// Headers are encoded if they are read from a batch ([`RecordView::headers`](crate::decode::RecordView::headers)) or
/// are [`EncodedHeaders`]. These are copied into another batch without being decoded.
#[derive(Clone, Copy)]
pub struct HeaderList<'a>(pub(crate) Repr<'a>);

/// The representation of a [`HeaderList`].
#[derive(Clone, Copy)]
pub(crate) enum Repr<'a> {
    Slice(&'a [Header<'a>]),
    /// `count` headers as magic 2 encodes them, without the count in front. The bytes have been checked.
    Encoded {
        count: u32,
        bytes: &'a [u8],
    },
}

impl<'a> HeaderList<'a> {
    /// No headers.
    pub const EMPTY: HeaderList<'static> = HeaderList(Repr::Slice(&[]));

    /// Creates a list of bytes that a decoder has checked or [`EncodedHeaders`] has written.
    pub(crate) const fn encoded(count: u32, bytes: &'a [u8]) -> Self {
        Self(Repr::Encoded { count, bytes })
    }

    /// Returns the number of headers, repeated names included.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Repr::Slice(headers) => headers.len(),
            Repr::Encoded { count, .. } => count as usize,
        }
    }

    /// Returns `true` if there are no headers.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the headers in order.
    #[must_use]
    pub const fn iter(&self) -> HeaderIter<'a> {
        HeaderIter(self.0)
    }

    /// Returns the last header of that name, as `Headers.lastHeader` of the Java client.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<Header<'a>> {
        self.iter().filter(|header| header.name == name).last()
    }
}

impl Default for HeaderList<'_> {
    fn default() -> Self {
        HeaderList::EMPTY
    }
}

impl<'a> From<&'a [Header<'a>]> for HeaderList<'a> {
    fn from(headers: &'a [Header<'a>]) -> Self {
        Self(Repr::Slice(headers))
    }
}

impl<'a, const N: usize> From<&'a [Header<'a>; N]> for HeaderList<'a> {
    fn from(headers: &'a [Header<'a>; N]) -> Self {
        Self(Repr::Slice(headers))
    }
}

impl<'a> From<&'a Vec<Header<'a>>> for HeaderList<'a> {
    fn from(headers: &'a Vec<Header<'a>>) -> Self {
        Self(Repr::Slice(headers))
    }
}

impl<'a> From<&'a EncodedHeaders> for HeaderList<'a> {
    fn from(headers: &'a EncodedHeaders) -> Self {
        Self::encoded(headers.count, &headers.bytes)
    }
}

impl<'a> IntoIterator for HeaderList<'a> {
    type Item = Header<'a>;
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

/// Two lists are equal if their headers are, encoded or not.
impl PartialEq for HeaderList<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for HeaderList<'_> {}

impl fmt::Debug for HeaderList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// An iterator over the headers of a [`HeaderList`].
#[derive(Clone)]
pub struct HeaderIter<'a>(Repr<'a>);

impl<'a> Iterator for HeaderIter<'a> {
    type Item = Header<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Header<'a>> {
        match &mut self.0 {
            Repr::Slice(headers) => {
                let (first, rest) = headers.split_first()?;
                *headers = rest;
                Some(*first)
            }
            Repr::Encoded { count, bytes } => {
                let (name, value) = next_encoded(count, bytes)?;
                Some(Header { name: core::str::from_utf8(name).ok()?, value })
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = HeaderList(self.0).len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}

impl fmt::Debug for HeaderIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HeaderList(self.0).fmt(f)
    }
}

/// Reads the next header off the front of an encoded list.
#[inline(always)]
fn next_encoded<'a>(count: &mut u32, bytes: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    *count = count.checked_sub(1)?;
    let (name, rest) = read_nullable(bytes)?;
    let (value, rest) = read_nullable(rest)?;
    *bytes = rest;
    Some((name?, value))
}

/// Reads a nullable byte string, and returns it with the bytes after it.
#[inline(always)]
fn read_nullable(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, used) = varint::read_i32(bytes).ok()?;
    let rest = &bytes[used..];
    match usize::try_from(length) {
        Ok(length) => rest.split_at_checked(length).map(|(value, rest)| (Some(value), rest)),
        Err(_) => Some((None, rest)),
    }
}

/// Headers that are encoded once, to be copied into many records.
///
/// For records that share their headers: appending them is one copy, instead of one for each name and value.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::record::EncodedHeaders;
/// use kafka_batch_core::{Header, KafkaBatch, Record, Timestamp};
///
/// let shared = EncodedHeaders::new(&[Header::new("source", "sensor-7"), Header::null("trace")])?;
/// let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
/// for value in ["1.5", "1.7"] {
///     let _ = batch.append(Record::new(value).headers(&shared))?;
/// }
/// assert!(batch.records().all(|record| record.headers.len() == 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedHeaders {
    count: u32,
    bytes: Vec<u8>,
}

impl EncodedHeaders {
    pub(crate) const EMPTY: Self = Self { count: 0, bytes: Vec::new() };

    /// Encodes `headers` in order.
    ///
    /// # Errors
    /// A name or value is longer than the 2³¹ − 1 bytes that the format allows.
    pub fn new<'a>(headers: impl Into<HeaderList<'a>>) -> Result<Self, HeaderTooLong> {
        let mut encoded = Self::default();
        for header in headers.into() {
            encoded.push(header)?;
        }
        Ok(encoded)
    }

    /// Returns `true` if there are no headers.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Removes all headers, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.bytes.clear();
    }

    /// Appends a header.
    ///
    /// # Errors
    /// Its name or value is longer than the 2³¹ − 1 bytes that the format allows. Nothing is appended.
    pub fn push(&mut self, header: Header<'_>) -> Result<(), HeaderTooLong> {
        let lengths = [header.name.len(), header.value.map_or(0, <[u8]>::len)];
        if let Some(&length) = lengths.iter().find(|&&length| i32::try_from(length).is_err()) {
            return Err(HeaderTooLong { length });
        }
        varint::write_bytes(&mut self.bytes, Some(header.name.as_bytes()));
        varint::write_bytes(&mut self.bytes, header.value);
        self.count += 1;
        Ok(())
    }
}

/// A header's name or value is longer than the 2³¹ − 1 bytes that the format allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header's name or value has {length} bytes, and the format allows 2147483647: shorten it")]
#[non_exhaustive]
pub struct HeaderTooLong {
    /// The length in bytes.
    pub length: usize,
}

/// Merges a layer of headers into the headers of earlier layers.
///
/// Headers that the layer does not name keep their positions. The headers of a name that is in both are replaced: all of
/// the layer's headers of that name take the position of the first earlier one, and the other earlier ones are removed.
/// Headers with new names are appended, in the layer's order. So a name that occurs twice in one layer is kept twice.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::Header;
/// use kafka_batch_core::message::merge_headers;
///
/// let mut headers = vec![Header::new("a", "1"), Header::new("b", "2")];
/// let layer = [Header::new("c", "3"), Header::new("a", "4"), Header::new("a", "5")];
/// merge_headers(&mut headers, &layer);
/// let names: Vec<_> = headers.iter().map(|header| header.name).collect();
/// assert_eq!(names, ["a", "a", "b", "c"]);
/// ```
pub fn merge_headers<'a>(headers: &mut Vec<Header<'a>>, layer: impl Into<HeaderList<'a>>) {
    // The result is appended to the earlier headers, which are then removed. The time is O(earlier × layer), not
    // O(layer²): a layer may be the headers of a mirrored record, and as long as its sender made it.
    let layer = layer.into();
    let earlier = headers.len();
    for position in 0..earlier {
        let old = headers[position];
        let has_same_name = |header: &Header<'_>| header.name == old.name;
        if !layer.iter().any(|header| has_same_name(&header)) {
            headers.push(old);
        } else if !headers[..position].iter().any(has_same_name) {
            headers.extend(layer.iter().filter(has_same_name));
        }
    }
    for header in layer {
        if !headers[..earlier].iter().any(|old| old.name == header.name) {
            headers.push(header);
        }
    }
    headers.drain(..earlier);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn merged<'a>(earlier: &[Header<'a>], layer: &'a [Header<'a>]) -> Vec<(&'a str, &'a [u8])> {
        let mut headers: Vec<Header<'_>> = earlier.to_vec();
        merge_headers(&mut headers, layer);
        headers.iter().map(|header| (header.name, header.value.unwrap_or(b"null"))).collect()
    }

    fn header(name: &'static str, value: &'static str) -> Header<'static> {
        Header::new(name, value)
    }

    #[test]
    fn a_later_layer_replaces_a_header_in_its_position() {
        let layer = [header("a", "9")];
        let result = merged(&[header("a", "1"), header("b", "2")], &layer);
        assert_eq!(result, [("a", &b"9"[..]), ("b", b"2")]);
    }

    #[test]
    fn repeated_names_in_one_layer_are_kept_in_order() {
        let layer = [header("a", "1"), header("b", "2"), header("a", "3")];
        let result = merged(&[], &layer);
        assert_eq!(result, [("a", &b"1"[..]), ("b", b"2"), ("a", b"3")]);
    }

    #[test]
    fn repeated_names_take_the_position_of_the_first_and_replace_all_earlier_ones() {
        let earlier = [header("x", "0"), header("a", "1"), header("y", "0"), header("a", "2")];
        let layer = [header("z", "5"), header("a", "3"), header("a", "4"), header("y", "6"), header("z", "7")];
        let expected = [("x", &b"0"[..]), ("a", b"3"), ("a", b"4"), ("y", b"6"), ("z", b"5"), ("z", b"7")];
        assert_eq!(merged(&earlier, &layer), expected);
    }

    #[test]
    fn encoded_and_sliced_lists_are_equal() {
        let headers = vec![Header::new("a", ""), Header::null("a"), Header::new("", "v")];
        let encoded = EncodedHeaders::new(&headers).unwrap();
        assert_eq!(HeaderList::from(&encoded), HeaderList::from(&headers));
        assert_eq!(HeaderList::from(&encoded).last("a"), Some(Header::null("a")));
    }
}
