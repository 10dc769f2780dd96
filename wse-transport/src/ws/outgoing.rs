//! The queue of bytes to be written.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::buffers::{SIZE, lend, take_back};
use crate::frame::{FrameHeader, apply_mask};

/// Payloads up to this length are copied behind their header, so that more frames fit into one write; longer ones are
/// written from where they are. In bytes.
pub(super) const COPY: usize = 4 * 1024;

/// The most pieces in one vectored write.
const PIECES: usize = 32;

/// Frames in the order of writing: first the pieces, then the tail.
#[derive(Debug)]
pub(super) struct Outgoing {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    /// The number of bytes in all.
    len: usize,
    /// Whether the transport writes several pieces as fast as one.
    vectored: bool,
    /// Whether the transport accepted bytes since the last call of `take_progress`.
    progressed: bool,
}

impl Outgoing {
    pub(super) fn new(vectored: bool) -> Self {
        Self { pieces: VecDeque::new(), tail: BytesMut::new(), len: 0, vectored, progressed: false }
    }

    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progressed)
    }

    /// The number of queued bytes.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Appends a frame; the header has the length of the payload. Masks the payload if the header has a mask.
    #[inline]
    pub(super) fn push(&mut self, header: FrameHeader, payload: Bytes) {
        if payload.len() <= COPY || !self.vectored {
            return self.push_copy(header, &payload);
        }
        self.begin(header, 0);
        self.len += payload.len();
        let payload = match header.mask {
            None => payload,
            // In place if no other handle shares the bytes.
            Some(mask) => match payload.try_into_mut() {
                Ok(mut payload) => {
                    apply_mask(&mut payload, mask, 0);
                    payload.freeze()
                }
                Err(payload) => {
                    self.tail.put_slice(&payload);
                    return self.mask(payload.len(), mask);
                }
            },
        };
        self.pieces.push_back(self.tail.split().freeze());
        self.pieces.push_back(payload);
    }

    /// As [`push`](Self::push), with a copy of the payload.
    #[inline]
    pub(super) fn push_copy(&mut self, header: FrameHeader, payload: &[u8]) {
        self.begin(header, payload.len());
        self.tail.put_slice(payload);
        self.len += payload.len();
        if let Some(mask) = header.mask {
            self.mask(payload.len(), mask);
        }
    }

    /// Appends a header, and reserves space for a payload of this length behind it.
    #[inline]
    fn begin(&mut self, header: FrameHeader, payload: usize) {
        let need = FrameHeader::MAX_LEN + payload;
        if self.tail.is_empty() {
            lend(&mut self.tail, need.min(SIZE));
        }
        self.tail.reserve(need);
        let before = self.tail.len();
        header.encode(&mut self.tail);
        self.len += self.tail.len() - before;
    }

    /// Masks this many bytes at the end.
    fn mask(&mut self, payload: usize, mask: [u8; 4]) {
        let start = self.tail.len() - payload;
        apply_mask(&mut self.tail[start..], mask, 0);
    }

    /// Writes all bytes, and flushes the transport.
    pub(super) fn poll_flush<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.len > 0 {
            let written = if self.pieces.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, &self.tail))?
            } else {
                let mut slices = [IoSlice::new(&[]); PIECES];
                let pieces = self.pieces.iter().map(|piece| &piece[..]).chain([&self.tail[..]]);
                let mut count = 0;
                for (slice, piece) in slices.iter_mut().zip(pieces) {
                    *slice = IoSlice::new(piece);
                    count += 1;
                }
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written(written);
        }
        take_back(&mut self.tail);
        Pin::new(io).poll_flush(cx)
    }

    fn written(&mut self, mut count: usize) {
        self.len -= count;
        self.progressed = true;
        while let Some(piece) = self.pieces.front_mut() {
            if count < piece.len() {
                return piece.advance(count);
            }
            count -= piece.len();
            self.pieces.pop_front();
        }
        // Long queues are rare, and idle connections many.
        self.pieces.shrink_to(0);
        self.tail.advance(count);
    }

    /// The capacity, in bytes.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.tail.capacity() + self.pieces.capacity()
    }

    /// All bytes in one piece.
    pub(super) fn into_bytes(self) -> BytesMut {
        let mut all = BytesMut::with_capacity(self.len);
        for piece in &self.pieces {
            all.extend_from_slice(piece);
        }
        all.unsplit(self.tail);
        all
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, IoSlice},
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;
    use tokio::io::AsyncWrite;
    use tokio_util::codec::Encoder;

    use super::{COPY, Outgoing};
    use crate::ws::{Codec, Frame, Limits, Opcode};

    /// Accepts this many bytes at a time, and every other time none.
    struct Narrow {
        each: usize,
        vectored: bool,
        ready: bool,
        taken: Vec<u8>,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.ready = !self.ready;
            if self.ready {
                return Poll::Pending;
            }
            let count = data.len().min(self.each);
            self.taken.extend_from_slice(&data[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            assert!(self.vectored, "not asked for");
            let data = slices.iter().flat_map(|it| it.iter().copied()).take(self.each);
            let data: Vec<u8> = data.collect();
            self.as_mut().poll_write(cx, &data)
        }

        fn is_write_vectored(&self) -> bool {
            self.vectored
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

        /// Short and long payloads, owned and shared, masked and not, and writes that end anywhere.
        #[test]
        fn what_is_written_is_what_the_codec_encodes(
            frames in proptest::collection::vec(
                (proptest::sample::select(vec![0, 1, 125, 126, COPY, COPY + 1, 9_000]), any::<bool>()),
                0..20,
            ),
            between in proptest::collection::vec(any::<bool>(), 20),
            each in proptest::sample::select(vec![100, 1_000, 5_000, 1_000_000]),
            vectored in any::<bool>(),
            masked in any::<bool>(),
        ) {
            let codec = || match masked {
                true => Codec::client(Limits::default(), || [1, 2, 3, 4]),
                false => Codec::server(Limits::default()),
            };
            let (mut codec, mut plain) = (codec(), codec());
            let mut io = Narrow { each, vectored, ready: false, taken: Vec::new() };
            let (mut out, mut expected) = (Outgoing::new(io.is_write_vectored()), BytesMut::new());
            let mut cx = Context::from_waker(Waker::noop());
            let mut held: Vec<Bytes> = Vec::new();
            for (i, ((len, shared), flush)) in frames.into_iter().zip(between).enumerate() {
                let frame = Frame::new(Opcode::Binary, vec![i as u8; len]);
                held.extend(shared.then(|| frame.payload.clone()));
                plain.encode(Frame::new(Opcode::Binary, vec![i as u8; len]), &mut expected).unwrap();
                let (header, payload) = codec.prepare(frame).unwrap();
                out.push(header, payload);
                prop_assert_eq!(out.len() + io.taken.len(), expected.len());
                if flush {
                    let _ = out.poll_flush(&mut io, &mut cx).map(Result::unwrap);
                }
            }
            for payload in &held {
                prop_assert!(payload.windows(2).all(|it| it[0] == it[1]), "masked under its owner");
            }
            while out.poll_flush(&mut io, &mut cx).map(Result::unwrap).is_pending() {}
            prop_assert_eq!(out.len(), 0);
            prop_assert!(io.taken == expected);
            prop_assert_eq!(out.capacity(), 0);
        }
    }
}
