//! What the fuzz targets share: an input that is a batch already ([`input`]), everything that must hold when bytes are
//! read ([`reader`]), and operations on a batch ([`operations`]).

pub mod frames;
pub mod heap;
pub mod input;
pub mod machine;
pub mod operations;
pub mod pack;
pub mod reader;
pub mod wire;

use kafka_batch_core::compression::Codec;

/// Reads what the input makes of `codec`, and checks all that must hold.
pub fn decode(codec: Codec, data: &[u8]) {
    let Some((buffer, ceiling)) = input::buffer(codec, data) else { return };
    reader::read(&buffer, ceiling);
}
