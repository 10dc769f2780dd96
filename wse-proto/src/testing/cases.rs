//! What is tried: names, stamps, payloads and heads.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::guard::guard;
use super::report::{Failure, Section};
use crate::resumption::in_time;
use crate::{
    DrainNotice, ErrorCode, Fault, Format, Head, Hi, NotResumed, Outcome, Pings, Protocol,
    ProtocolInfo, ReceiptOf, ResumeRequest, SessionInfo, Stamp, Text, Value,
};

/// Names and stamps with the characters that delimit or quote something in some format.
pub(super) const ODD: [&str; 31] = [
    "a b",
    " a ",
    "a|b",
    "a,b",
    "a;b",
    "a:b",
    "a=b",
    "a/b",
    "a.b",
    "a#b",
    "a%20b",
    "a+b",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "a\0b",
    "a\u{1}\u{1f}\u{7f}b",
    "a|",
    "|a",
    "\"a\"",
    "a'b",
    "a\\b",
    "a\\",
    "\\u0041",
    "{\"a\":[1]}",
    "[1]",
    "<a&b>",
    "null",
    "true",
    "\u{fc}\u{a2}\u{2028}\u{65e5}\u{672c}\u{1f980}",
    "~a",
];

/// Lengths around the limits of length prefixes: four, five, six, seven and eight bits, and more.
const LENGTHS: [usize; 14] = [1, 15, 16, 23, 24, 31, 32, 63, 64, 127, 128, 255, 256, 1024];

/// All odd texts, and plain ones of many lengths.
pub(super) fn texts() -> Vec<Text> {
    let long = LENGTHS.into_iter().map(|len| Text::from("x".repeat(len)));
    ODD.into_iter().map(Text::from).chain(long).collect()
}

/// Integer stamps. 0 is none in the convention.
pub(super) const INTEGERS: [i64; 14] =
    [1, -1, 23, 24, -24, -25, 127, -128, 128, 65_536, -65_537, 1 << 53, i64::MAX, i64::MIN];

/// Milliseconds that a caller waits.
pub(super) const TIMEOUTS: [u32; 9] =
    [1, 127, 128, 750, 65_535, 65_536, 1 << 24, i32::MAX as u32, u32::MAX];

/// Numbers of pings.
pub(super) const SERIALS: [u64; 10] =
    [1, 9, 10, 127, 128, 65_535, 65_536, u32::MAX as u64 + 1, i64::MAX as u64, u64::MAX];

/// Payloads that the format itself writes; an envelope has to carry them unread.
#[derive(Debug, Default)]
pub(super) struct Samples {
    /// A greeting; absent when the protocol has none.
    pub(super) hi: Bytes,
    /// A fault.
    pub(super) fault: Bytes,
    /// A fault with a message of odd characters.
    pub(super) odd: Bytes,
    /// An empty map; absent in some formats.
    pub(super) map: Bytes,
    /// The number of a ping; absent when the protocol has none.
    pub(super) serial: Bytes,
    /// Values of messages about resume; empty when the protocol has none.
    pub(super) values: Vec<(Head, Bytes)>,
    /// Faults whose messages have many lengths.
    pub(super) sized: Vec<Bytes>,
}

impl Samples {
    /// Lets the format write its payloads.
    pub(super) fn new<P: Protocol>(protocol: &P, info: ProtocolInfo) -> (Self, Section) {
        let mut section = Section::new("format writes");
        let format = protocol.format();
        let mut write = |what, write: &dyn Fn(&mut BytesMut)| {
            section.case();
            let written = guard(|| {
                let mut out = BytesMut::from(&b"before"[..]);
                write(&mut out);
                out
            });
            match written {
                Ok(out) if out.starts_with(b"before") => out.freeze().slice(6..),
                Ok(out) => {
                    section.fail(
                        Failure::new(format!("{what}: what was in the buffer is changed"))
                            .with_written(&out)
                            .with_advice("only append to the buffer"),
                    );
                    Bytes::new()
                }
                Err(panic) => {
                    section.fail(Failure::new(format!("{what}: panics: {panic}")));
                    Bytes::new()
                }
            }
        };
        let fault = |message: &str| Fault::new("example.failed").message(message);
        let map = write("empty_map", &|out| out.extend_from_slice(&format.empty_map()));
        let short = write("encode_fault", &|out| format.encode_fault(&fault("no"), out));
        let odd = fault(&ODD.concat());
        let odd = write("encode_fault", &|out| format.encode_fault(&odd, out));
        let mut sizes: Vec<usize> = LENGTHS.to_vec();
        sizes.extend([65_535, 65_536, 70_000]);
        let sized = sizes
            .into_iter()
            .map(|len| {
                write("encode_fault", &|out| format.encode_fault(&fault(&"x".repeat(len)), out))
            })
            .collect();
        let mut hi = Bytes::new();
        if info.has_greeting() {
            let greeting = Hi::new(short.clone(), map.clone());
            hi = write("encode_hi", &|out| format.encode_hi(&greeting, out));
        }
        let mut serial = Bytes::new();
        if info.can().has_pings() != Pings::Never {
            serial = write("encode_serial", &|out| format.encode_serial(4711, out));
        }
        let mut values = Vec::new();
        if info.can().has_resume() {
            for (head, value) in resume_values() {
                values.push((head, write("encode_value", &|out| format.encode_value(&value, out))));
            }
        }
        (Self { hi, fault: short, odd, map, serial, values, sized }, section)
    }
}

/// The codes of faults that are tried.
pub(super) fn codes() -> Vec<ErrorCode> {
    let known = [
        ErrorCode::Failed,
        ErrorCode::NotRegistered,
        ErrorCode::InvalidPayload,
        ErrorCode::Timeout,
        ErrorCode::Disconnect,
        ErrorCode::NotReady,
        ErrorCode::WsError,
        ErrorCode::MessageProcessing,
        ErrorCode::ProtocolViolation,
        ErrorCode::ConnectionError,
        ErrorCode::ErrorReport,
        ErrorCode::ConnectionMissing,
    ];
    let other = ["example.full", "two words", "a|b,c:d", "\"quoted\" \\", "\u{fc}\u{65e5}"];
    known.into_iter().chain(other.map(ErrorCode::from)).collect()
}

/// One head of each kind that the protocol claims, each with a payload that suits it.
pub(super) fn claimed(info: ProtocolInfo, samples: &Samples) -> Vec<(Head, Bytes)> {
    let can = info.can();
    let stamp = || Stamp::from("s1");
    let mut all = vec![
        (Head::message("note"), samples.fault.clone()),
        (Head::message("note"), Bytes::new()),
        (Head::call("add", stamp()), samples.fault.clone()),
        (Head::call("add", Stamp::Int(7)), samples.map.clone()),
        (Head::reply(stamp()), samples.fault.clone()),
        (Head::fault(stamp()), samples.fault.clone()),
    ];
    let mut add = |claims: bool, heads: Vec<(Head, &Bytes)>| {
        if claims {
            all.extend(heads.into_iter().map(|(head, payload)| (head, payload.clone())));
        }
    };
    add(info.has_greeting(), greeting_heads(samples));
    add(can.has_receipts(), receipt_heads(samples));
    add(can.has_cancel(), vec![(Head::Cancel { stamp: stamp() }, &Bytes::new())]);
    add(can.has_deadlines(), vec![(Head::call("add", stamp()).with_timeout(750), &samples.map)]);
    add(can.has_pings() != Pings::Never, ping_heads(samples));
    add(can.has_error_reports(), vec![(Head::ErrorReport, &samples.fault)]);
    add(can.has_resume(), resume_heads(samples));
    all
}

pub(super) fn greeting_heads(samples: &Samples) -> Vec<(Head, &Bytes)> {
    vec![(Head::Hi, &samples.hi), (Head::Challenge, &samples.fault), (Head::Welcome, &samples.map)]
}

/// Every combination of flags.
pub(super) fn receipt_heads(samples: &Samples) -> Vec<(Head, &Bytes)> {
    static NONE: Bytes = Bytes::new();
    let stamp = || Stamp::from("s1");
    let message =
        |reliable| Head::Message { name: "note".into(), receipt: Some(stamp()), reliable };
    let call = Head::Call { name: "add".into(), stamp: stamp(), receipt: true, timeout: None };
    vec![
        (message(false), &samples.fault),
        (message(false), &NONE),
        (message(true), &samples.fault),
        (message(true), &NONE),
        (call, &samples.fault),
        (Head::Reply { stamp: stamp(), receipt: true }, &samples.fault),
        (Head::Fault { stamp: stamp(), receipt: true }, &samples.fault),
        (Head::Receipt { stamp: stamp(), of: ReceiptOf::Message }, &NONE),
        (Head::Receipt { stamp: stamp(), of: ReceiptOf::Call }, &NONE),
        (Head::Receipt { stamp: stamp(), of: ReceiptOf::Answer }, &NONE),
    ]
}

pub(super) fn ping_heads(samples: &Samples) -> Vec<(Head, &Bytes)> {
    vec![(Head::Ping, &samples.serial), (Head::Pong, &samples.serial)]
}

pub(super) fn resume_heads(samples: &Samples) -> Vec<(Head, &Bytes)> {
    let values = samples.values.iter().map(|(head, payload)| (head.clone(), payload));
    values.chain([(Head::Renew, &samples.hi)]).collect()
}

/// What a client may say of resume in its greeting.
pub(super) fn requests() -> [ResumeRequest; 3] {
    let resume = |seen| ResumeRequest::Resume { session: "s1".into(), token: token(), seen };
    [ResumeRequest::New, resume(0), resume((1 << 53) - 1)]
}

fn token() -> Text {
    "AAECAwQFBgcICQoLDA0ODw".into()
}

/// What the messages about resume say.
pub(super) fn resume_values() -> Vec<(Head, Value)> {
    let lost = |first, last| Outcome::Partial { first, last };
    let outcomes = [
        Outcome::New,
        Outcome::Full,
        lost(1, 1),
        lost(70_000, (1 << 53) - 1),
        Outcome::None(NotResumed::Expired),
    ];
    let info = |outcome| SessionInfo {
        session: "s1".into(),
        token: token(),
        window: Duration::from_secs(60),
        outcome,
        seen: 4711,
    };
    let mut all: Vec<_> =
        outcomes.into_iter().map(|outcome| (Head::Session, info(outcome).to_value())).collect();
    let integers = SERIALS.map(Value::from_integer).into_iter();
    all.extend(integers.filter(|it| *it != Value::Other).map(|seen| (Head::Seen, seen)));
    let notice = |after, spread| DrainNotice {
        after: Duration::from_millis(after),
        spread: Duration::from_millis(spread),
    };
    for notice in [notice(0, 0), notice(1000, 86_400_000)] {
        all.push((Head::Drain, notice.to_value()));
    }
    for head in [Head::Expires, Head::Renewed] {
        all.push((head, in_time(Duration::from_secs(30))));
    }
    all.push((Head::Renewed, Value::Null));
    all
}
