//! The bound on compressed batches: the codec's library over the finished records, and nothing else.

use std::io::Write;

use super::straight_line::{HEADER_LEN, encode};
use super::{Build, Contender, Wire};
use crate::workload::{Codec, Workload};

pub struct CodecAlone;

impl Contender for CodecAlone {
    fn name(&self) -> &'static str {
        "codec alone"
    }

    fn builder<'w>(&self, workload: &'w Workload) -> Option<Build<'w>> {
        let records = encode(workload).split_off(HEADER_LEN);
        match workload.codec {
            Codec::None => None,
            Codec::Gzip => Some(Box::new(move || {
                let out = Vec::with_capacity(records.len());
                let mut writer = flate2::write::GzEncoder::new(out, flate2::Compression::new(6));
                writer.write_all(&records).expect("memory");
                Wire::Vec(writer.finish().expect("memory"))
            })),
            Codec::Snappy => Some(Box::new(move || {
                // In blocks of 32 KiB, as Java's framing has them.
                let mut out = vec![0; records.len() + records.len() / 6 + 1024];
                let mut used = 0;
                let mut encoder = snap::raw::Encoder::new();
                for block in records.chunks(32 << 10) {
                    used += encoder.compress(block, &mut out[used..]).expect("room");
                }
                out.truncate(used);
                Wire::Vec(out)
            })),
            Codec::Lz4 => Some(Box::new(move || {
                let mut info = lz4_flex::frame::FrameInfo::new();
                info.block_size = lz4_flex::frame::BlockSize::Max64KB;
                let out = Vec::with_capacity(records.len());
                let mut writer = lz4_flex::frame::FrameEncoder::with_frame_info(info, out);
                writer.write_all(&records).expect("memory");
                Wire::Vec(writer.finish().expect("memory"))
            })),
            // As a stream, and in a new context for each batch: faster for 1 MiB than at once, or in a kept one.
            Codec::Zstd => Some(Box::new(move || {
                let mut encoder = zstd::Encoder::new(Vec::with_capacity(records.len()), 3).expect("a level");
                encoder.set_pledged_src_size(Some(records.len() as u64)).expect("known beforehand");
                encoder.write_all(&records).expect("memory");
                Wire::Vec(encoder.finish().expect("memory"))
            })),
        }
    }
}
