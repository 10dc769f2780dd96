//! [`Batches`]: the batches (§6) of one connection that are not answered yet.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use bytes::BytesMut;
use wse_proto::{CodecError, Envelope, Fault, Format, Head, Stamp, Unread};

use super::{envelope, format::JsonRpcFormat};

/// The most members that want an answer, in all open batches. A batch is held until its last answer is there.
const MAX_MEMBERS: usize = 1024;

/// The most bytes of answers that are held for all batches, because no send queue counts them. An answer beyond that is
/// replaced by an error.
const MAX_BYTES: usize = 16 << 20;

/// The batches that are not answered yet.
#[derive(Default)]
pub(super) struct Batches {
    open: HashMap<u64, Batch>,
    /// The calls of open batches. A call stays until its whole batch is answered, because until then the peer has no answer
    /// and the stamp is in use.
    calls: HashMap<Stamp, Call>,
    /// The batch of each invalid member whose error report was not written yet, in order.
    reports: VecDeque<u64>,
    /// How many members of open batches want an answer.
    members: usize,
    /// How many bytes of answers are held.
    bytes: usize,
    serial: u64,
}

struct Call {
    batch: u64,
    answered: bool,
}

#[derive(Default)]
struct Batch {
    stamps: Vec<Stamp>,
    members: usize,
    unanswered: usize,
    /// The array of answers so far, without the closing bracket.
    array: Vec<u8>,
}

impl Batch {
    /// How many bytes of answers it holds. Each answer has one delimiter before it, which does not count.
    fn bytes(&self) -> usize {
        self.array.len() - self.members
    }
}

/// Does not show the data of the application.
impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("open", &self.open.len())
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

/// The stamp of a call, also of one that cannot be read.
pub(super) fn call_of(member: &Result<Envelope, CodecError>) -> Option<&Stamp> {
    match member {
        Ok(Envelope { head: Head::Call { stamp, .. }, .. }) => Some(stamp),
        Ok(_) => None,
        Err(error) => match error.unread() {
            Some(Unread::Call(stamp)) => Some(stamp),
            _ => None,
        },
    }
}

/// Whether a member wants an answer: a call, and anything that cannot be read and is not an answer.
fn wants_answer(member: &Result<Envelope, CodecError>) -> bool {
    match member {
        Ok(envelope) => matches!(envelope.head, Head::Call { .. }),
        Err(error) => !matches!(error.unread(), Some(Unread::Answer(_))),
    }
}

/// The error for a call that uses the id of another call.
pub(super) fn repeated() -> CodecError {
    CodecError::shape("the id", "used by a call whose batch is not answered yet")
}

impl Batches {
    /// Whether a call with this stamp is in a batch that is not answered yet.
    pub(super) fn contains(&self, stamp: &Stamp) -> bool {
        self.calls.contains_key(stamp)
    }

    /// Opens a batch, if any of its members want an answer. A call with an id that is in use becomes an error.
    ///
    /// # Errors
    ///
    /// Limit when there are too many members. Nothing is changed then.
    pub(super) fn open(
        &mut self,
        members: &mut [Result<Envelope, CodecError>],
    ) -> Result<(), CodecError> {
        let count = members.iter().filter(|member| wants_answer(member)).count();
        // §6: nothing at all is returned when there are no answers.
        if count == 0 {
            return Ok(());
        }
        if self.members + count > MAX_MEMBERS {
            return Err(CodecError::limit("the batch", "too many calls are not answered yet"));
        }
        self.serial += 1;
        let serial = self.serial;
        let mut batch = Batch { members: count, unanswered: count, ..Batch::default() };
        for member in members {
            if let Some(stamp) = call_of(member) {
                if self.contains(stamp) {
                    *member = Err(repeated());
                } else {
                    let stamp = detached(stamp);
                    batch.stamps.push(stamp.clone());
                    self.calls.insert(stamp, Call { batch: serial, answered: false });
                }
            }
            if wants_answer(member) && call_of(member).is_none() {
                self.reports.push_back(serial);
            }
        }
        self.members += count;
        self.open.insert(serial, batch);
        Ok(())
    }

    /// Takes the answer that was written at `start`, if it belongs to a batch. With the last answer of a batch, it appends
    /// all of them as one array.
    pub(super) fn take_answer(&mut self, head: &Head, start: usize, out: &mut BytesMut) {
        let serial = match head {
            Head::Reply { stamp, .. } | Head::Fault { stamp, .. } => {
                match self.calls.get_mut(stamp).filter(|call| !call.answered) {
                    Some(call) => {
                        call.answered = true;
                        call.batch
                    }
                    None => return,
                }
            }
            // The error reports for a batch are written before another message is received.
            Head::ErrorReport => match self.reports.pop_front() {
                Some(serial) => serial,
                None => return,
            },
            _ => return,
        };
        let Some(batch) = self.open.get_mut(&serial) else { return };
        batch.array.push(if batch.array.is_empty() { b'[' } else { b',' });
        let before = batch.array.len();
        let answer = out.get(start..).unwrap_or_default();
        match head {
            Head::Reply { stamp, .. } | Head::Fault { stamp, .. }
                if self.bytes + answer.len() > MAX_BYTES =>
            {
                batch.array.extend_from_slice(&too_large(stamp));
            }
            _ => batch.array.extend_from_slice(answer),
        }
        // In JSON a line break is white space. Over a byte stream it would end the array, and all answers be lost.
        for byte in batch.array.get_mut(before..).unwrap_or_default() {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.bytes += batch.array.len() - before;
        out.truncate(start);
        batch.unanswered -= 1;
        if batch.unanswered == 0
            && let Some(batch) = self.open.remove(&serial)
        {
            out.extend_from_slice(&batch.array);
            out.extend_from_slice(b"]");
            self.members -= batch.members;
            self.bytes -= batch.bytes();
            for stamp in &batch.stamps {
                self.calls.remove(stamp);
            }
        }
    }
}

/// Replaces an answer.
fn too_large(stamp: &Stamp) -> BytesMut {
    let mut out = BytesMut::new();
    let fault = Fault::new("-32000").message("the answers of the batch are too large");
    let written = envelope::write(&Head::fault(stamp.clone()), &mut out, |out| {
        JsonRpcFormat.encode_fault(&fault, out);
        Ok(())
    });
    debug_assert!(written.is_ok(), "{written:?}");
    out
}

/// The same stamp, without a reference to its message, which may be large.
fn detached(stamp: &Stamp) -> Stamp {
    match stamp {
        Stamp::Text(text) => Stamp::from(text.as_str()),
        Stamp::Int(_) | Stamp::Whole(..) => stamp.clone(),
    }
}
