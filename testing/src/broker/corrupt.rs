//! What a broker sends in place of a response, as a fault.

use bytes::{Bytes, BytesMut};

use super::{Broker, Garbage};
use crate::api_key::ApiKey;
use crate::wire::{self, Request};

impl Broker {
    /// Returns what is sent in place of this response.
    pub(super) fn corrupt(&mut self, request: &Request, garbage: Garbage, answer: &Bytes) -> Bytes {
        let mut bytes = BytesMut::from(&answer[..]);
        // A response with UNSUPPORTED_VERSION need not be readable: only the rejection counts.
        let is_rejected = request.api == ApiKey::ApiVersions && answer.get(8..10) == Some(&[0, 35]);
        match if is_rejected { Garbage::Correlation } else { garbage } {
            Garbage::Body => {
                // Any 16 bytes are a response to InitProducerId, and a plausible one is not garbage.
                let longest = if request.api == ApiKey::InitProducerId { 15 } else { 40 };
                let body: Vec<u8> = (0..self.random.between(1, longest)).map(|_| self.random.draw() as u8).collect();
                return wire::framed(request.api, request.version, request.correlation, &body);
            }
            Garbage::Correlation => bytes[4..8].copy_from_slice(&(request.correlation ^ 0x5555).to_be_bytes()),
            Garbage::Short => {
                let cut = self.random.between(1, (bytes.len() as u64 - 8).min(6)) as usize;
                bytes.truncate(bytes.len() - cut);
            }
            Garbage::Long => bytes.extend_from_slice(b"more"),
            Garbage::Negative => bytes[..4].copy_from_slice(&(-1i32).to_be_bytes()),
            Garbage::Huge => bytes[..4].copy_from_slice(&i32::MAX.to_be_bytes()),
            Garbage::Empty => return Bytes::from_static(&[0; 4]),
        }
        if matches!(garbage, Garbage::Short | Garbage::Long) {
            let length = bytes.len() as u32 - 4;
            bytes[..4].copy_from_slice(&length.to_be_bytes());
        }
        bytes.freeze()
    }
}
