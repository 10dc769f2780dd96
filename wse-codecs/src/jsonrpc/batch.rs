//! [`Batches`]: the batches (§6) of one connection that are not answered yet.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use bytes::BytesMut;
use wse_proto::{CodecError, Envelope, Fault, Format, Head, Stamp};

use super::{RpcJson, envelope};

/// How many members that want an answer there are at most, over all batches: what a batch holds back, its
/// answers included, is kept until the last of them is there.
const MAX_MEMBERS: usize = 1024;

/// How many bytes of answers are kept at most, over all batches. No send queue knows of them before the last answer
/// is there; what does not fit is answered by an error instead.
const MAX_BYTES: usize = 16 << 20;

/// The batches that are not answered yet.
#[derive(Default)]
pub(super) struct Batches {
    open: HashMap<u64, Batch>,
    /// The batches of the calls that these stamps are in. They stay until the whole batch is answered:
    /// before that the peer has no answer either.
    calls: HashMap<Stamp, Call>,
    /// The batches of the invalid members that are not complained about yet, in order.
    complaints: VecDeque<u64>,
    /// Those of all open batches that get an answer.
    members: usize,
    /// The bytes of their answers so far.
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
    /// What is written so far of the array, without its end.
    array: Vec<u8>,
}

impl Batch {
    /// Those of the answers: of what is between them, each has one byte before it.
    fn bytes(&self) -> usize {
        self.array.len() - self.members
    }
}

/// Without what is kept of the application's.
impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("open", &self.open.len())
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a call whose id is that of another one.
pub(super) fn repeated() -> CodecError {
    CodecError::shape("the id", "that of a call whose batch is not answered yet")
}

impl Batches {
    /// Whether a call of this stamp is in a batch that is not answered yet.
    pub(super) fn awaits(&self, stamp: &Stamp) -> bool {
        self.calls.contains_key(stamp)
    }

    /// Takes note of the members of a batch that want an answer. Calls with an id that is taken become
    /// invalid; the first one stands.
    ///
    /// # Errors
    ///
    /// Limit when they are too many; then nothing has happened.
    pub(super) fn take(
        &mut self,
        members: &mut [Result<Envelope, CodecError>],
    ) -> Result<(), CodecError> {
        let wants_answer = |member: &&Result<Envelope, CodecError>| {
            matches!(member, Err(_) | Ok(Envelope { head: Head::Call { .. }, .. }))
        };
        let count = members.iter().filter(wants_answer).count();
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
            if let Ok(Envelope { head: Head::Call { stamp, .. }, .. }) = member {
                if self.awaits(stamp) {
                    *member = Err(repeated());
                } else {
                    let stamp = apart(stamp);
                    batch.stamps.push(stamp.clone());
                    self.calls.insert(stamp, Call { batch: serial, answered: false });
                }
            }
            if member.is_err() {
                self.complaints.push_back(serial);
            }
        }
        self.members += count;
        self.open.insert(serial, batch);
        Ok(())
    }

    /// Keeps the answer that was written from `start` on, if it belongs to a batch; its last one brings them
    /// all, as one array.
    pub(super) fn settle(&mut self, head: &Head, start: usize, out: &mut BytesMut) {
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
            // Those for a batch are said before anything else is received.
            Head::Complaint => match self.complaints.pop_front() {
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

/// In place of an answer.
fn too_large(stamp: &Stamp) -> BytesMut {
    let mut out = BytesMut::new();
    let fault = Fault::new("-32000").message("the answers of the batch are too large");
    let written = envelope::write(&Head::fault(stamp.clone()), &mut out, |out| {
        RpcJson.encode_fault(&fault, out);
        Ok(())
    });
    debug_assert!(written.is_ok(), "{written:?}");
    out
}

/// The same stamp, not as a slice of its message, which may be large.
fn apart(stamp: &Stamp) -> Stamp {
    match stamp {
        Stamp::Text(text) => Stamp::from(text.as_str()),
        Stamp::Int(int) => Stamp::Int(*int),
    }
}
