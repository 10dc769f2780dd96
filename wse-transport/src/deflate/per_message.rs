//! Compresses and inflates messages (RFC 7692 §7.2).

use std::mem;

use bytes::{Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::agreement::DeflateAgreement;
use super::settings::Deflate;
use super::shared::Shared;
use crate::frame::{ProtocolError, Role};

/// The end of every compressed message, which is not sent: the rest of an empty stored block (§7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// An empty last block. It can be inflated only where another block is complete.
const END: [u8; 5] = [0x01, 0x00, 0x00, 0xFF, 0xFF];

/// How many bytes are inflated at once, at first. It doubles up to [`MAX_STEP`].
const MIN_STEP: usize = 1024;

/// The most bytes that are inflated at once.
const MAX_STEP: usize = 64 * 1024;

/// The most blocks of a message that are marked as the last. Each costs its sender two bytes, and us a
/// microsecond, since it starts a new stream.
const MAX_ENDS: usize = 1024;

/// The contexts of both directions of one connection.
///
/// A context is created on first use, and dropped after the message unless it is taken over to the next.
#[derive(Debug)]
pub(crate) struct PerMessage {
    /// Whether further messages are compressed.
    enabled: bool,
    level: Compression,
    threshold: usize,
    sending: Context<Compress>,
    receiving: Context<Decompress>,
    /// The inflated bytes of the current frame.
    out: BytesMut,
    /// The inflated length of the current message, in bytes.
    inflated: usize,
    /// Whether input arrived since the message began, or since the last block that was marked as the last.
    dangling: bool,
    /// The number of blocks of the current message that were marked as the last.
    ends: usize,
}

#[derive(Debug)]
struct Context<T> {
    bits: u8,
    takeover: bool,
    state: Option<T>,
}

impl<T> Context<T> {
    fn new((bits, takeover): (u8, bool)) -> Self {
        Self { bits, takeover, state: None }
    }
}

impl PerMessage {
    /// Creates the contexts of `role`. For `enabled` see [`set_enabled`](Self::set_enabled).
    pub(crate) fn boxed(
        role: Role,
        deflate: Deflate,
        agreed: DeflateAgreement,
        enabled: bool,
    ) -> Box<Self> {
        Box::new(Self { enabled, ..Self::new(role, deflate, agreed) })
    }

    fn new(role: Role, deflate: Deflate, agreed: DeflateAgreement) -> Self {
        let deflate = deflate.in_bounds();
        let other = match role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let mut sending = Context::new(agreed.sending(role));
        // Using less than was agreed on is always allowed.
        sending.bits = sending.bits.min(deflate.window_bits);
        sending.takeover &= deflate.takeover;
        Self {
            enabled: true,
            level: Compression::new(u32::from(deflate.level)),
            threshold: deflate.threshold,
            sending,
            receiving: Context::new(agreed.sending(other)),
            out: BytesMut::new(),
            inflated: 0,
            dangling: false,
            ends: 0,
        }
    }

    /// Sets whether further messages are compressed.
    pub(crate) fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// The compressed payload of a whole message, to be sent with RSV1; `None` to send it uncompressed.
    pub(crate) fn compress(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        if !self.compresses(payload) {
            return None;
        }
        if payload.is_empty() {
            // §7.2.3.6: zlib would write nothing.
            return Some(vec![0]);
        }
        let out = self.deflate(payload).filter(|out| {
            // With takeover the peer must see every message that later ones refer to.
            self.sending.takeover || out.len() < payload.len()
        });
        if out.is_none() || !self.sending.takeover {
            self.sending.state = None;
        }
        out
    }

    /// As [`compress`](Self::compress), for a message that goes to many connections. Without takeover, the first of
    /// the connections with equal settings compresses it, and the others wait for the result.
    pub(crate) fn compress_shared(&mut self, payload: &[u8], shared: &Shared) -> Option<Bytes> {
        if self.sending.takeover || !self.compresses(payload) {
            return self.compress(payload).map(Bytes::from);
        }
        let once = shared.once((self.level, self.sending.bits));
        // The result may be kept for a long time.
        let compress = || {
            let mut out = self.compress(payload)?;
            out.shrink_to_fit();
            Some(Bytes::from(out))
        };
        once.get_or_init(compress).clone()
    }

    fn compresses(&self, payload: &[u8]) -> bool {
        // zlib has no window of 8 bits. Then nothing is compressed, which is allowed (§6).
        self.enabled && payload.len() >= self.threshold && self.sending.bits >= 9
    }

    fn deflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let (level, bits) = (self.level, self.sending.bits);
        let state = self
            .sending
            .state
            .get_or_insert_with(|| Compress::new_with_window_bits(level, false, bits));
        let mut out = Vec::with_capacity(payload.len() / 2 + 64);
        let mut rest = payload;
        loop {
            let before = state.total_in();
            state.compress_vec(rest, &mut out, FlushCompress::Sync).ok()?;
            rest = &rest[(state.total_in() - before) as usize..];
            // The output is complete once it did not fill the buffer.
            if rest.is_empty() && out.len() < out.capacity() {
                break;
            }
            out.reserve(out.len().max(64));
        }
        out.truncate(out.strip_suffix(&TAIL)?.len());
        Some(out)
    }

    /// Inflates the next bytes of a message and returns the output; `last` tells that the message ends with them.
    /// The output is also kept for [`take`](Self::take).
    ///
    /// # Errors
    ///
    /// [`ProtocolError::InvalidDeflate`]; [`ProtocolError::InflatedTooBig`] at the first byte beyond `limit`.
    pub(crate) fn inflate(
        &mut self,
        input: &[u8],
        last: bool,
        limit: usize,
    ) -> Result<&[u8], ProtocolError> {
        let start = self.out.len();
        self.feed(input, limit)?;
        if last {
            let inflated = self.inflated;
            if self.dangling {
                self.feed(&TAIL, limit)?;
                if self.inflated != inflated {
                    // A complete message inflates to nothing more.
                    return Err(ProtocolError::InvalidDeflate);
                }
            }
            if !self.receiving.takeover {
                if self.dangling {
                    self.feed(&END, limit)?;
                    if self.dangling || self.inflated != inflated {
                        return Err(ProtocolError::InvalidDeflate);
                    }
                }
                self.receiving.state = None;
            }
            self.inflated = 0;
            self.dangling = false;
            self.ends = 0;
        }
        Ok(&self.out[start..])
    }

    /// The number of bytes that [`take`](Self::take) returns.
    pub(crate) fn inflated(&self) -> usize {
        self.out.len()
    }

    /// Takes the output of the frame, or of a piece of it.
    pub(crate) fn take(&mut self) -> Bytes {
        mem::take(&mut self.out).freeze()
    }

    fn feed(&mut self, mut input: &[u8], limit: usize) -> Result<(), ProtocolError> {
        let bits = self.receiving.bits.clamp(9, 15);
        let mut step = input.len().saturating_mul(4).clamp(MIN_STEP, MAX_STEP);
        let mut full = false;
        self.dangling |= !input.is_empty();
        while full || !input.is_empty() {
            let state = self
                .receiving
                .state
                .get_or_insert_with(|| Decompress::new_with_window_bits(false, bits));
            let left = limit.saturating_sub(self.inflated);
            // At the limit, one more byte of output shows that the message is too long.
            let room = left.clamp(1, step);
            let start = self.out.len();
            self.out.resize(start + room, 0);
            let before = (state.total_in(), state.total_out());
            let status = state.decompress(input, &mut self.out[start..], FlushDecompress::None);
            let used = (state.total_in() - before.0) as usize;
            let made = (state.total_out() - before.1) as usize;
            self.out.truncate(start + made);
            let status = status.map_err(|_| ProtocolError::InvalidDeflate)?;
            if made > left {
                return Err(ProtocolError::InflatedTooBig { limit });
            }
            self.inflated += made;
            input = &input[used..];
            full = made == room;
            match status {
                Status::StreamEnd => {
                    // §7.2.3.5: a block may be marked as the last one. A new stream begins after it.
                    self.ends += 1;
                    if self.ends > MAX_ENDS {
                        return Err(ProtocolError::InvalidDeflate);
                    }
                    state.reset(false);
                    self.dangling = !input.is_empty();
                    full = false;
                }
                Status::Ok | Status::BufError if used == 0 && made == 0 && !input.is_empty() => {
                    return Err(ProtocolError::InvalidDeflate);
                }
                Status::Ok | Status::BufError => {}
            }
            step = step.saturating_mul(2).min(MAX_STEP);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contexts of one of many connections of a server.
    fn connection(deflate: Deflate) -> PerMessage {
        let agreed = DeflateAgreement {
            server_no_context_takeover: !deflate.takeover,
            server_max_window_bits: deflate.window_bits,
            ..DeflateAgreement::default()
        };
        PerMessage::new(Role::Server, deflate, agreed)
    }

    fn inflated(compressed: &[u8]) -> Vec<u8> {
        let mut peer =
            PerMessage::new(Role::Client, Deflate::default(), DeflateAgreement::default());
        peer.inflate(compressed, true, usize::MAX).unwrap().to_vec()
    }

    #[test]
    fn what_goes_to_many_is_compressed_once_for_those_that_compress_alike() {
        let text = b"all work and no play ".repeat(1000);
        let shared = Shared::default();
        let send = |deflate| connection(deflate).compress_shared(&text, &shared).unwrap();
        let usual = Deflate::default();
        let first = send(usual);
        assert_eq!(send(usual).as_ptr(), first.as_ptr());
        assert_eq!(send(usual.threshold(10)).as_ptr(), first.as_ptr());
        let others = [usual.level(9), usual.window_bits(9), usual.takeover(true)].map(send);
        for other in &others {
            assert_ne!(other.as_ptr(), first.as_ptr());
            assert_eq!(inflated(other), text);
        }
        assert_eq!(inflated(&first), text);
        assert_eq!(send(usual).as_ptr(), first.as_ptr(), "whatever the others did");
    }

    #[test]
    fn who_does_not_compress_does_not_share_what_others_have_compressed() {
        let text = vec![b'a'; 100];
        let shared = Shared::default();
        let usual = Deflate::default().threshold(100);
        assert!(connection(usual).compress_shared(&text, &shared).is_some());
        assert!(connection(usual.threshold(101)).compress_shared(&text, &shared).is_none());
        let mut silent = connection(usual);
        silent.enabled = false;
        assert!(silent.compress_shared(&text, &shared).is_none());
        let agreed = DeflateAgreement { server_max_window_bits: 8, ..Default::default() };
        let mut narrow = PerMessage::new(Role::Server, usual, agreed);
        assert!(narrow.compress_shared(&text, &shared).is_none());
    }

    #[test]
    fn nobody_waits_for_those_who_compress_otherwise() {
        let text = b"all work and no play ".repeat(1000);
        let shared = Shared::default();
        let usual = Deflate::default();
        let slow = shared.once((Compression::new(9), 15));
        slow.get_or_init(|| connection(usual).compress_shared(&text, &shared));
        let all = shared.0.lock().unwrap();
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn what_does_not_become_shorter_is_found_out_once() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let noise: Vec<u8> = (0..2000).map(|_| random()).collect();
        let shared = Shared::default();
        for _ in 0..3 {
            assert_eq!(connection(Deflate::default()).compress_shared(&noise, &shared), None);
        }
        assert_eq!(shared.0.lock().unwrap().len(), 1);
    }
}
