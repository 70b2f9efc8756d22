//! Who is measured: each behind the same small trait, each in a file of its own.

pub mod bare_walk;
pub mod codec_alone;
pub mod copy_and_sum;
pub mod kafka_protocol;
pub mod krafka;
pub mod ours;
pub mod rskafka;
pub mod straight_line;
pub mod tansu;

use bytes::{Bytes, BytesMut};

use crate::workload::Workload;

/// A library, or a bound, that builds batches, or reads them, or both.
pub trait Contender {
    /// Its name in the tables.
    fn name(&self) -> &'static str;

    /// Prepares to build the workload's batch. What an application holds anyway (borrowed slices; shared bytes for
    /// libraries that want those) is made here, and is not measured; what only the library asks for is made in each call.
    fn builder<'w>(&self, _workload: &'w Workload) -> Option<Build<'w>> {
        None
    }

    /// Prepares to read this batch: every record as the library hands it out, folded into a number that depends on all
    /// of it.
    fn reader<'w>(&self, _batch: &'w Bytes, _workload: &Workload) -> Option<Read<'w>> {
        None
    }
}

/// Builds one batch, from nothing to the bytes that go out, checksum included.
pub type Build<'w> = Box<dyn Fn() -> Wire + 'w>;

/// Reads one batch.
pub type Read<'w> = Box<dyn Fn() -> u64 + 'w>;

/// A batch in whatever its library hands out, so that none pays for a conversion.
pub enum Wire {
    Vec(Vec<u8>),
    Bytes(Bytes),
    BytesMut(BytesMut),
}

impl Wire {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Vec(bytes) => bytes,
            Self::Bytes(bytes) => bytes,
            Self::BytesMut(bytes) => bytes,
        }
    }
}

/// What all readers fold the records into: it needs every length and every number, and no byte of the content.
#[derive(Default)]
pub struct Fold(u64);

impl Fold {
    #[inline(always)]
    pub fn number(&mut self, number: i64) {
        self.0 = self.0.wrapping_mul(31).wrapping_add(number as u64);
    }

    #[inline(always)]
    pub fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.number(bytes.map_or(-1, |bytes| bytes.len() as i64));
    }

    pub fn finish(self) -> u64 {
        self.0
    }
}
