//! Headers with names as bytes, for records whose header names are not UTF-8.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::str::Utf8Error;

use super::{Header, HeaderList, Repr, next_encoded};

/// A header as on the wire: a name that should be UTF-8, and a nullable value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Exhaustive on purpose: a header is a name and a value in every format.
pub struct RawHeader<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value: `None` is null.
    pub value: Option<&'a [u8]>,
}

impl<'a> RawHeader<'a> {
    /// Returns the name as text, with invalid UTF-8 replaced by U+FFFD, as [`String::from_utf8_lossy`] does.
    ///
    /// Java's consumer differs for encoded surrogates only: it returns one U+FFFD for each, and this returns three.
    #[must_use]
    pub fn name_lossy(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.name)
    }
}

impl<'a> From<Header<'a>> for RawHeader<'a> {
    fn from(header: Header<'a>) -> Self {
        Self { name: header.name.as_bytes(), value: header.value }
    }
}

impl<'a> TryFrom<RawHeader<'a>> for Header<'a> {
    type Error = Utf8Error;

    fn try_from(header: RawHeader<'a>) -> Result<Self, Utf8Error> {
        core::str::from_utf8(header.name).map(|name| Self { name, value: header.value })
    }
}

/// A borrowed list of one record's headers, with names that need not be UTF-8.
///
/// Every [`HeaderList`] converts into this type; this type converts into a [`HeaderList`] only if all names are UTF-8.
/// Records to be produced always have UTF-8 names.
#[derive(Clone, Copy)]
pub struct RawHeaderList<'a>(Repr<'a>);

impl<'a> RawHeaderList<'a> {
    /// Wraps a list whose structure a decoder has validated, but not the encoding of its names.
    ///
    /// `list` itself must not be returned to users: its names may not be UTF-8.
    pub(crate) const fn unchecked(list: HeaderList<'a>) -> Self {
        Self(list.0)
    }

    /// Returns the number of headers, including repeated names.
    #[must_use]
    pub const fn len(&self) -> usize {
        HeaderList(self.0).len()
    }

    /// Returns `true` if the list is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns an iterator over the headers, in order.
    #[must_use]
    pub const fn iter(&self) -> RawHeaderIter<'a> {
        RawHeaderIter(self.0)
    }
}

impl<'a> From<HeaderList<'a>> for RawHeaderList<'a> {
    fn from(list: HeaderList<'a>) -> Self {
        Self(list.0)
    }
}

impl<'a> TryFrom<RawHeaderList<'a>> for HeaderList<'a> {
    type Error = Utf8Error;

    /// Converts the list if all names are UTF-8.
    ///
    /// # Errors
    /// Returns the error of the first name that is not UTF-8.
    fn try_from(list: RawHeaderList<'a>) -> Result<Self, Utf8Error> {
        list.iter().try_for_each(|header| core::str::from_utf8(header.name).map(drop)).map(|()| HeaderList(list.0))
    }
}

impl<'a> IntoIterator for RawHeaderList<'a> {
    type Item = RawHeader<'a>;
    type IntoIter = RawHeaderIter<'a>;

    fn into_iter(self) -> RawHeaderIter<'a> {
        self.iter()
    }
}

/// Compares the headers, independently of their representation.
impl PartialEq for RawHeaderList<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for RawHeaderList<'_> {}

impl fmt::Debug for RawHeaderList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// An iterator over the headers of a [`RawHeaderList`].
#[derive(Clone)]
pub struct RawHeaderIter<'a>(Repr<'a>);

impl<'a> Iterator for RawHeaderIter<'a> {
    type Item = RawHeader<'a>;

    fn next(&mut self) -> Option<RawHeader<'a>> {
        match &mut self.0 {
            Repr::Slice(headers) => {
                let (first, rest) = headers.split_first()?;
                *headers = rest;
                Some(RawHeader::from(*first))
            }
            Repr::Encoded { count, bytes } => {
                let (name, value) = next_encoded(count, bytes)?;
                Some(RawHeader { name, value })
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = HeaderList(self.0).len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for RawHeaderIter<'_> {}

impl fmt::Debug for RawHeaderIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RawHeaderList(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::EncodedHeaders;

    #[test]
    fn lists_convert_if_all_names_are_utf8() {
        let headers = [Header::new("a", "1"), Header::null("\u{e9}"), Header::new("", "")];
        let encoded = EncodedHeaders::new(&headers).unwrap();
        for list in [HeaderList::from(&headers), HeaderList::from(&encoded)] {
            let raw = RawHeaderList::from(list);
            assert_eq!((raw.len(), raw.iter().len(), raw.is_empty()), (3, 3, false));
            assert!(raw.iter().map(|header| Header::try_from(header).unwrap()).eq(headers));
            assert_eq!(HeaderList::try_from(raw), Ok(list));
            assert_eq!(raw, RawHeaderList::from(HeaderList::from(&encoded)));
        }
    }

    #[test]
    fn names_that_are_not_utf8_stay_bytes() {
        // Two headers: "ok" with a value, and "caf\xe9" in Latin-1 with null.
        let list = RawHeaderList::unchecked(HeaderList::encoded(2, b"\x04ok\x02v\x08caf\xe9\x01"));
        let names: alloc::vec::Vec<_> = list.iter().map(|header| (header.name, header.name_lossy())).collect();
        assert_eq!(names, [(&b"ok"[..], "ok".into()), (b"caf\xe9", "caf\u{fffd}".into())]);
        assert!(HeaderList::try_from(list).is_err());
        assert!(Header::try_from(list.iter().last().unwrap()).is_err());
    }
}
