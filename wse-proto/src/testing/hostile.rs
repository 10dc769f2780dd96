//! Input that a peer may send to do harm.

use std::iter;

use bytes::{Bytes, BytesMut};

use super::cases::claimed;
use super::guard::{NO_PANIC, guard};
use super::report::{Failure, Report, Section, envelope};
use super::tester::Tester;
use super::trip::unpack;
use crate::{Envelope, Head, Protocol, Stamp};

/// In how many places of a message a byte is changed.
const PLACES: usize = 32;
/// How many messages of random bytes are tried, of each kind.
const RANDOM: usize = 2_000;
/// How deep messages are nested.
const DEPTH: usize = 100_000;

impl<P: Protocol> Tester<'_, P> {
    pub(super) fn hostile(&self, report: &mut Report) {
        let messages: Vec<Bytes> = claimed(self.info, &self.samples)
            .iter()
            .filter_map(|(head, payload)| self.pack(head, payload).ok())
            .filter(|message| !message.is_empty())
            .collect();
        report.add(self.truncated(&messages));
        report.add(self.changed(&messages));
        report.add(self.random(&messages));
        report.add(self.nested());
    }

    fn truncated(&self, messages: &[Bytes]) -> Section {
        let mut section = Section::new("hostile input: truncated messages");
        self.try_input(&mut section, &Bytes::new());
        for message in messages {
            for end in 1..message.len() {
                self.try_input(&mut section, &message.slice(..end));
                self.try_input(&mut section, &message.slice(end..));
            }
        }
        section
    }

    fn changed(&self, messages: &[Bytes]) -> Section {
        let mut section = Section::new("hostile input: changed bytes");
        for message in messages {
            let step = (message.len() / PLACES).max(1);
            // Lengths are in front; the end is where reading past it begins.
            let places = (0..PLACES / 2)
                .chain((PLACES / 2..message.len()).step_by(step))
                .chain(iter::once(message.len() - 1))
                .filter(|at| *at < message.len());
            for at in places {
                for byte in other_bytes(at, message[at]) {
                    let mut changed = message.to_vec();
                    changed[at] = byte;
                    self.try_input(&mut section, &changed.into());
                }
                // Lengths of two, four and eight bytes that lead far behind the end.
                for (width, byte) in [(2, 0xff), (4, 0xff), (8, 0xff), (4, 0x7f), (8, 0x7f)] {
                    let mut changed = message.to_vec();
                    changed.iter_mut().skip(at).take(width).for_each(|it| *it = byte);
                    self.try_input(&mut section, &changed.into());
                }
                let mut doubled = message.to_vec();
                doubled.insert(at, message[at]);
                self.try_input(&mut section, &doubled.into());
            }
        }
        section
    }

    fn random(&self, messages: &[Bytes]) -> Section {
        let mut section = Section::new("hostile input: random bytes");
        let mut random = XorShift(0x9e37_79b9_7f4a_7c15);
        for index in 0..RANDOM {
            let len = random.below(80);
            let bytes: BytesMut = (0..len).map(|_| random.below(256) as u8).collect();
            self.try_input(&mut section, &bytes.clone().freeze());
            let text: BytesMut = bytes.iter().map(|byte| b' ' + byte % 95).collect();
            self.try_input(&mut section, &text.clone().freeze());
            // Behind the beginning of a real one.
            if let Some(message) = messages.get(index % messages.len().max(1)) {
                let end = random.below(message.len() as u64 + 1) as usize;
                for tail in [&bytes, &text] {
                    let joined = [&message[..end], &tail[..]].concat();
                    self.try_input(&mut section, &joined.into());
                }
            }
        }
        section
    }

    fn nested(&self) -> Section {
        let mut section = Section::new("hostile input: deep nesting");
        let units: [&[u8]; 12] = [
            b"[",
            b"{\"a\":",
            b"[{\"a\":",
            b"(",
            b"<a>",
            // CBOR: an array of one, one without an end, a map, a tag.
            b"\x81",
            b"\x9f",
            b"\xa1\x00",
            b"\xc1",
            // MessagePack: an array of one, a map.
            b"\x91",
            b"\x81\x00",
            // Protocol Buffers: a group.
            b"\x0b",
        ];
        for unit in units {
            let nested = Bytes::from(unit.repeat(DEPTH));
            self.try_input(&mut section, &nested);
            if let Ok(message) = self.pack(&Head::message("note"), &nested) {
                self.try_input(&mut section, &message);
            }
            for before in [&b"[\"note\","[..], b"{\"type\":", b"\x83\x64note", b"\x93\xa4note"] {
                self.try_input(&mut section, &[before, &nested[..]].concat().into());
            }
        }
        section
    }

    /// Unpacks a message as an endpoint would, and answers it.
    fn try_input(&self, section: &mut Section, input: &Bytes) {
        if section.is_full() {
            return;
        }
        section.case();
        let members = match unpack(&self.protocol.clone(), input) {
            Ok(members) => members,
            Err(panic) => {
                return section.fail(
                    Failure::new(format!("unpacking panics: {panic}"))
                        .with_written(input)
                        .with_advice(NO_PANIC),
                );
            }
        };
        if members.len() > input.len().max(1) {
            let count = members.len();
            section.fail(
                Failure::new(format!("{} bytes are a batch of {count} messages", input.len()))
                    .with_written(input)
                    .with_advice("limit the size of batches"),
            );
        }
        for read in members.into_iter().flatten() {
            if let Err(failure) = self.consider(input, &read) {
                section.fail(failure.with_written(input).with_read(envelope(&read)));
            }
            if matches!(read.head, Head::Hi | Head::Fault { .. } | Head::Pong | Head::ErrorReport) {
                self.read_payload(section, &read.payload);
            }
        }
    }

    /// What was read is not larger than the message allows, and can be answered.
    fn consider(&self, input: &Bytes, read: &Envelope) -> Result<(), Failure> {
        let kind = read.head.kind_bytes(self.info.types()).len();
        let stamp = match read.head.stamp() {
            Some(Stamp::Text(text)) => text.len(),
            _ => 0,
        };
        // Some payloads are put together from several members of the message.
        let limit = 2 * input.len() + 256;
        if [read.payload.len(), kind, stamp].into_iter().any(|len| len > limit) {
            return Err(Failure::new("what is read is larger than the message")
                .with_advice("return slices of the message"));
        }
        let Head::Call { stamp, .. } = &read.head else { return Ok(()) };
        let reply = Head::reply(stamp.clone());
        let text = Stamp::Text(stamp.to_text());
        let same = |read: &Envelope| matches!(&read.head, Head::Reply { stamp: read, .. } if read == stamp || *read == text);
        let answer = self.pack(&reply, &self.samples.map).map(|answer| {
            guard(|| {
                unpack(&self.protocol.clone(), &answer)
                    .is_ok_and(|it| matches!(&it[..], [Ok(read)] if same(read)))
            })
        });
        match answer {
            Ok(Ok(true)) => Ok(()),
            _ => Err(Failure::new("the reply to this call does not come back under its stamp")
                .with_advice("refuse stamps that cannot be written")),
        }
    }
}

/// What the byte at this place is changed to: in front, where lengths and types are, to every other; behind, to
/// those that mean something in some format, and to those that differ in one bit.
pub(super) fn other_bytes(at: usize, byte: u8) -> Vec<u8> {
    const FRONT: usize = 16;
    if at < FRONT {
        return (0..=u8::MAX).filter(|other| *other != byte).collect();
    }
    let bits = (0..8).map(|bit| byte ^ 1 << bit);
    bits.chain(*b"\0\t\n !\"#%&'+,-./01:;<=>?@[\\]_`{|}~\x7f\x80\xc0\xf6\xf7\xfe\xff").collect()
}

/// Random numbers that are the same in every run (Marsaglia, 2003).
struct XorShift(u64);

impl XorShift {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}
