//! The primitive types of Kafka's protocol: reading and writing them in one version of a message.
//!
//! Everything read is hostile. A length or count is compared with the bytes left before it is used, and a frame may contain
//! at most [`MAX_ELEMENTS`] array elements in total, so that memory is bounded by a small multiple of the frame's size.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

/// The maximum number of array elements in one frame.
const MAX_ELEMENTS: usize = 1 << 20;

/// The reason why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end within a field.
    Short,
    /// Bytes follow the message.
    LeftOver(usize),
    /// A length or count exceeds the bytes left.
    Length(i64),
    /// There are more array elements than any client sends.
    TooManyElements,
    /// A varint has more than five bytes.
    Varint,
    /// A field is null that must not be null.
    Null,
    /// The API is unknown.
    UnknownApi(i16),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the bytes end within a field"),
            Self::LeftOver(count) => write!(f, "{count} bytes follow the message"),
            Self::Length(length) => write!(f, "the length {length} exceeds the bytes left"),
            Self::TooManyElements => write!(f, "there are more than {MAX_ELEMENTS} array elements"),
            Self::Varint => f.write_str("a varint has more than five bytes"),
            Self::Null => f.write_str("a field is null that must not be null"),
            Self::UnknownApi(key) => write!(f, "API {key} is unknown"),
        }
    }
}

impl std::error::Error for Malformed {}

/// Reads the fields of a message.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    version: i16,
    /// True if lengths are compact and structures end with tagged fields (KIP-482).
    flexible: bool,
    elements_left: usize,
}

impl Reader {
    /// Reads these bytes as a message of this version.
    #[must_use]
    pub const fn new(bytes: Bytes, version: i16, flexible: bool) -> Self {
        Self { bytes, version, flexible, elements_left: MAX_ELEMENTS }
    }

    /// Returns the version of the message.
    #[must_use]
    pub const fn version(&self) -> i16 {
        self.version
    }

    /// Returns the bytes left.
    #[must_use]
    pub fn into_rest(self) -> Bytes {
        self.bytes
    }

    /// Checks that no bytes are left.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Malformed::LeftOver(self.bytes.len())) }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<Bytes, Malformed> {
        if count > self.bytes.len() { Err(Malformed::Short) } else { Ok(self.bytes.split_to(count)) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.take(N)?;
        Ok(*taken.first_chunk().expect("N bytes were taken"))
    }

    fn varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Malformed::Varint);
            }
        }
        Err(Malformed::Varint)
    }

    /// Reads a length or count; `None` is null, as is any negative one in Kafka. `classic` reads the form before KIP-482.
    fn length(
        &mut self,
        classic: impl FnOnce(&mut Self) -> Result<i64, Malformed>,
    ) -> Result<Option<usize>, Malformed> {
        let length = if self.flexible { i64::from(self.varint()?) - 1 } else { classic(self)? };
        match length {
            ..0 => Ok(None),
            // An element or byte takes at least one byte.
            length if length as u64 > self.bytes.len() as u64 => Err(Malformed::Length(length)),
            length => Ok(Some(length as usize)),
        }
    }

    /// Reads the tagged fields at the end of a structure. `known` reads a field, and returns false if its tag is unknown.
    pub(super) fn tagged(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, Malformed>,
    ) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            let (tag, length) = (self.varint()?, self.varint()?);
            let mut field = Self { bytes: self.take(length as usize)?, ..*self };
            if known(tag, &mut field)? {
                field.end()?;
            }
            self.elements_left = field.elements_left;
        }
        Ok(())
    }
}

/// Writes the fields of a message.
#[derive(Debug)]
pub struct Writer {
    bytes: BytesMut,
    version: i16,
    flexible: bool,
}

impl Writer {
    /// Writes a message of this version after these bytes.
    #[must_use]
    pub const fn new(bytes: BytesMut, version: i16, flexible: bool) -> Self {
        Self { bytes, version, flexible }
    }

    /// Returns the version of the message.
    #[must_use]
    pub const fn version(&self) -> i16 {
        self.version
    }

    /// Returns the bytes.
    #[must_use]
    pub fn into_bytes(self) -> BytesMut {
        self.bytes
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    fn length(&mut self, length: Option<usize>, classic: impl FnOnce(&mut BytesMut, i32)) {
        let length = length.map_or(-1, |length| length as i32);
        if self.flexible { self.varint((length + 1) as u32) } else { classic(&mut self.bytes, length) }
    }

    /// Writes the tagged fields at the end of a structure, in the order of their tags.
    pub(super) fn tagged(&mut self, fields: &[(u32, &dyn Field)]) {
        if !self.flexible {
            return;
        }
        self.varint(fields.len() as u32);
        for (tag, field) in fields {
            let mut writer = Self::new(BytesMut::new(), self.version, true);
            field.write(&mut writer);
            self.varint(*tag);
            self.varint(writer.bytes.len() as u32);
            self.bytes.extend_from_slice(&writer.bytes);
        }
    }
}

/// A type of the protocol.
pub trait Field {
    /// Reads a value.
    fn read(reader: &mut Reader) -> Result<Self, Malformed>
    where
        Self: Sized;

    /// Writes the value.
    fn write(&self, writer: &mut Writer);
}

macro_rules! integers {
    ($($type:ty)*) => {
        $(impl Field for $type {
            fn read(reader: &mut Reader) -> Result<Self, Malformed> {
                Ok(Self::from_be_bytes(reader.array()?))
            }

            fn write(&self, writer: &mut Writer) {
                writer.bytes.extend_from_slice(&self.to_be_bytes());
            }
        })*
    };
}
integers!(i8 i16 i32 i64);

impl Field for bool {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let [byte] = reader.array()?;
        Ok(byte != 0)
    }

    fn write(&self, writer: &mut Writer) {
        writer.bytes.put_u8(u8::from(*self));
    }
}

/// A UUID.
impl Field for [u8; 16] {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        reader.array()
    }

    fn write(&self, writer: &mut Writer) {
        writer.bytes.extend_from_slice(self);
    }
}

impl Field for Option<String> {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let Some(length) = reader.length(|reader| Ok(i16::read(reader)?.into()))? else { return Ok(None) };
        // As in Java, what is not UTF-8 becomes U+FFFD.
        Ok(Some(String::from_utf8_lossy(&reader.take(length)?).into_owned()))
    }

    fn write(&self, writer: &mut Writer) {
        writer.length(self.as_ref().map(String::len), |bytes, length| bytes.put_i16(length as i16));
        writer.bytes.extend_from_slice(self.as_deref().unwrap_or_default().as_bytes());
    }
}

impl Field for String {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Option::<Self>::read(reader)?.ok_or(Malformed::Null)
    }

    fn write(&self, writer: &mut Writer) {
        writer.length(Some(self.len()), |bytes, length| bytes.put_i16(length as i16));
        writer.bytes.extend_from_slice(self.as_bytes());
    }
}

impl Field for Option<Bytes> {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let Some(length) = reader.length(|reader| Ok(i32::read(reader)?.into()))? else { return Ok(None) };
        reader.take(length).map(Some)
    }

    fn write(&self, writer: &mut Writer) {
        writer.length(self.as_ref().map(Bytes::len), BufMut::put_i32);
        writer.bytes.extend_from_slice(self.as_deref().unwrap_or_default());
    }
}

impl Field for Bytes {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Option::<Self>::read(reader)?.ok_or(Malformed::Null)
    }

    fn write(&self, writer: &mut Writer) {
        writer.length(Some(self.len()), BufMut::put_i32);
        writer.bytes.extend_from_slice(self);
    }
}

impl<T: Field> Field for Option<Vec<T>> {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let Some(count) = reader.length(|reader| Ok(i32::read(reader)?.into()))? else { return Ok(None) };
        reader.elements_left = reader.elements_left.checked_sub(count).ok_or(Malformed::TooManyElements)?;
        (0..count).map(|_| T::read(reader)).collect::<Result<_, _>>().map(Some)
    }

    fn write(&self, writer: &mut Writer) {
        writer.length(self.as_ref().map(Vec::len), BufMut::put_i32);
        for element in self.iter().flatten() {
            element.write(writer);
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Option::<Self>::read(reader)?.ok_or(Malformed::Null)
    }

    fn write(&self, writer: &mut Writer) {
        writer.length(Some(self.len()), BufMut::put_i32);
        for element in self {
            element.write(writer);
        }
    }
}
