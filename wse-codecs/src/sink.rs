//! Writing into a [`BytesMut`] through [`io::Write`].

use std::io;

use bytes::BytesMut;

/// How much room is made at a time. Clearing it costs little; reserving for each piece costs a lot.
const ROOM: usize = 256;

/// Appends all that is written. Serializers write a few bytes at a time, for which `BufMut::writer`
/// and even `extend_from_slice` take as long as the serializing: here a piece is a bounds check and
/// a copy. The buffer is taken out of its place, which saves a step on the way to it, and put back
/// with its true length when this is dropped.
pub(crate) struct Sink<'a> {
    buffer: BytesMut,
    len: usize,
    place: &'a mut BytesMut,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(place: &'a mut BytesMut) -> Self {
        Self { len: place.len(), buffer: std::mem::take(place), place }
    }

    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end > self.buffer.len() {
            self.grow(end);
        }
        if let Some(room) = self.buffer.get_mut(self.len..end) {
            match bytes {
                // The lengths of a CBOR head, of which most pieces are: a call to copy so little
                // costs many times what it does.
                [] | [_] | [_, _] | [_, _, _, _] | [_, _, _, _, _, _, _, _] => {
                    for (to, from) in room.iter_mut().zip(bytes) {
                        *to = *from;
                    }
                }
                _ => room.copy_from_slice(bytes),
            }
        }
        self.len = end;
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        // Room to spare is no reason to allocate.
        let spare = self.buffer.capacity().saturating_sub(end);
        let room = if spare > 0 { spare.min(ROOM) } else { ROOM };
        self.buffer.resize(end + room, 0);
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        self.buffer.truncate(self.len);
        std::mem::swap(self.place, &mut self.buffer);
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
