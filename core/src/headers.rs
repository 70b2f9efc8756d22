//! Record headers: an ordered list in which names may repeat and a null value is not an empty one (KIP-82).

use alloc::vec::Vec;
use core::fmt;

use crate::varint;

/// One header: a UTF-8 name, and bytes or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header<'a> {
    /// The name. Any text, the empty one included; names may repeat within a record.
    pub name: &'a str,
    /// The value: `None` is null, `Some(b"")` is empty, and the two are different on the wire.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// A header with a value.
    #[must_use]
    pub fn new<V: AsRef<[u8]> + ?Sized>(name: &'a str, value: &'a V) -> Self {
        Self { name, value: Some(value.as_ref()) }
    }

    /// A header whose value is null.
    #[must_use]
    pub const fn null(name: &'a str) -> Self {
        Self { name, value: None }
    }
}

/// The headers of one record, borrowed: a slice of [`Header`]s, or bytes that are encoded already.
///
/// The encoded form comes out of a batch that is read ([`RecordView::headers`](crate::RecordView::headers)), or out of
/// [`EncodedHeaders`]; either can go into another batch without being taken apart.
#[derive(Clone, Copy)]
pub struct HeaderList<'a>(pub(crate) Form<'a>);

/// How a [`HeaderList`] is held.
#[derive(Clone, Copy)]
pub(crate) enum Form<'a> {
    Slice(&'a [Header<'a>]),
    /// `count` headers as magic 2 writes them, without the count in front. Whoever makes this has checked the bytes.
    Encoded {
        count: u32,
        bytes: &'a [u8],
    },
}

impl<'a> HeaderList<'a> {
    /// No headers.
    pub const EMPTY: HeaderList<'static> = HeaderList(Form::Slice(&[]));

    /// Bytes that a decoder has walked through, or that [`EncodedHeaders`] wrote.
    pub(crate) const fn encoded(count: u32, bytes: &'a [u8]) -> Self {
        Self(Form::Encoded { count, bytes })
    }

    /// How many headers there are, repeated names included.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Form::Slice(headers) => headers.len(),
            Form::Encoded { count, .. } => count as usize,
        }
    }

    /// Whether there is no header at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The headers in their order.
    #[must_use]
    pub const fn iter(&self) -> HeaderIter<'a> {
        HeaderIter(self.0)
    }

    /// The value of the last header of that name, as Java's `Headers.lastHeader`: `None` where there is no such header.
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
        Self(Form::Slice(headers))
    }
}

impl<'a, const N: usize> From<&'a [Header<'a>; N]> for HeaderList<'a> {
    fn from(headers: &'a [Header<'a>; N]) -> Self {
        Self(Form::Slice(headers))
    }
}

impl<'a> From<&'a Vec<Header<'a>>> for HeaderList<'a> {
    fn from(headers: &'a Vec<Header<'a>>) -> Self {
        Self(Form::Slice(headers))
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

/// Equal where the headers are, in whichever form they are held.
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

/// The headers of a [`HeaderList`], one after another.
#[derive(Clone)]
pub struct HeaderIter<'a>(Form<'a>);

impl<'a> Iterator for HeaderIter<'a> {
    type Item = Header<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Header<'a>> {
        match &mut self.0 {
            Form::Slice(headers) => {
                let (first, rest) = headers.split_first()?;
                *headers = rest;
                Some(*first)
            }
            Form::Encoded { count, bytes } => {
                *count = count.checked_sub(1)?;
                let (name, rest) = take(bytes)?;
                let (value, rest) = take(rest)?;
                *bytes = rest;
                let name = name.and_then(|name| core::str::from_utf8(name).ok())?;
                Some(Header { name, value })
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

/// A nullable byte string and what comes after it, from bytes that were checked when the list was made.
#[inline(always)]
fn take(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, used) = varint::read_i32(bytes).ok()?;
    let rest = &bytes[used..];
    match usize::try_from(length) {
        Ok(length) => rest.split_at_checked(length).map(|(value, rest)| (Some(value), rest)),
        Err(_) => Some((None, rest)),
    }
}

/// Headers encoded once, to be copied into many records.
///
/// Worth it where many records share one list: appending them is then one copy instead of one per name and value.
///
/// ```
/// use kafka_batch_core::{EncodedHeaders, Header, KafkaBatch, Record, Timestamp};
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

    /// Encodes `headers` in their order.
    ///
    /// # Errors
    /// A name or a value is longer than the 2³¹ − 1 bytes that Kafka's length fields can say.
    pub fn new<'a>(headers: impl Into<HeaderList<'a>>) -> Result<Self, HeaderTooLong> {
        let mut encoded = Self::default();
        for header in headers.into() {
            encoded.push(header)?;
        }
        Ok(encoded)
    }

    /// Forgets all headers and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.bytes.clear();
    }

    pub(crate) fn push(&mut self, header: Header<'_>) -> Result<(), HeaderTooLong> {
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

/// A header's name or value is longer than Kafka's length fields can say (2³¹ − 1 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header's name or value has {length} bytes; Kafka's length fields end at 2147483647")]
pub struct HeaderTooLong {
    /// The length found, in bytes.
    pub length: usize,
}

/// Lays a later layer of headers over what earlier layers gave.
///
/// The law, in one sentence: *a header keeps its place; where the later layer names a header that is there already, all
/// of the layer's headers of that name take the place of the first one and the other earlier ones go; what is new comes
/// last, in the layer's order.* So a name that one layer gives twice is kept twice.
///
/// ```
/// use kafka_batch_core::{merge_headers, Header};
///
/// let mut headers = vec![Header::new("a", "1"), Header::new("b", "2")];
/// let layer = [Header::new("c", "3"), Header::new("a", "4"), Header::new("a", "5")];
/// merge_headers(&mut headers, &layer);
/// let names: Vec<_> = headers.iter().map(|header| header.name).collect();
/// assert_eq!(names, ["a", "a", "b", "c"]);
/// ```
pub fn merge_headers<'a>(headers: &mut Vec<Header<'a>>, layer: impl Into<HeaderList<'a>>) {
    // What comes of it is put behind the earlier headers, which then go. The time is earlier × layer, never layer × layer:
    // a layer can be a mirrored record's own, and have as many headers as its sender liked.
    let layer = layer.into();
    let earlier = headers.len();
    for place in 0..earlier {
        let old = headers[place];
        let is_named_so = |header: &Header<'_>| header.name == old.name;
        if !layer.iter().any(|header| is_named_so(&header)) {
            headers.push(old);
        } else if !headers[..place].iter().any(is_named_so) {
            headers.extend(layer.iter().filter(is_named_so));
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
    fn a_later_layer_replaces_in_place() {
        let layer = [header("a", "9")];
        let result = merged(&[header("a", "1"), header("b", "2")], &layer);
        assert_eq!(result, [("a", &b"9"[..]), ("b", b"2")]);
    }

    #[test]
    fn repeats_within_one_layer_are_kept_in_the_layers_order() {
        let layer = [header("a", "1"), header("b", "2"), header("a", "3")];
        let result = merged(&[], &layer);
        assert_eq!(result, [("a", &b"1"[..]), ("b", b"2"), ("a", b"3")]);
    }

    #[test]
    fn repeats_take_the_place_of_the_first_and_the_other_earlier_ones_go() {
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
