//! The protocol guide's primitive types: a reader for responses and a writer for requests.
//!
//! Both have the API and version, which determine whether lengths are compact (KIP-482). So the code of a message
//! lists its fields once, for all versions.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{ApiKey, ErrorCode, ProtocolError, ProtocolErrorKind, RequestEncodeError, RequestHeader, Uuid};

/// The maximum length of a string, compact or not: brokers reject longer ones.
const MAX_STRING: usize = i16::MAX as usize;
/// The maximum of every other length.
const MAX_LENGTH: usize = i32::MAX as usize;

/// Decodes one response, field by field. Errors have the position and kind of the violation.
pub(super) struct Reader<'a> {
    api: ApiKey,
    version: i16,
    /// Whether the version is flexible (KIP-482).
    is_flexible: bool,
    /// The bytes not read yet.
    rest: &'a [u8],
    /// The position of `rest` in the frame.
    at: usize,
}

impl<'a> Reader<'a> {
    /// Creates a reader positioned after the response header: v0, or v1 with tagged fields if this version has it.
    pub(super) fn response(api: ApiKey, version: i16, frame: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Self { api, version, is_flexible: api.is_flexible(version), rest: frame, at: 0 };
        if !api.versions().contains(version) {
            return Err(reader.wrong(0, ProtocolErrorKind::UnsupportedVersion));
        }
        reader.i32()?; // the correlation id, which the caller has already matched
        if api.has_tagged_response_header(version) {
            reader.skip_tagged_fields()?;
        }
        Ok(reader)
    }

    /// Continues the reader in another version. Only ApiVersions needs it (KIP-511).
    pub(super) fn in_version(self, version: i16) -> Self {
        Self { version, is_flexible: self.api.is_flexible(version), ..self }
    }

    pub(super) fn version(&self) -> i16 {
        self.version
    }

    /// Checks that the response ends here. A second empty list of tagged fields is accepted, because librdkafka's mock
    /// cluster writes one.
    pub(super) fn end_of_response(&self) -> Result<(), ProtocolError> {
        if self.is_flexible && self.rest == [0] { Ok(()) } else { self.end() }
    }

    /// Checks that the message or tagged field ends here.
    pub(super) fn end(&self) -> Result<(), ProtocolError> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(self.wrong(self.at, ProtocolErrorKind::TrailingBytes(more))),
        }
    }

    /// Reads a bool. As in the Java client, every value except zero is true.
    pub(super) fn bool(&mut self) -> Result<bool, ProtocolError> {
        Ok(self.fixed::<1>()? != [0])
    }

    pub(super) fn i8(&mut self) -> Result<i8, ProtocolError> {
        Ok(i8::from_be_bytes(self.fixed()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, ProtocolError> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, ProtocolError> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, ProtocolError> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, ProtocolError> {
        Ok(Uuid(self.fixed()?))
    }

    pub(super) fn error_code(&mut self) -> Result<ErrorCode, ProtocolError> {
        Ok(ErrorCode(self.i16()?))
    }

    pub(super) fn string(&mut self) -> Result<String, ProtocolError> {
        self.str().map(String::from)
    }

    /// Reads a string, without a copy.
    pub(super) fn str(&mut self) -> Result<&'a str, ProtocolError> {
        let at = self.at;
        self.nullable_str()?.ok_or(self.wrong(at, ProtocolErrorKind::UnexpectedNull))
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<String>, ProtocolError> {
        Ok(self.nullable_str()?.map(String::from))
    }

    fn nullable_str(&mut self) -> Result<Option<&'a str>, ProtocolError> {
        let Some(length) = self.length(Prefix::Short)? else {
            return Ok(None);
        };
        let at = self.at;
        let text = core::str::from_utf8(self.take(length)?);
        text.map(Some).map_err(|_| self.wrong(at, ProtocolErrorKind::NotUtf8))
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, ProtocolError> {
        let at = self.at;
        let length = self.length(Prefix::Long)?;
        let length = length.ok_or(self.wrong(at, ProtocolErrorKind::UnexpectedNull))?;
        Ok(Bytes::copy_from_slice(self.take(length)?))
    }

    /// Reads an array whose elements take at least `smallest` bytes each in every version. The count is checked
    /// against that before memory is allocated.
    pub(super) fn array<T>(
        &mut self,
        smallest: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, ProtocolError>,
    ) -> Result<Vec<T>, ProtocolError> {
        let count = self.array_length(smallest)?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    /// Reads the number of elements of an array, and checks it as [`array`](Self::array) does.
    pub(super) fn array_length(&mut self, smallest: usize) -> Result<usize, ProtocolError> {
        let at = self.at;
        let count = self.length(Prefix::Long)?;
        let count = count.ok_or(self.wrong(at, ProtocolErrorKind::UnexpectedNull))?;
        let available = self.rest.len();
        if count > available / smallest {
            return Err(self.wrong(at, ProtocolErrorKind::TooManyElements { count, available }));
        }
        Ok(count)
    }

    /// Reads the tagged fields at the end of a structure in flexible versions; does nothing in other versions.
    ///
    /// Calls `known` with each tag and a reader limited to that field. Unread bytes of a field are skipped, so
    /// that fields of future brokers are ignored (KIP-482).
    pub(super) fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        if !self.is_flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = as_size(self.unsigned_varint()?);
            let at = self.at;
            let rest = self.take(size)?;
            known(tag, &mut Reader { rest, at, ..*self })?;
        }
        Ok(())
    }

    pub(super) fn skip_tagged_fields(&mut self) -> Result<(), ProtocolError> {
        self.tagged_fields(|_, _| Ok(()))
    }

    /// Reads a length prefix; `None` is null.
    fn length(&mut self, prefix: Prefix) -> Result<Option<usize>, ProtocolError> {
        let at = self.at;
        if self.is_flexible {
            // Compact: one more than the length, and 0 is null.
            return Ok(self.unsigned_varint()?.checked_sub(1).map(as_size));
        }
        let length = match prefix {
            Prefix::Short => i32::from(self.i16()?),
            Prefix::Long => self.i32()?,
        };
        match u32::try_from(length) {
            Ok(length) => Ok(Some(as_size(length))),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.wrong(at, ProtocolErrorKind::NegativeLength(length))),
        }
    }

    fn unsigned_varint(&mut self) -> Result<u32, ProtocolError> {
        let at = self.at;
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.wrong(at, ProtocolErrorKind::VarintTooLong))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let mut value = [0; N];
        value.copy_from_slice(self.take(N)?);
        Ok(value)
    }

    /// Takes `needed` bytes. All other methods advance the reader through this one.
    fn take(&mut self, needed: usize) -> Result<&'a [u8], ProtocolError> {
        let Some((taken, rest)) = self.rest.split_at_checked(needed) else {
            let available = self.rest.len();
            return Err(self.wrong(self.at, ProtocolErrorKind::Truncated { needed, available }));
        };
        self.rest = rest;
        self.at += needed;
        Ok(taken)
    }

    fn wrong(&self, position: usize, kind: ProtocolErrorKind) -> ProtocolError {
        ProtocolError { api: self.api, version: self.version, position, kind }
    }
}

/// Encodes one request with its length and header. Record sets are kept separate, so that they are not copied.
pub(super) struct Writer {
    api: ApiKey,
    version: i16,
    /// Whether the version is flexible (KIP-482).
    is_flexible: bool,
    /// The segments up to the last record set. The first of them is a placeholder, for [`first`](Self::first).
    segments: Vec<Bytes>,
    /// Their size in bytes.
    size: usize,
    /// The first of them, which begins with the frame's length.
    first: BytesMut,
    /// The bytes after them.
    envelope: BytesMut,
}

impl Writer {
    /// Creates a writer and writes the request header: v1, or v2 with tagged fields if this version is flexible.
    /// (Only ControlledShutdown v0, which clients do not send, has header v0.)
    pub(super) fn request(api: ApiKey, version: i16, header: RequestHeader<'_>) -> Result<Self, RequestEncodeError> {
        Self::request_with(api, version, header, 64, 0)
    }

    /// As [`request`](Self::request), for a request of about this many bytes besides this many record sets.
    pub(super) fn request_with(
        api: ApiKey,
        version: i16,
        header: RequestHeader<'_>,
        envelope: usize,
        record_sets: usize,
    ) -> Result<Self, RequestEncodeError> {
        let supported = api.versions();
        if !supported.contains(version) {
            return Err(RequestEncodeError::UnsupportedVersion { api, version, supported });
        }
        let mut writer = Self {
            api,
            version,
            is_flexible: api.is_flexible(version),
            segments: Vec::with_capacity(2 * record_sets + 1),
            size: 0,
            first: BytesMut::new(),
            envelope: BytesMut::with_capacity(envelope),
        };
        let mut beginning = [0; 12]; // with a placeholder for the frame's length
        beginning[4..6].copy_from_slice(&api.code().to_be_bytes());
        beginning[6..8].copy_from_slice(&version.to_be_bytes());
        beginning[8..].copy_from_slice(&header.correlation_id.to_be_bytes());
        writer.envelope.put_slice(&beginning);
        // The client id is never compact, since old brokers must be able to decode it (KIP-511).
        match header.client_id {
            None => writer.i16(-1),
            Some(id) => {
                let length = writer.at_most(MAX_STRING, id.len())?;
                writer.i16(length as i16);
                writer.envelope.put_slice(id.as_bytes());
            }
        }
        writer.no_tagged_fields();
        Ok(writer)
    }

    /// Returns the frame's segments: envelope, record set, envelope, … None of them is empty.
    pub(super) fn finish(mut self) -> Result<Vec<Bytes>, RequestEncodeError> {
        let length = self.at_most(MAX_LENGTH, self.size + self.envelope.len() - 4)? as u32;
        let first = if self.segments.is_empty() { &mut self.envelope } else { &mut self.first };
        first[..4].copy_from_slice(&length.to_be_bytes());
        if let Some(first) = self.segments.first_mut() {
            *first = self.first.freeze();
        }
        if !self.envelope.is_empty() {
            self.segments.push(self.envelope.freeze());
        }
        Ok(self.segments)
    }

    /// Returns the error for a value that this version has no field for.
    pub(super) fn unrepresentable(&self, value: &'static str) -> RequestEncodeError {
        RequestEncodeError::Unrepresentable { api: self.api, version: self.version, value }
    }

    pub(super) fn version(&self) -> i16 {
        self.version
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.envelope.put_u8(u8::from(value));
    }

    pub(super) fn i8(&mut self, value: i8) {
        self.envelope.put_i8(value);
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.envelope.put_i16(value);
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.envelope.put_i32(value);
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.envelope.put_i64(value);
    }

    pub(super) fn uuid(&mut self, value: Uuid) {
        self.envelope.put_slice(&value.0);
    }

    pub(super) fn string(&mut self, text: &str) -> Result<(), RequestEncodeError> {
        self.length(Prefix::Short, text.len())?;
        self.envelope.put_slice(text.as_bytes());
        Ok(())
    }

    pub(super) fn nullable_string(&mut self, text: Option<&str>) -> Result<(), RequestEncodeError> {
        match text {
            Some(text) => self.string(text),
            None => {
                self.null(Prefix::Short);
                Ok(())
            }
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), RequestEncodeError> {
        self.length(Prefix::Long, bytes.len())?;
        self.envelope.put_slice(bytes);
        Ok(())
    }

    /// Writes the length of a record set into the envelope, and adds its bytes as a separate segment.
    pub(super) fn records(&mut self, records: &Bytes) -> Result<(), RequestEncodeError> {
        self.length(Prefix::Long, records.len())?;
        if !records.is_empty() {
            let before = self.envelope.split();
            self.size += before.len() + records.len();
            let before = if self.segments.is_empty() {
                self.first = before;
                Bytes::new()
            } else {
                before.freeze()
            };
            self.segments.push(before);
            self.segments.push(records.clone());
        }
        Ok(())
    }

    pub(super) fn array<T>(
        &mut self,
        elements: &[T],
        mut element: impl FnMut(&mut Self, &T) -> Result<(), RequestEncodeError>,
    ) -> Result<(), RequestEncodeError> {
        self.array_length(elements.len())?;
        elements.iter().try_for_each(|each| element(self, each))
    }

    /// Writes the number of elements of an array, which are to be written next.
    pub(super) fn array_length(&mut self, count: usize) -> Result<(), RequestEncodeError> {
        self.length(Prefix::Long, count)
    }

    pub(super) fn null_array(&mut self) {
        self.null(Prefix::Long);
    }

    /// Writes an empty list of tagged fields at the end of a structure, in flexible versions.
    pub(super) fn no_tagged_fields(&mut self) {
        if self.is_flexible {
            self.envelope.put_u8(0);
        }
    }

    fn length(&mut self, prefix: Prefix, length: usize) -> Result<(), RequestEncodeError> {
        let limit = match prefix {
            Prefix::Short => MAX_STRING,
            Prefix::Long => MAX_LENGTH,
        };
        let length = self.at_most(limit, length)?;
        if self.is_flexible {
            self.unsigned_varint(length as u32 + 1);
        } else {
            match prefix {
                Prefix::Short => self.i16(length as i16),
                Prefix::Long => self.i32(length as i32),
            }
        }
        Ok(())
    }

    fn null(&mut self, prefix: Prefix) {
        if self.is_flexible {
            self.unsigned_varint(0);
        } else {
            match prefix {
                Prefix::Short => self.i16(-1),
                Prefix::Long => self.i32(-1),
            }
        }
    }

    fn unsigned_varint(&mut self, mut value: u32) {
        while value > 0x7f {
            self.envelope.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.envelope.put_u8(value as u8);
    }

    fn at_most(&self, limit: usize, length: usize) -> Result<usize, RequestEncodeError> {
        if length <= limit {
            return Ok(length);
        }
        Err(RequestEncodeError::TooLong { api: self.api, version: self.version, length, limit })
    }
}

/// The width of a length that is not compact.
#[derive(Clone, Copy)]
enum Prefix {
    /// 16 bits: strings.
    Short,
    /// 32 bits: arrays, bytes, record sets.
    Long,
}

/// Converts a size sent by the peer. A size beyond the address space saturates, and is then rejected as truncated.
fn as_size(claimed: u32) -> usize {
    usize::try_from(claimed).unwrap_or(usize::MAX)
}
