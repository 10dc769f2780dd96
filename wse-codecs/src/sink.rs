//! Writing into a [`BytesMut`] through [`io::Write`].

use std::io;

use bytes::BytesMut;

/// How much room is made at a time. Clearing it costs little; reserving for each piece costs a lot.
const ROOM: usize = 256;

/// Appends all that is written. Serializers write a few bytes at a time, for which `BufMut::writer`
/// and even `extend_from_slice` take as long as the serializing: here a piece is a bounds check and
/// a copy. The buffer gets its true length when this is dropped.
pub(crate) struct Sink<'a> {
    out: &'a mut BytesMut,
    len: usize,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(out: &'a mut BytesMut) -> Self {
        Self { len: out.len(), out }
    }

    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end > self.out.len() {
            self.grow(end);
        }
        if let Some(room) = self.out.get_mut(self.len..end) {
            // Most pieces are one byte, and a call to copy it is many times its cost.
            match bytes {
                [] => {}
                [byte] => room[0] = *byte,
                _ => room.copy_from_slice(bytes),
            }
        }
        self.len = end;
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        self.out.resize(end + ROOM, 0);
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        self.out.truncate(self.len);
    }
}

impl io::Write for Sink<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
