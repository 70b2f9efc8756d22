//! Compression by the codecs' own libraries, with everything that they can be told and this project never writes:
//! other levels, block sizes, linked blocks, checksums, stated sizes, several members, raw Snappy.

use flate2::write::GzEncoder;
use kafka_batch_core::Magic;
use kafka_batch_core::compression::Codec;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::io::Write;

/// `records`, compressed as `options` says.
pub fn pack(codec: Codec, magic: Magic, options: u8, records: &[u8]) -> Vec<u8> {
    let bit = |place: u8| options >> place & 1 == 1;
    match codec {
        Codec::None => records.to_vec(),
        Codec::Gzip => in_parts(records, bit(7), |part| {
            let level = flate2::Compression::new(u32::from(options) % 10);
            let mut encoder = GzEncoder::new(Vec::new(), level);
            written(encoder.write_all(part));
            written(encoder.finish())
        }),
        Codec::Snappy => {
            let raw = |part: &[u8]| snap::raw::Encoder::new().compress_vec(part).expect("a short part");
            if bit(0) {
                return raw(records);
            }
            in_parts(records, bit(7), |part| {
                let mut framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
                let block_len = [1, 16, 100, 32 * 1024][usize::from(options >> 1) % 4];
                for block in part.chunks(block_len) {
                    let block = raw(block);
                    framed.extend((block.len() as i32).to_be_bytes());
                    framed.extend(block);
                }
                framed
            })
        }
        Codec::Lz4 => {
            let mut packed = in_parts(records, bit(7), |part| {
                let info = FrameInfo::new()
                    .block_mode(if bit(0) { BlockMode::Linked } else { BlockMode::Independent })
                    .block_checksums(bit(1))
                    .content_checksum(bit(2))
                    .content_size(bit(3).then_some(part.len() as u64))
                    .block_size(if bit(4) { BlockSize::Max4MB } else { BlockSize::Max64KB });
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                // Each write may end a block, so there are several even in a short input.
                let step = if bit(5) { 64 } else { usize::MAX };
                for piece in part.chunks(step) {
                    written(encoder.write_all(piece));
                    if bit(6) {
                        written(encoder.flush());
                    }
                }
                written(encoder.finish())
            });
            // Kafka's historic checksum, where the header is the plain one.
            if magic == Magic::V0 && packed.get(4..6) == Some(&[0x60, 0x40]) {
                packed[6] = 0x1a;
            }
            packed
        }
        Codec::Zstd => in_parts(records, bit(7), |part| {
            let level = i32::from(options & 0b111) - 3;
            if bit(3) {
                return written(zstd::bulk::compress(part, level)); // states the size
            }
            let mut encoder = written(zstd::Encoder::new(Vec::new(), level));
            written(encoder.include_checksum(bit(4)));
            for piece in part.chunks(if bit(5) { 64 } else { usize::MAX }) {
                written(encoder.write_all(piece));
                if bit(6) {
                    written(encoder.flush());
                }
            }
            written(encoder.finish())
        }),
    }
}

/// As one member, stream or frame, or as two behind each other.
fn in_parts(records: &[u8], two: bool, pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let (first, second) = records.split_at(if two { records.len() / 2 } else { records.len() });
    let mut packed = pack(first);
    if two {
        packed.extend(pack(second));
    }
    packed
}

fn written<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.expect("writing to memory")
}
