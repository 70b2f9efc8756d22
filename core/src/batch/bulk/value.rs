//! The types that a bulk call takes as values.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::time::Timestamp;

/// A type that [`KafkaBatch::bulk`](crate::KafkaBatch::bulk) takes as the value of a record, with or without a timestamp.
///
/// | given | value |
/// |---|---|
/// | a reference to bytes or text: `&str`, `&[u8]`, `&Vec<u8>`, any `&T` with `T: AsRef<[u8]>` | itself |
/// | owned bytes or text: `String`, `Vec<u8>`, `[u8; N]`, [`Bytes`], `Cow` | itself |
/// | [`Option`] of one of these | the same, or null for `None` |
/// | a pair of one of these and a timestamp | the same, with its own timestamp |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither bytes nor text, so it cannot be a value",
    label = "expected bytes or text, such as `&str`, `&[u8]`, `String`, `Bytes`, or an `Option` of these",
    note = "a value with a timestamp is a pair: `(value, timestamp)`",
    note = "records that differ in more are appended by `batch.extend(records)`"
)]
pub trait AsValue {
    /// Returns the value, or `None` for null, and its timestamp, if it has one.
    fn as_value(&self) -> (Option<&[u8]>, Option<Timestamp>);
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<[u8]> + ?Sized> AsValue for &T {
    #[inline(always)]
    fn as_value(&self) -> (Option<&[u8]>, Option<Timestamp>) {
        (Some((**self).as_ref()), None)
    }
}

macro_rules! owned {
    ($($owned:ty),*) => {$(
        impl AsValue for $owned {
            #[inline(always)]
            fn as_value(&self) -> (Option<&[u8]>, Option<Timestamp>) {
                (Some(self.as_ref()), None)
            }
        }
    )*};
}

owned!(String, Vec<u8>, Bytes, Cow<'_, [u8]>);

impl<const N: usize> AsValue for [u8; N] {
    #[inline(always)]
    fn as_value(&self) -> (Option<&[u8]>, Option<Timestamp>) {
        (Some(self), None)
    }
}

impl AsValue for Cow<'_, str> {
    #[inline(always)]
    fn as_value(&self) -> (Option<&[u8]>, Option<Timestamp>) {
        (Some(self.as_bytes()), None)
    }
}

impl<V: AsValue> AsValue for Option<V> {
    #[inline(always)]
    fn as_value(&self) -> (Option<&[u8]>, Option<Timestamp>) {
        self.as_ref().map_or((None, None), V::as_value)
    }
}

impl<V: AsValue, T: Into<Timestamp> + Copy> AsValue for (V, T) {
    #[inline(always)]
    fn as_value(&self) -> (Option<&[u8]>, Option<Timestamp>) {
        (self.0.as_value().0, Some(self.1.into()))
    }
}
