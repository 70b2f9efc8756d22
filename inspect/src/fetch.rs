//! Fetch responses, as a broker sent them.
//!
//! The layout is that of the protocol guide, "Fetch API (Key: 1)". A response does not contain its version.

use std::fmt;

/// A partition of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Partition<'a> {
    /// The name, or from version 13 on the id.
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) error_code: i16,
    /// The records; empty if null.
    pub(crate) records: &'a [u8],
}

/// Why bytes are not a Fetch response in the given version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// How many bytes of the response are valid.
    pub(crate) at: usize,
    field: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its {} is invalid at byte {}", self.field, self.at)
    }
}

/// The first version with compact lengths and tagged fields (KIP-482).
const FLEXIBLE: i16 = 12;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    version: i16,
}

type Read<T> = Result<T, Malformed>;

/// Decodes a response without its size, and passes its partitions on in their order. Returns the correlation id.
///
/// Partitions are not collected: a response of many small ones would need several times its size.
pub(crate) fn decode(bytes: &[u8], version: i16, each: &mut dyn FnMut(Partition<'_>)) -> Read<i32> {
    let mut reader = Reader { bytes, at: 0, version };
    let correlation_id = reader.i32("correlation id")?;
    reader.tags()?; // of the header
    if version >= 1 {
        reader.i32("throttle time")?;
    }
    if version >= 7 {
        reader.i16("error code")?;
        reader.i32("session id")?;
    }
    for _ in 0..reader.count("number of topics")? {
        let topic = if version >= 13 { reader.uuid()? } else { reader.string("topic")? };
        for _ in 0..reader.count("number of partitions")? {
            each(reader.partition(&topic)?);
        }
        reader.tags()?;
    }
    reader.tags()?;
    match reader.at == bytes.len() {
        true => Ok(correlation_id),
        false => Err(reader.malformed("end")),
    }
}

impl<'a> Reader<'a> {
    const fn malformed(&self, field: &'static str) -> Malformed {
        Malformed { at: self.at, field }
    }

    fn take(&mut self, count: usize, field: &'static str) -> Read<&'a [u8]> {
        let taken = self.bytes[self.at..].get(..count).ok_or(self.malformed(field))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Read<[u8; N]> {
        self.take(N, field).map(|bytes| *bytes.first_chunk().expect("N bytes"))
    }

    fn i16(&mut self, field: &'static str) -> Read<i16> {
        self.array(field).map(i16::from_be_bytes)
    }

    fn i32(&mut self, field: &'static str) -> Read<i32> {
        self.array(field).map(i32::from_be_bytes)
    }

    fn i64(&mut self, field: &'static str) -> Read<i64> {
        self.array(field).map(i64::from_be_bytes)
    }

    fn unsigned_varint(&mut self, field: &'static str) -> Read<u32> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array(field)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| self.malformed(field));
            }
        }
        Err(self.malformed(field))
    }

    /// Returns a length or count; `None` if it is null.
    fn length(&mut self, field: &'static str, is_short: bool) -> Read<Option<usize>> {
        let length = match (self.version >= FLEXIBLE, is_short) {
            (true, _) => i64::from(self.unsigned_varint(field)?) - 1,
            (false, true) => self.i16(field)?.into(),
            (false, false) => self.i32(field)?.into(),
        };
        match length {
            -1 => Ok(None),
            // Each entry has a byte at least, so a count beyond what is left is wrong, and is not looped over.
            _ => match usize::try_from(length) {
                Ok(length) if length <= self.bytes.len() - self.at => Ok(Some(length)),
                _ => Err(self.malformed(field)),
            },
        }
    }

    fn count(&mut self, field: &'static str) -> Read<usize> {
        Ok(self.length(field, false)?.unwrap_or(0))
    }

    fn string(&mut self, field: &'static str) -> Read<String> {
        let length = self.length(field, true)?.ok_or(self.malformed(field))?;
        let bytes = self.take(length, field)?;
        String::from_utf8(bytes.into()).map_err(|_| self.malformed(field))
    }

    /// Returns a topic id as Kafka's tools print it: base64 without padding, in its URL-safe alphabet.
    fn uuid(&mut self) -> Read<String> {
        use base64::Engine as _;
        let id: [u8; 16] = self.array("topic id")?;
        Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id))
    }

    fn tags(&mut self) -> Read<()> {
        if self.version < FLEXIBLE {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint("number of tagged fields")? {
            self.unsigned_varint("tag")?;
            let size = self.unsigned_varint("size of a tagged field")?;
            self.take(size as usize, "tagged field")?;
        }
        Ok(())
    }

    fn partition<'t>(&mut self, topic: &'t str) -> Read<Partition<'t>>
    where
        'a: 't,
    {
        let partition = self.i32("partition")?;
        let error_code = self.i16("error code of a partition")?;
        self.i64("high watermark")?;
        if self.version >= 4 {
            self.i64("last stable offset")?;
        }
        if self.version >= 5 {
            self.i64("log start offset")?;
        }
        if self.version >= 4 {
            for _ in 0..self.count("number of aborted transactions")? {
                self.i64("producer id")?;
                self.i64("first offset")?;
                self.tags()?;
            }
        }
        if self.version >= 11 {
            self.i32("preferred read replica")?;
        }
        let length = self.length("records", false)?.unwrap_or(0);
        let records = self.take(length, "records")?;
        self.tags()?;
        Ok(Partition { topic, partition, error_code, records })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a response with one partition in each version, field by field.
    fn response(version: i16, records: &[u8]) -> Vec<u8> {
        let flexible = version >= FLEXIBLE;
        let mut bytes = 7_i32.to_be_bytes().to_vec();
        let tags = |bytes: &mut Vec<u8>| bytes.extend(flexible.then_some(0));
        let count = |bytes: &mut Vec<u8>, count: i32| match flexible {
            true => bytes.push(u8::try_from(count + 1).unwrap()),
            false => bytes.extend(count.to_be_bytes()),
        };
        tags(&mut bytes);
        if version >= 1 {
            bytes.extend(0_i32.to_be_bytes());
        }
        if version >= 7 {
            bytes.extend([0; 6]);
        }
        count(&mut bytes, 1);
        match version {
            13.. => bytes.extend([1; 16]),
            12 => bytes.extend(b"\x07orders"),
            _ => bytes.extend(b"\0\x06orders"),
        }
        count(&mut bytes, 1);
        bytes.extend(3_i32.to_be_bytes());
        bytes.extend(0_i16.to_be_bytes());
        bytes.extend(100_i64.to_be_bytes());
        if version >= 4 {
            bytes.extend(100_i64.to_be_bytes());
        }
        if version >= 5 {
            bytes.extend(0_i64.to_be_bytes());
        }
        if version >= 4 {
            count(&mut bytes, 1);
            bytes.extend([5_i64, 50].map(i64::to_be_bytes).concat());
            tags(&mut bytes);
        }
        if version >= 11 {
            bytes.extend((-1_i32).to_be_bytes());
        }
        count(&mut bytes, records.len() as i32);
        bytes.extend(records);
        for _ in 0..3 {
            tags(&mut bytes); // of the partition, the topic and the response
        }
        bytes
    }

    #[test]
    fn each_version_is_decoded() {
        for version in 0..=18 {
            let bytes = response(version, b"records");
            let mut count = 0;
            let topic = if version >= 13 { "AQEBAQEBAQEBAQEBAQEBAQ" } else { "orders" };
            let decoded = decode(&bytes, version, &mut |partition| {
                count += 1;
                assert_eq!(
                    partition,
                    Partition { topic, partition: 3, error_code: 0, records: b"records" },
                    "{version}"
                );
            });
            assert_eq!((decoded, count), (Ok(7), 1), "{version}");
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut], version, &mut |_| ()).is_err(), "{version}, cut after {cut} bytes");
            }
        }
    }

    #[test]
    fn a_count_that_exceeds_the_bytes_is_refused() {
        let mut bytes = response(11, b"");
        bytes[14..18].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(
            decode(&bytes, 11, &mut |_| ()).unwrap_err().to_string(),
            "its number of topics is invalid at byte 18"
        );
    }
}
