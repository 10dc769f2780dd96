//! A simulated socket: bytes that are on their way in both directions, and that a cut loses.

use std::collections::VecDeque;

use bytes::Bytes;

/// One direction of a socket. Each message follows its length.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    on_their_way: VecDeque<u8>,
    arrived: Vec<u8>,
}

impl Pipe {
    pub(super) fn write(&mut self, message: &[u8]) {
        self.on_their_way.extend((message.len() as u32).to_be_bytes());
        self.on_their_way.extend(message);
    }

    pub(super) fn len(&self) -> usize {
        self.on_their_way.len()
    }

    /// Lets so many bytes arrive. Returns the messages that are whole then.
    pub(super) fn deliver(&mut self, bytes: usize) -> Vec<Bytes> {
        let bytes = bytes.min(self.len());
        self.arrived.extend(self.on_their_way.drain(..bytes));
        let mut whole = Vec::new();
        while let Some((length, rest)) = self.arrived.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if rest.len() < length {
                break;
            }
            whole.push(Bytes::copy_from_slice(&rest[..length]));
            self.arrived.drain(..4 + length);
        }
        whole
    }
}

/// Random numbers that are the same for the same seed (splitmix64).
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn bytes(&mut self) -> [u8; 16] {
        let (low, high) = (self.next().to_le_bytes(), self.next().to_le_bytes());
        std::array::from_fn(|at| if at < 8 { low[at] } else { high[at - 8] })
    }
}
