//! Protocols that are wrong in one respect: each has to fail the check that is made for it.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Check, Report, check};
use crate::{
    Capabilities, CodecError, Envelope, ErrorCode, Fault, Format, Head, Hi, InternalTypes, Packed,
    Pings, Protocol, ProtocolInfo, Stamp, Text,
};

/// What is wrong with a protocol or its format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flaw {
    #[default]
    None,
    // info
    DuplicateTypes,
    EmptyType,
    OtherInfoInClone,
    NoToken,
    // pack
    NoStamp,
    NoFlags,
    NoReliable,
    NoTimeout,
    NoPayload,
    ShortTimeout,
    ShortNames,
    NoCancel,
    NoPings,
    NoReports,
    NoGreeting,
    AnswersAsMessages,
    NotUtf8,
    ClearsBuffer,
    PanicsWhenUnclaimed,
    // pack_with
    PackWithDiffers,
    PackWithLeaves,
    PackWithHides,
    // unpack
    PanicsOnShort,
    PanicsOnLengths,
    PanicsInDigits,
    IntegerStamps,
    Bomb,
    Unanswerable,
    Delimiter,
    CopiesPayload,
    BatchOfOne,
    BatchOfMany,
    BatchOfOthers,
    // the format
    FaultWithoutMessage,
    FaultWithoutCode,
    FaultPanics,
    HiWithoutMeta,
    HiOfNothing,
    WrongSerials,
    FormatClears,
    FormatPanics,
}

/// `4 2 0 750 notes1payload`: the lengths of type and stamp, flags, timeout; type, stamp, payload.
#[derive(Debug, Default)]
struct Lengths {
    flaw: Flaw,
    info: Option<ProtocolInfo>,
    format: Plain,
    cloned: bool,
}

impl Lengths {
    fn new(flaw: Flaw) -> Self {
        Self { flaw, format: Plain(flaw), ..Self::default() }
    }

    fn claims(mut self, capabilities: Capabilities) -> Self {
        self.info = Some(ProtocolInfo::text("lengths").capabilities(capabilities));
        self
    }
}

impl Clone for Lengths {
    fn clone(&self) -> Self {
        Self { format: self.format.clone(), cloned: true, ..*self }
    }
}

const INFO: ProtocolInfo = ProtocolInfo::text("lengths").capabilities(
    Capabilities::NONE.receipts().cancel().deadlines().error_reports().pings(Pings::Possible),
);
const DUPLICATES: InternalTypes = InternalTypes { welcome: "~wse:hi", ..InternalTypes::DEFAULT };
const EMPTY: InternalTypes = InternalTypes { ping: "", ..InternalTypes::DEFAULT };

impl Protocol for Lengths {
    type Format = Plain;

    fn info(&self) -> ProtocolInfo {
        let info = self.info.unwrap_or(INFO);
        match self.flaw {
            Flaw::DuplicateTypes => info.internal_types(&DUPLICATES),
            Flaw::EmptyType => info.internal_types(&EMPTY),
            Flaw::OtherInfoInClone if self.cloned => info.no_greeting(),
            Flaw::NoToken => ProtocolInfo::text("two words"),
            _ => info,
        }
    }

    fn format(&self) -> &Plain {
        &self.format
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        let types = self.info().types();
        let (mut kind, mut flags) = (head.kind(types).to_owned(), head.flags());
        let mut stamp = match (self.flaw, head.stamp()) {
            (Flaw::Delimiter, Some(stamp)) => format!("{stamp}|"),
            (_, Some(Stamp::Int(int))) => format!("#{int}"),
            (_, Some(stamp)) => format!("'{stamp}"),
            (_, None) => String::new(),
        };
        let mut timeout = head.timeout().map_or(0, |timeout| timeout.get());
        let mut payload = payload;
        match (self.flaw, head) {
            (Flaw::NoStamp, _) => stamp.clear(),
            (Flaw::NoFlags, _) => flags = 0,
            (Flaw::NoReliable, _) => flags &= !crate::FLAG_RELIABLE,
            (Flaw::NoTimeout, _) => timeout = 0,
            (Flaw::ShortTimeout, _) => timeout &= 0xffff,
            (Flaw::NoPayload, _) => payload = &[],
            (Flaw::ShortNames, _) => kind.truncate(255),
            (Flaw::NoCancel, Head::Cancel { .. })
            | (Flaw::NoPings, Head::Ping | Head::Pong)
            | (Flaw::NoReports, Head::ErrorReport)
            | (Flaw::NoGreeting, Head::Hi | Head::Challenge | Head::Welcome) => return,
            (Flaw::AnswersAsMessages, Head::Reply { .. } | Head::Fault { .. }) => stamp.clear(),
            (Flaw::PanicsWhenUnclaimed, Head::Receipt { .. } | Head::Ping) => {
                panic!("not claimed")
            }
            (Flaw::ClearsBuffer, _) => out.clear(),
            _ => {}
        }
        let numbers = [kind.len(), stamp.len(), flags as usize, timeout as usize];
        out.put_slice(numbers.map(|number| number.to_string() + " ").concat().as_bytes());
        out.put_slice(kind.as_bytes());
        out.put_slice(stamp.as_bytes());
        out.put_slice(payload);
        if self.flaw == Flaw::NotUtf8 {
            out.put_u8(0xff);
        }
    }

    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        let mut payload = BytesMut::new();
        match (self.flaw, write(&mut payload)) {
            (_, Ok(())) => {}
            (Flaw::PackWithHides, Err(_)) => return Ok(()),
            (Flaw::PackWithLeaves, Err(error)) => {
                out.put_slice(&payload);
                return Err(error);
            }
            (_, Err(error)) => return Err(error),
        }
        self.pack(head, &payload, out);
        if self.flaw == Flaw::PackWithDiffers && matches!(head, Head::Reply { .. }) {
            out.put_slice(b" ");
        }
        Ok(())
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        const SHORT: CodecError = CodecError::malformed("the message", "too short");
        let text = message.text()?;
        if self.flaw == Flaw::PanicsOnShort && text.as_bytes()[0] == b'?' {
            return Err(SHORT);
        }
        let mut parts = text.splitn(5, ' ');
        let mut number = || {
            let digits = parts.next().ok_or(SHORT)?;
            let number = digits.parse::<u32>();
            if self.flaw == Flaw::PanicsInDigits {
                return Ok(number.unwrap() as usize);
            }
            number.map(|number| number as usize).map_err(|error| SHORT.with_source(error))
        };
        let [kind, stamp, flags, timeout] = [number()?, number()?, number()?, number()?];
        let rest = parts.next().ok_or(SHORT)?;
        if self.flaw == Flaw::PanicsOnLengths {
            let _ = &rest.as_bytes()[..kind];
        }
        let (kind, rest) = rest.split_at_checked(kind).ok_or(SHORT)?;
        let (stamp, payload) = rest.split_at_checked(stamp).ok_or(SHORT)?;
        let stamp = match (self.flaw, stamp.split_at_checked(1)) {
            (Flaw::Delimiter, _) => stamp.split('|').next().map(Stamp::from),
            (Flaw::IntegerStamps, Some(("'", text))) if text.parse::<i64>().is_ok() => {
                text.parse().ok().map(Stamp::Int)
            }
            (_, Some(("'", text))) => Some(Stamp::from(text)),
            (_, Some((_, int))) => {
                Some(Stamp::Int(int.parse().map_err(|error| SHORT.with_source(error))?))
            }
            (_, None) => None,
        };
        let types = self.info().types();
        if self.flaw == Flaw::Unanswerable && stamp == Some(Stamp::from("t1")) {
            let head = Head::call(text.part(kind), Stamp::from(""));
            return Ok(Envelope { head, payload: Bytes::new() });
        }
        let head = Head::from_parts(types, text.part(kind), stamp, flags as u32)?;
        let payload = match self.flaw {
            Flaw::Bomb if kind == "noue" => Bytes::from(vec![b'x'; 100_000]),
            Flaw::CopiesPayload => Bytes::copy_from_slice(payload.as_bytes()),
            _ => text.slice(payload),
        };
        Ok(Envelope { head: head.with_timeout(timeout as u32), payload })
    }

    fn unpack_batch(&self, message: Packed<'_>) -> Option<Vec<Result<Envelope, CodecError>>> {
        let text = message.text().ok()?;
        match self.flaw {
            Flaw::BatchOfOne => Some(vec![self.unpack(message), self.unpack(message)]),
            Flaw::BatchOfMany if text.starts_with('5') => {
                Some((0..1000).map(|_| self.unpack(message)).collect())
            }
            Flaw::BatchOfOthers if text.starts_with('[') => {
                let head = Head::message(Text::from_static("other"));
                let other = Envelope { head, payload: Bytes::new() };
                Some(vec![Ok(other.clone()), Ok(other)])
            }
            _ => None,
        }
    }
}

/// `length text` for each member.
#[derive(Clone, Debug, Default)]
struct Plain(Flaw);

fn put(text: &[u8], out: &mut BytesMut) {
    out.put_slice(format!("{} ", text.len()).as_bytes());
    out.put_slice(text);
}

fn take(rest: &mut Bytes) -> Option<Bytes> {
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let len: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
    let mut text = rest.slice(space + 1..);
    *rest = (len <= text.len()).then(|| text.split_off(len))?;
    Some(text)
}

impl Format for Plain {
    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
        put(&hi.identity, out);
        put(if self.0 == Flaw::HiWithoutMeta { &[] } else { &hi.meta }, out);
    }

    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        if self.0 == Flaw::HiOfNothing && payload.is_empty() {
            return Ok(Hi::default());
        }
        let mut rest = payload.clone();
        let (identity, meta) = (take(&mut rest), take(&mut rest));
        let missing = || CodecError::shape("the greeting", "a member is missing");
        Ok(Hi::new(identity.ok_or_else(missing)?, meta.ok_or_else(missing)?))
    }

    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
        match self.0 {
            Flaw::FormatClears => out.clear(),
            Flaw::FormatPanics => panic!("not written yet"),
            _ => {}
        }
        put(fault.code.as_str().as_bytes(), out);
        put(fault.message.as_deref().unwrap_or_default().as_bytes(), out);
        put(&fault.details, out);
    }

    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
        let mut rest = payload.clone();
        let members = [take(&mut rest), take(&mut rest), take(&mut rest)];
        if self.0 == Flaw::FaultPanics {
            let [_, message, _] = &members;
            assert!(message.is_some());
        }
        let [Some(code), Some(message), Some(details)] = members else {
            return Err(CodecError::shape("the fault", "a member is missing"));
        };
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let mut fault = Fault::new(text(&code)).details(details);
        if self.0 == Flaw::FaultWithoutCode {
            fault.code = ErrorCode::Failed;
        }
        if !message.is_empty() && self.0 != Flaw::FaultWithoutMessage {
            fault.message = Some(text(&message));
        }
        Ok(fault)
    }

    fn decode_serial(&self, payload: &Bytes) -> Option<u64> {
        let serial: u64 = std::str::from_utf8(payload).ok()?.parse().ok()?;
        if self.0 == Flaw::WrongSerials {
            u32::try_from(serial).ok().map(u64::from)
        } else {
            Some(serial)
        }
    }
}

/// Without hostile input, which takes most of the time.
fn friendly() -> Check {
    let mut check = Check::new();
    check.harmless = true;
    check
}

fn report(flaw: Flaw) -> Report {
    friendly().run(&Lengths::new(flaw))
}

#[track_caller]
fn fails(report: &Report, check: &str, problem: &str) {
    let found = report.failures().any(|it| it.check() == check && it.problem().contains(problem));
    assert!(found, "no failure of {check:?} with {problem:?} in\n{report}");
    assert!(!report.is_ok());
}

#[test]
fn a_correct_protocol_passes() {
    let report = check(&Lengths::default());
    report.assert_ok();
    assert_eq!(report.notes().count(), 0, "{report}");
    assert!(report.to_string().starts_with("protocol \"lengths\": all "), "{report}");
}

/// Each flaw, the check that finds it, and what it says.
#[test]
fn every_flaw_is_found() {
    let flaws = [
        (Flaw::DuplicateTypes, "info", "`hi` and `welcome` have the same name"),
        (Flaw::EmptyType, "info", "`ping` is empty"),
        (Flaw::OtherInfoInClone, "info", "something else"),
        (Flaw::NoToken, "info", "not a token"),
        (Flaw::NoStamp, "calls, replies and faults", "a call is read as a message"),
        (Flaw::NoStamp, "stamps", "a call is read as a message"),
        (Flaw::NoFlags, "receipts", "a message that wants a receipt is read as a call"),
        (Flaw::NoReliable, "receipts", "a reliable message is read as a message that wants"),
        (Flaw::NoTimeout, "deadlines", "the head of a call is changed"),
        (Flaw::ShortTimeout, "deadlines", "the head of a call is changed"),
        (Flaw::NoPayload, "messages", "the payload of a message is changed"),
        (Flaw::ShortNames, "names", "the head of a message is changed"),
        (Flaw::NoCancel, "cancellations", "nothing is written"),
        (Flaw::NoPings, "pings", "nothing is written"),
        (Flaw::NoReports, "error reports", "nothing is written"),
        (Flaw::NoGreeting, "greeting", "nothing is written"),
        (Flaw::AnswersAsMessages, "calls, replies and faults", "a reply is read as a message"),
        (Flaw::NotUtf8, "messages", "not UTF-8"),
        (Flaw::ClearsBuffer, "pack and pack_with", "`pack` changes what was in the buffer"),
        (Flaw::PackWithDiffers, "pack and pack_with", "something else than `pack`"),
        (Flaw::PackWithLeaves, "pack and pack_with", "leaves something in the buffer"),
        (Flaw::PackWithHides, "pack and pack_with", "hides that its `write` failed"),
        (Flaw::PanicsOnShort, "hostile input: truncated messages", "unpacking panics"),
        (Flaw::PanicsOnLengths, "hostile input: truncated messages", "unpacking panics"),
        (Flaw::PanicsInDigits, "hostile input: changed bytes", "unpacking panics"),
        (Flaw::PanicsInDigits, "hostile input: random bytes", "unpacking panics"),
        (Flaw::PanicsInDigits, "hostile input: deep nesting", "unpacking panics"),
        (Flaw::IntegerStamps, "stamps", "the stamp of a call is changed"),
        (Flaw::Bomb, "hostile input: changed bytes", "larger than the message"),
        (Flaw::Unanswerable, "hostile input: changed bytes", "the reply to this call"),
        (Flaw::Delimiter, "stamps", "the stamp of a call is changed"),
        (Flaw::BatchOfOne, "messages", "one message is read as a batch of 2"),
        (Flaw::BatchOfMany, "hostile input: truncated messages", "a batch of 1000 messages"),
        (Flaw::BatchOfOthers, "batches", "not what they are alone"),
        (Flaw::FaultWithoutMessage, "format: faults", "not read as it was written"),
        (Flaw::FaultWithoutCode, "format: faults", "not read as it was written"),
        (Flaw::FaultPanics, "format: hostile payloads", "the format panics"),
        (Flaw::HiWithoutMeta, "format: greetings", "not read as it was written"),
        (Flaw::HiOfNothing, "format: greetings", "an absent payload is read as a greeting"),
        (Flaw::WrongSerials, "format: numbers of pings", "refuses what it wrote"),
        (Flaw::FormatClears, "format writes", "what was in the buffer is changed"),
        (Flaw::FormatPanics, "format writes", "panics: not written yet"),
    ];
    for (flaw, check, problem) in flaws {
        let mut exceptions = Check::new();
        exceptions.harmless = !check.contains("hostile");
        let report = exceptions.run(&Lengths::new(flaw));
        fails(&report, check, problem);
    }
}

#[test]
fn a_capability_that_is_not_claimed_is_not_required() {
    for flaw in [Flaw::NoFlags, Flaw::NoTimeout, Flaw::NoCancel, Flaw::NoPings, Flaw::NoReports] {
        let report = friendly().run(&Lengths::new(flaw).claims(Capabilities::NONE));
        report.assert_ok();
        assert!(report.notes().any(|note| note.ends_with("carried, but not claimed")), "{report}");
    }
}

#[test]
fn a_protocol_must_not_claim_resume_for_a_format_that_writes_no_values() {
    let report = friendly().run(&Lengths::default().claims(INFO.can().resume()));
    fails(&report, "format: resume", "refuses what it wrote");
}

#[test]
fn a_head_that_is_not_claimed_must_not_panic() {
    let protocol = Lengths::new(Flaw::PanicsWhenUnclaimed).claims(Capabilities::NONE);
    let report = friendly().run(&protocol);
    fails(&report, "what is not claimed", "`pack` panics for a receipt: not claimed");
}

#[test]
fn a_copied_payload_is_noted() {
    let report = report(Flaw::CopiesPayload);
    report.assert_ok();
    assert!(report.notes().any(|note| note.contains("copies the payload")), "{report}");
}

#[test]
fn an_exception_is_for_what_it_says_only() {
    let exceptions = friendly().fixed_names("note", "request");
    fails(&exceptions.run(&Lengths::default()), "names", "the head of a message is changed");
    let exceptions = friendly().always_reliable();
    fails(&exceptions.run(&Lengths::default()), "receipts", "a message that wants a receipt");
}

#[test]
#[should_panic(expected = "FAILED  receipts")]
fn a_report_with_a_failure_panics_when_it_should_be_ok() {
    report(Flaw::NoFlags).assert_ok();
}

#[test]
fn a_failure_says_what_was_written_what_was_read_and_what_to_do() {
    let report = report(Flaw::NoFlags);
    let failure = report.failures().next().unwrap();
    assert!(failure.written().starts_with("`4 3 0 0 note's1"), "{failure}");
    assert!(failure.read().starts_with("Call { name: \"note\""), "{failure}");
    assert!(failure.advice().contains("do not claim Capabilities::receipts"), "{failure}");
}
