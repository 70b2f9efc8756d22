//! Produce from v9 on, with the flexible encoding (KIP-482), of which these tests need numbers of one byte only where lengths are
//! not those of batches.

use alloc::vec;
use alloc::vec::Vec;

/// The first flexible version of Produce.
pub(super) const FIRST: i16 = 9;

/// Reads a request, from the tags of its header on.
struct Reader<'r>(&'r [u8]);

impl<'r> Reader<'r> {
    fn take(&mut self, length: usize) -> &'r [u8] {
        let (taken, left) = self.0.split_at(length);
        self.0 = left;
        taken
    }

    fn varint(&mut self) -> usize {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    /// Reads the length of what is not null.
    fn length(&mut self) -> usize {
        self.varint().checked_sub(1).expect("not null")
    }

    fn tags(&mut self) {
        assert_eq!(self.take(1), [0], "no tags");
    }
}

/// Returns the partition and the batch of each record set of a Produce request, v9 to v12.
pub(super) fn produced(body: &[u8]) -> Vec<(i32, Vec<u8>)> {
    let mut reader = Reader(body);
    reader.tags();
    let transactional_id = reader.varint().saturating_sub(1);
    reader.take(transactional_id + 6);
    let mut found = Vec::new();
    for _ in 0..reader.length() {
        let name = reader.length();
        assert_eq!(reader.take(name), b"t");
        for _ in 0..reader.length() {
            let partition = i32::from_be_bytes(reader.take(4).try_into().unwrap());
            let length = reader.length();
            found.push((partition, reader.take(length).to_vec()));
            reader.tags();
        }
        reader.tags();
    }
    found
}

/// Returns the body of a response with this error code and base offset for each partition.
pub(super) fn response(partitions: &[(i32, i16)], offset: i64, append_time: i64, throttle: i32) -> Vec<u8> {
    let mut body = vec![0, 2, 2, b't', partitions.len() as u8 + 1];
    for (partition, code) in partitions {
        body.extend(partition.to_be_bytes());
        body.extend(code.to_be_bytes());
        body.extend((if *code == 0 { offset } else { -1 }).to_be_bytes());
        body.extend(append_time.to_be_bytes());
        body.extend(0_i64.to_be_bytes());
        body.extend([1, 0, 0]); // no errors of records, no message, no tags
    }
    body.push(0);
    body.extend(throttle.to_be_bytes());
    body.push(0);
    body
}
