//! [`Unpacking`]: from messages to envelopes, batches included.

use std::collections::VecDeque;

use bytes::Bytes;
use wse_proto::{CodecError, Envelope, Packed, Protocol};

/// A protocol, and the envelopes of its last message that are not taken yet.
#[derive(Debug)]
pub(super) struct Unpacking<P> {
    pub(super) protocol: P,
    ready: VecDeque<Result<Envelope, CodecError>>,
}

impl<P: Protocol> Unpacking<P> {
    pub(super) const fn new(protocol: P) -> Self {
        Self { protocol, ready: VecDeque::new() }
    }

    /// Adds the envelopes of a message.
    pub(super) fn add(&mut self, message: &Bytes) {
        let packed = match Packed::of(self.protocol.info().kind(), message) {
            Ok(packed) => packed,
            Err(error) => return self.ready.push_back(Err(error)),
        };
        match self.protocol.unpack_batch(packed) {
            Some(members) => self.ready.extend(members),
            None => self.ready.push_back(self.protocol.unpack(packed)),
        }
    }

    /// Takes the next envelope.
    pub(super) fn next(&mut self) -> Option<Result<Envelope, CodecError>> {
        self.ready.pop_front()
    }
}
