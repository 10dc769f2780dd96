//! What waits to be written.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::{
    buffers::{SIZE, lend, take_back},
    frame::FrameHeader,
    mask::apply_mask,
};

/// Payloads up to this length are copied behind their header, in bytes: more frames fit into one
/// write. Longer ones are written from where they are.
pub(super) const COPY: usize = 4 * 1024;

/// How many pieces go into one vectored write.
const PIECES: usize = 32;

/// Frames in the order in which they go out: first the pieces, then the tail.
#[derive(Debug)]
pub(super) struct Outgoing {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    /// Bytes in all.
    len: usize,
    /// Whether the transport writes several pieces as fast as one.
    vectored: bool,
    /// Whether the transport took something since this was last asked.
    took: bool,
}

impl Outgoing {
    pub(super) fn new(vectored: bool) -> Self {
        Self { pieces: VecDeque::new(), tail: BytesMut::new(), len: 0, vectored, took: false }
    }

    pub(super) fn take_took(&mut self) -> bool {
        std::mem::take(&mut self.took)
    }

    /// Bytes that wait.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Appends a frame, whose header has the payload's length. Masks it if the header says so.
    #[inline]
    pub(super) fn push(&mut self, header: FrameHeader, payload: Bytes) {
        if payload.len() <= COPY || !self.vectored {
            return self.push_copy(header, &payload);
        }
        self.begin(header, 0);
        self.len += payload.len();
        let payload = match header.mask {
            None => payload,
            // In place if nobody else can see it.
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

    /// The same with a copy of the payload.
    #[inline]
    pub(super) fn push_copy(&mut self, header: FrameHeader, payload: &[u8]) {
        self.begin(header, payload.len());
        self.tail.put_slice(payload);
        self.len += payload.len();
        if let Some(mask) = header.mask {
            self.mask(payload.len(), mask);
        }
    }

    /// Appends a header, and makes room for so much behind it.
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

    /// Masks so many bytes at the end.
    fn mask(&mut self, payload: usize, mask: [u8; 4]) {
        let start = self.tail.len() - payload;
        apply_mask(&mut self.tail[start..], mask, 0);
    }

    /// Writes all of it, and flushes the transport.
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
        self.took = true;
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

    /// Room that is held, in bytes.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.tail.capacity() + self.pieces.capacity()
    }

    /// All of it in one piece.
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

    /// Takes so many bytes a time, every other time none.
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
