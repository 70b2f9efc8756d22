//! What happens to a connection, and at which byte: drawn in advance, from the seed.

use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The last bytes read are not forwarded, and both sides are closed.
    Drop,
    /// Forwarded up to this byte, and both sides are closed.
    Truncate,
    /// Forwarded up to this byte, and nothing after it; the connections stay open.
    Stall,
    /// The client's side is closed; the last bytes reach the broker later, when the client has made another
    /// connection and sent them again.
    Late,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) direction: Direction,
    /// The number of bytes of that direction that are forwarded.
    pub(crate) after: u64,
    pub(crate) fault: Fault,
}

impl Cut {
    /// Draws the fault of a node's connection with this number.
    pub(crate) fn draw(seed: u64, node: u64, connection: u64) -> Self {
        /// At most 8 MiB of requests are forwarded, and of responses, which are small, 64 KiB.
        const BITS: (u64, u64) = (23, 16);
        let mut random = Random::new(seed, (node << 32) | connection);
        let (direction, bits) =
            if random.below(2) == 0 { (Direction::Request, BITS.0) } else { (Direction::Response, BITS.1) };
        let after = random.of_any_size(bits);
        let fault = match (random.below(7), direction) {
            (0, _) => Fault::Stall,
            (1..=2, _) => Fault::Drop,
            (3..=4, Direction::Request) => Fault::Late,
            _ => Fault::Truncate,
        };
        Self { direction, after, fault }
    }
}

/// Tracks Kafka's frames: four bytes of length, then that many bytes.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    length: [u8; 4],
    /// Bytes left of the length.
    have: usize,
    /// Bytes left of the body.
    left: u64,
}

impl Frames {
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let taken = (bytes.len() as u64).min(self.left);
                self.left -= taken;
                bytes = &bytes[taken as usize..];
                continue;
            }
            self.length[self.have] = first;
            self.have = (self.have + 1) % 4;
            if self.have == 0 {
                self.left = u32::from_be_bytes(self.length).into();
            }
            bytes = rest;
        }
    }

    pub(crate) const fn is_in_the_middle(&self) -> bool {
        self.have > 0 || self.left > 0
    }
}

#[test]
fn frames_are_tracked_however_they_are_cut() {
    let stream = [&[0, 0, 0, 5][..], b"hello", &[0, 0, 0, 0, 0, 0, 0, 2], b"ab"].concat();
    let ends = [0, 9, 13, 19];
    for cut in 0..=stream.len() {
        let mut frames = Frames::default();
        frames.pass(&stream[..cut]);
        assert_eq!(frames.is_in_the_middle(), !ends.contains(&cut), "{cut}");
        stream[cut..].iter().for_each(|byte| frames.pass(&[*byte]));
        assert!(!frames.is_in_the_middle());
    }
}

#[test]
fn every_fault_occurs_and_the_same_seed_draws_the_same() {
    let cuts: Vec<Cut> = (0..200).map(|connection| Cut::draw(7, 1, connection)).collect();
    for fault in [Fault::Drop, Fault::Truncate, Fault::Stall, Fault::Late] {
        assert!(cuts.iter().any(|cut| cut.fault == fault), "{fault:?}");
    }
    assert!(cuts.iter().all(|cut| cut.fault != Fault::Late || cut.direction == Direction::Request));
    let again = Cut::draw(7, 1, 3);
    assert_eq!((again.after, again.fault, again.direction), (cuts[3].after, cuts[3].fault, cuts[3].direction));
    assert!(cuts.windows(2).any(|pair| pair[0].after != pair[1].after));
}
