//! Headers whose names are bytes: what a record on the wire has, whether or not it is UTF-8.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::str::Utf8Error;

use super::{Header, HeaderList, Repr, next_encoded};

/// One header as it is on the wire: a name that should be UTF-8, and bytes or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawHeader<'a> {
    /// The bytes of the name.
    pub name: &'a [u8],
    /// The value: `None` is null.
    pub value: Option<&'a [u8]>,
}

impl<'a> RawHeader<'a> {
    /// Returns the name as text, with U+FFFD in place of what is not UTF-8, as [`String::from_utf8_lossy`] does.
    ///
    /// Java's consumer does nearly the same: for an encoded surrogate it has one U+FFFD, and this has three.
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

/// The headers of one record, borrowed, with names that need not be UTF-8.
///
/// A producer's records have none such: a [`HeaderList`] converts into this type always, and this one into a
/// [`HeaderList`] only if all names are UTF-8.
#[derive(Clone, Copy)]
pub struct RawHeaderList<'a>(Repr<'a>);

impl<'a> RawHeaderList<'a> {
    /// A list whose bytes a decoder has walked through, and whose names it has not looked at.
    ///
    /// The list that is given must not be handed out: its names may be no text.
    pub(crate) const fn unchecked(list: HeaderList<'a>) -> Self {
        Self(list.0)
    }

    /// Returns how many headers there are, repeated names included.
    #[must_use]
    pub const fn len(&self) -> usize {
        HeaderList(self.0).len()
    }

    /// Returns whether there is no header at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the headers in their order.
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

    /// Converts, if all names are UTF-8.
    ///
    /// # Errors
    /// That of the first name that is not.
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

/// Equal where the headers are, in whichever form they are held.
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

/// The headers of a [`RawHeaderList`], one after another.
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
    fn lists_convert_where_all_names_are_text() {
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
    fn names_that_are_no_text_stay_bytes() {
        // Two headers: "ok" with a value, and "caf\xe9" in Latin-1 with null.
        let list = RawHeaderList::unchecked(HeaderList::encoded(2, b"\x04ok\x02v\x08caf\xe9\x01"));
        let names: alloc::vec::Vec<_> = list.iter().map(|header| (header.name, header.name_lossy())).collect();
        assert_eq!(names, [(&b"ok"[..], "ok".into()), (b"caf\xe9", "caf\u{fffd}".into())]);
        assert!(HeaderList::try_from(list).is_err());
        assert!(Header::try_from(list.iter().last().unwrap()).is_err());
    }
}
