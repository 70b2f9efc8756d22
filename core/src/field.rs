//! The types that a record takes as its key or value.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::identity;

use bytes::Bytes;

/// A type that can be the key or the value of a [`Record`](crate::Record).
///
/// | given | kept in the record as |
/// |---|---|
/// | a reference to bytes or text: `&str`, `&String`, `&[u8]`, `&[u8; N]`, `&Vec<u8>`, `&Bytes`, any `&T` with `T: AsRef<[u8]>` | `&[u8]` |
/// | owned bytes or text: `String`, `Vec<u8>`, `[u8; N]`, [`Bytes`] | itself |
/// | `Cow<str>`, `Cow<[u8]>` | `Cow<[u8]>` |
/// | [`Option`] of one of these | the same, or null for `None` |
///
/// No conversion copies bytes or allocates memory. `Some("")` and `""` are empty; only `None` is null.
///
/// Integers are refused, because Kafka defines no encoding for them: choose decimal digits (`n.to_string()`) or the
/// big-endian bytes (`n.to_be_bytes()`) that Kafka's `IntegerSerializer` and `LongSerializer` write. The compiler says so:
///
/// ```compile_fail,E0277
/// use kafka_batch_core::Record;
///
/// // error[E0277]: `u64` is neither bytes nor text, so it cannot be a key or value
/// let record = Record::new("21.5").key(7_u64);
/// ```
///
/// ```
/// use kafka_batch_core::Record;
///
/// let record = Record::new("21.5").key(7_u64.to_be_bytes());
/// assert_eq!(record.key, Some([0, 0, 0, 0, 0, 0, 0, 7]));
/// assert_eq!(Record::new("21.5").key(None::<&str>).key, None);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither bytes nor text, so it cannot be a key or value",
    label = "expected bytes or text, such as `&str`, `String`, `&[u8]`, `Vec<u8>`, `Bytes`, or an `Option` of these",
    note = "an integer needs an encoding: pass its digits, `n.to_string()`, or its big-endian bytes, `n.to_be_bytes()`",
    note = "of an optional value that is behind a reference, pass `value.as_deref()`; of any other type, its encoded bytes"
)]
pub trait IntoField<'a> {
    /// What the record keeps: `&'a [u8]` for references, the type itself for owned bytes or text.
    type Field: AsRef<[u8]>;

    /// Converts the value; `None` is null.
    fn into_field(self) -> Option<Self::Field>;

    /// Converts the value to bytes that are borrowed if the value is a reference; `None` is null. Neither references nor
    /// `String`, `Vec<u8>` and `Cow` are copied.
    fn into_cow(self) -> Option<Cow<'a, [u8]>>
    where
        Self: Sized,
    {
        self.into_field().map(|field| Cow::Owned(field.as_ref().to_vec()))
    }
}

#[diagnostic::do_not_recommend] // otherwise the compiler asks for `u64: AsRef<[u8]>` when it is given a `&u64`
impl<'a, T: AsRef<[u8]> + ?Sized> IntoField<'a> for &'a T {
    type Field = &'a [u8];

    #[inline(always)]
    fn into_field(self) -> Option<&'a [u8]> {
        Some(self.as_ref())
    }

    fn into_cow(self) -> Option<Cow<'a, [u8]>> {
        Some(Cow::Borrowed(self.as_ref()))
    }
}

macro_rules! kept_as_it_is {
    ($($owned:ty: $into_cow:expr),*) => {$(
        impl<'a> IntoField<'a> for $owned {
            type Field = Self;

            #[inline(always)]
            fn into_field(self) -> Option<Self> {
                Some(self)
            }

            fn into_cow(self) -> Option<Cow<'a, [u8]>> {
                Some($into_cow(self))
            }
        }
    )*};
}

kept_as_it_is!(
    String: |text: String| Cow::Owned(text.into_bytes()),
    Vec<u8>: Cow::Owned,
    Bytes: |bytes: Bytes| Cow::Owned(bytes.into()),
    Cow<'a, [u8]>: identity
);

impl<const N: usize> IntoField<'_> for [u8; N] {
    type Field = Self;

    #[inline(always)]
    fn into_field(self) -> Option<Self> {
        Some(self)
    }
}

impl<'a> IntoField<'a> for Cow<'a, str> {
    type Field = Cow<'a, [u8]>;

    #[inline(always)]
    fn into_field(self) -> Option<Cow<'a, [u8]>> {
        Some(match self {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    fn into_cow(self) -> Option<Cow<'a, [u8]>> {
        self.into_field()
    }
}

impl<'a, F: IntoField<'a>> IntoField<'a> for Option<F> {
    type Field = F::Field;

    #[inline(always)]
    fn into_field(self) -> Option<F::Field> {
        self.and_then(F::into_field)
    }

    fn into_cow(self) -> Option<Cow<'a, [u8]>> {
        self.and_then(F::into_cow)
    }
}
