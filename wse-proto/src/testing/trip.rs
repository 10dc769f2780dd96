//! One message, packed and unpacked again.

use bytes::{Bytes, BytesMut};

use super::guard::{NO_PANIC, guard};
use super::report::{Failure, Section, envelope};
use super::tester::Tester;
use crate::{
    CodecError, Envelope, Fault, Format, Head, MessageKind, Packed, Protocol, Stamp, Utf8,
};

/// Unpacks as an endpoint does: members of a batch first, one message otherwise.
pub(super) fn unpack<P: Protocol>(
    protocol: &P,
    message: &Bytes,
) -> Result<Vec<Result<Envelope, CodecError>>, String> {
    guard(|| {
        let packed = match protocol.info().kind() {
            MessageKind::Binary => Packed::Binary(message),
            MessageKind::Text => Utf8::check(message).map_or(Packed::Binary(message), Packed::Text),
        };
        protocol.unpack_batch(packed).unwrap_or_else(|| vec![protocol.unpack(packed)])
    })
}

/// What became of a payload.
enum Carried {
    Same,
    /// Not quite the same, but allowed.
    Noted(&'static str),
    Changed,
}

impl<P: Protocol> Tester<'_, P> {
    /// Packs a message for one connection.
    pub(super) fn pack(&self, head: &Head, payload: &[u8]) -> Result<Bytes, String> {
        let connection = self.protocol.clone();
        guard(|| {
            let mut out = BytesMut::new();
            connection.pack(head, payload, &mut out);
            out.freeze()
        })
    }

    /// Packs a message, unpacks it at another connection, and compares. `advice` is shown when the head is not read
    /// as it was written.
    pub(super) fn carry(
        &self,
        section: &mut Section,
        head: &Head,
        payload: &[u8],
        advice: &'static str,
    ) {
        section.case();
        match self.trip(head, payload, advice) {
            Ok(notes) => notes.into_iter().for_each(|note| section.note(note)),
            Err(failure) => section.fail(failure.with_sent(head, payload)),
        }
    }

    /// The notes about a message that was carried.
    pub(super) fn trip(
        &self,
        head: &Head,
        payload: &[u8],
        advice: &'static str,
    ) -> Result<Vec<&'static str>, Failure> {
        let written = self.pack(head, payload).map_err(|panic| {
            Failure::new(format!("`pack` panics: {panic}")).with_advice(NO_PANIC)
        })?;
        if written.is_empty() {
            return Err(Failure::new("nothing is written").with_advice(advice));
        }
        let failure = |problem: String| Failure::new(problem).with_written(&written);
        if self.info.kind() == MessageKind::Text && std::str::from_utf8(&written).is_err() {
            let problem = "the protocol declares text, but what it wrote is not UTF-8".to_owned();
            return Err(failure(problem).with_advice(
                "use a payload format that is text, or declare the protocol with ProtocolInfo::binary",
            ));
        }
        let mut read = unpack(&self.protocol.clone(), &written)
            .map_err(|panic| failure(format!("`unpack` panics: {panic}")).with_advice(NO_PANIC))?;
        let (read, others) = (read.pop(), read.len());
        let read = match read {
            Some(Ok(read)) if others == 0 => read,
            Some(Err(error)) if others == 0 => {
                let problem = "`unpack` refuses what `pack` wrote".to_owned();
                return Err(failure(problem).with_read(chain(&error)).with_advice(advice));
            }
            last => {
                let members = others + usize::from(last.is_some());
                let problem = format!("one message is read as a batch of {members}");
                return Err(failure(problem).with_advice("return None from `unpack_batch` for it"));
            }
        };
        let mut notes = Vec::new();
        let expected = self.check.expected(head.clone());
        if read.head != expected {
            if read.head != with_text_stamp(expected.clone()) {
                let problem = match (word(head), word(&read.head)) {
                    (sent, again) if sent == again => {
                        let part = match read.head.stamp() == expected.stamp() {
                            true => "head",
                            false => "stamp",
                        };
                        format!("the {part} of {sent} is changed")
                    }
                    (sent, other) => format!("{sent} is read as {other}"),
                };
                return Err(failure(problem).with_read(envelope(&read)).with_advice(advice));
            }
            notes.push("integer stamps are read as texts");
        }
        match self.carried(head, payload, &read.payload) {
            Carried::Same => {}
            Carried::Noted(note) => notes.push(note),
            Carried::Changed => {
                let problem = format!("the payload of {} is changed", word(head));
                return Err(failure(problem)
                    .with_read(envelope(&read))
                    .with_advice("write the payload as it is, and return all of it"));
            }
        }
        if read.payload.len() > 4096 && !shares(&written, &read.payload) {
            notes.push("`unpack` copies the payload: a slice of the message is faster");
        }
        Ok(notes)
    }

    fn carried(&self, head: &Head, sent: &[u8], read: &Bytes) -> Carried {
        if sent == read {
            return Carried::Same;
        }
        let format = self.protocol.format();
        let sent = Bytes::copy_from_slice(sent);
        let same = match head {
            // They have none.
            Head::Receipt { .. } | Head::Cancel { .. } => true,
            // A fault that cannot be read is a fault all the same.
            Head::Fault { .. } if sent.is_empty() => true,
            Head::Hi | Head::HiWithReceipts | Head::Renew => {
                match guard(|| [format.decode_hi(&sent), format.decode_hi(read)]) {
                    Ok([Ok(sent), Ok(read)]) => sent == read,
                    _ => false,
                }
            }
            Head::Fault { .. } | Head::ErrorReport => {
                match guard(|| [format.decode_fault(&sent), format.decode_fault(read)]) {
                    Ok([Ok(sent), Ok(read)]) => {
                        let report = matches!(head, Head::ErrorReport);
                        return faults(&sent, &read, report);
                    }
                    _ => false,
                }
            }
            Head::Ping | Head::Pong => {
                matches!(
                    guard(|| [format.decode_serial(&sent), format.decode_serial(read)]),
                    Ok([Some(sent), Some(read)]) if sent == read
                )
            }
            Head::Session | Head::Seen | Head::Drain | Head::Expires | Head::Renewed => {
                matches!(
                    guard(|| [format.decode_value(&sent), format.decode_value(read)]),
                    Ok([Some(sent), Some(read)]) if sent == read
                )
            }
            _ if sent.is_empty() && *read == self.samples.map => {
                return Carried::Noted("an absent payload may be read as an empty map");
            }
            _ => false,
        };
        if same { Carried::Same } else { Carried::Changed }
    }
}

/// Whether a fault is the same, as far as it has to be.
fn faults(sent: &Fault, read: &Fault, report: bool) -> Carried {
    if sent.code != read.code && !report || sent.message.is_some() && sent.message != read.message {
        Carried::Changed
    } else if sent.code != read.code {
        Carried::Noted("error reports lose their code")
    } else if sent.details != read.details {
        match read.details.is_empty() {
            true => Carried::Noted("faults lose their details"),
            false => Carried::Changed,
        }
    } else if sent.message != read.message {
        Carried::Noted("a fault without a message is read with one")
    } else {
        Carried::Same
    }
}

/// As [`faults`], for the format alone: `Err` when it is changed.
pub(super) fn same_fault(sent: &Fault, read: &Fault) -> Result<Option<&'static str>, ()> {
    match faults(sent, read, false) {
        Carried::Same => Ok(None),
        Carried::Noted(note) => Ok(Some(note)),
        Carried::Changed => Err(()),
    }
}

/// The same head with its integer stamp as a text.
fn with_text_stamp(mut head: Head) -> Head {
    match &mut head {
        Head::Message { receipt: Some(stamp), .. }
        | Head::Call { stamp, .. }
        | Head::Cancel { stamp }
        | Head::Reply { stamp, .. }
        | Head::Fault { stamp, .. }
        | Head::Receipt { stamp, .. } => *stamp = Stamp::Text(stamp.to_text()),
        _ => {}
    }
    head
}

/// Whether the payload is a slice of the message.
fn shares(message: &Bytes, payload: &Bytes) -> bool {
    let (message, payload) = (message.as_ptr_range(), payload.as_ptr_range());
    message.start <= payload.start && payload.end <= message.end
}

pub(super) fn word(head: &Head) -> &'static str {
    match head {
        Head::Hi | Head::HiWithReceipts => "a greeting",
        Head::Challenge => "a challenge",
        Head::Welcome => "a welcome",
        Head::Message { receipt: None, .. } => "a message",
        Head::Message { reliable: false, .. } => "a message that wants a receipt",
        Head::Message { .. } => "a reliable message",
        Head::Call { .. } => "a call",
        Head::Cancel { .. } => "a cancellation",
        Head::Reply { .. } => "a reply",
        Head::Fault { .. } => "a fault",
        Head::Receipt { .. } => "a receipt",
        Head::Ping => "a ping",
        Head::Pong => "a pong",
        Head::ErrorReport => "an error report",
        Head::Session => "what is said of a session",
        Head::Seen => "how much has been processed",
        Head::Drain => "a request to come back",
        Head::Expires => "when credentials expire",
        Head::Renew => "new credentials",
        Head::Renewed => "that new credentials are accepted",
    }
}

/// An error and its causes.
pub(super) fn chain(error: &CodecError) -> String {
    let mut text = format!("error: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
