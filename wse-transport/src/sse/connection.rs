//! Writes a stream to a connection.

use std::{collections::VecDeque, future::poll_fn, io::IoSlice};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{body::EventBody, error::End};
use crate::linger::linger;

/// The most bytes of one write, which the peer must accept within the write timeout.
const BATCH: usize = 64 * 1024;

/// The most bytes that a peer may send behind its request; none are expected.
const MAX_STRAY: usize = 16 * 1024;

/// The framing of the body (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Chunks (RFC 9112 §7.1), with which proxies and clients can distinguish an end from a failure.
    Chunked,
    /// The end of the connection, for HTTP/1.0.
    UntilClose,
}

/// Writes the bytes of `body` until the stream or the connection ends.
pub(super) async fn run<T>(io: T, mut body: EventBody, framing: Framing, leftover: usize)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let patience = body.shared().write_timeout();
    let (mut reader, mut writer) = tokio::io::split(io);
    let end = tokio::select! {
        biased;
        end = left(&mut reader, leftover) => end,
        written = write(&mut writer, &mut body, framing) => match written {
            Ok(()) => End::Closed,
            Err(end) => end,
        },
    };
    let is_whole = matches!(end, End::Closed);
    body.shared().end(end);
    if is_whole {
        let _ = timeout(patience, linger(&mut reader.unsplit(writer))).await;
    }
}

/// Reads until the peer ends its side.
async fn left<R: AsyncRead + Unpin>(reader: &mut R, mut stray: usize) -> End {
    let mut ignored = [0; 256];
    while stray <= MAX_STRAY {
        match reader.read(&mut ignored).await {
            Ok(0) => return End::Left,
            Ok(len) => stray += len,
            Err(error) => return error.into(),
        }
    }
    End::Chatter
}

async fn write<W>(writer: &mut W, body: &mut EventBody, framing: Framing) -> Result<(), End>
where
    W: AsyncWrite + Unpin,
{
    let patience = body.shared().write_timeout();
    while let Some(first) = poll_fn(|cx| body.poll_piece(cx, BATCH)).await {
        let mut batch = Batch::new(first?);
        while let Some(piece) = body.shared().pop(BATCH.saturating_sub(batch.len)) {
            batch.push(piece);
        }
        let len = batch.len;
        if framing == Framing::Chunked {
            batch.frame();
        }
        write_batch(writer, batch, patience).await?;
        body.shared().wrote(len);
    }
    if framing == Framing::Chunked {
        write_batch(writer, Batch::new(Bytes::from_static(b"0\r\n\r\n")), patience).await?;
    }
    Ok(())
}

async fn write_batch<W>(
    writer: &mut W,
    mut batch: Batch,
    patience: std::time::Duration,
) -> Result<(), End>
where
    W: AsyncWrite + Unpin,
{
    let writing = async {
        writer.write_all_buf(&mut batch).await?;
        writer.flush().await
    };
    timeout(patience, writing).await.map_err(|_| End::Slow)?.map_err(End::from)
}

/// Pieces to be written together without a copy.
struct Batch {
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Batch {
    fn new(first: Bytes) -> Self {
        Self { len: first.len(), pieces: VecDeque::from([first]) }
    }

    fn push(&mut self, piece: Bytes) {
        self.len += piece.len();
        self.pieces.push_back(piece);
    }

    /// Turns the pieces into a chunk. They must not be empty: an empty chunk is the last one.
    fn frame(&mut self) {
        let head = format!("{:x}\r\n", self.len);
        self.len += head.len();
        self.pieces.push_front(head.into());
        self.push(Bytes::from_static(b"\r\n"));
    }
}

impl Buf for Batch {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let both = slices.iter_mut().zip(&self.pieces);
        both.map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.len = self.len.saturating_sub(count);
        while let Some(front) = self.pieces.front_mut() {
            if front.len() > count {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.pieces.pop_front();
        }
    }
}
