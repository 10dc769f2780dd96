//! Every head that the protocol claims, both ways; and those that it does not claim.

use bytes::Bytes;

use super::cases::{
    INTEGERS, SERIALS, Samples, TIMEOUTS, greeting_heads, ping_heads, receipt_heads, resume_heads,
    texts,
};
use super::guard::{NO_PANIC, guard};
use super::report::{Failure, Report, Section};
use super::tester::Tester;
use super::trip::word;
use crate::{Format, Head, Pings, Protocol, Stamp, Text};

const PARTS: &str = "write Head::kind and Head::stamp, and give what is read to Head::from_parts";
const ESCAPE: &str =
    "write the length of names and stamps in front of them, or escape what delimits them";
const RECEIPTS: &str = "write Head::flags and give what is read to Head::from_parts, or do not claim Capabilities::receipts";
const CANCEL: &str =
    "write the type InternalTypes::cancel with its stamp, or do not claim Capabilities::cancel";
const DEADLINES: &str = "write Head::timeout and give what is read to Head::with_timeout, or do not claim Capabilities::deadlines";
const PINGS: &str =
    "write the types InternalTypes::ping and pong with their payloads, or claim Pings::Never";
const RESUME: &str = "write the types that InternalTypes lists for resume with their payloads, or do not claim Capabilities::resume";
const REPORTS: &str = "write the type InternalTypes::error_report with its payload, or do not claim Capabilities::error_reports";

impl<P: Protocol> Tester<'_, P> {
    pub(super) fn heads(&self, report: &mut Report) {
        if self.info.has_greeting() {
            let mut section = Section::new("greeting");
            self.carry_all(&mut section, greeting_heads(&self.samples), PARTS);
            for payload in [&self.samples.odd, &Bytes::new()] {
                self.carry(&mut section, &Head::Challenge, payload, PARTS);
                self.carry(&mut section, &Head::Welcome, payload, PARTS);
            }
            report.add(section);
        }
        report.add(self.messages());
        report.add(self.calls());
        report.add(self.names());
        report.add(self.stamps());
        report.add(self.payloads());
        self.capabilities(report);
        report.add(self.unclaimed());
    }

    fn carry_all(&self, section: &mut Section, heads: Vec<(Head, &Bytes)>, advice: &'static str) {
        for (head, payload) in heads {
            self.carry(section, &head, payload, advice);
        }
    }

    fn messages(&self) -> Section {
        let mut section = Section::new("messages");
        let Samples { fault, odd, map, .. } = &self.samples;
        for payload in [fault, odd, map, &Bytes::new()] {
            self.carry(&mut section, &Head::message("note"), payload, PARTS);
        }
        section
    }

    fn calls(&self) -> Section {
        let mut section = Section::new("calls, replies and faults");
        let stamp = || Stamp::from("s1");
        let Samples { fault, odd, map, .. } = &self.samples;
        for payload in [fault, odd, map, &Bytes::new()] {
            self.carry(&mut section, &Head::call("add", stamp()), payload, PARTS);
            self.carry(&mut section, &Head::reply(stamp()), payload, PARTS);
        }
        for payload in [fault, odd, &Bytes::new()] {
            self.carry(&mut section, &Head::fault(stamp()), payload, PARTS);
        }
        section
    }

    fn names(&self) -> Section {
        let mut section = Section::new("names");
        let payload = &self.samples.fault;
        for name in texts() {
            let call = Head::call(name.clone(), Stamp::from("s1"));
            self.carry(&mut section, &Head::message(name), payload, ESCAPE);
            self.carry(&mut section, &call, payload, ESCAPE);
        }
        section
    }

    fn stamps(&self) -> Section {
        let mut section = Section::new("stamps");
        let payload = &self.samples.fault;
        let stamps = texts().into_iter().map(Stamp::Text).chain(INTEGERS.map(Stamp::Int));
        // What sessions write.
        let serials = SERIALS.map(Stamp::from);
        for stamp in stamps.chain(serials) {
            let heads = [
                Head::call("add", stamp.clone()),
                Head::reply(stamp.clone()),
                Head::fault(stamp.clone()),
            ];
            for head in heads {
                self.carry(&mut section, &head, payload, ESCAPE);
            }
        }
        section
    }

    fn payloads(&self) -> Section {
        let mut section = Section::new("payloads of many sizes");
        for payload in &self.samples.sized {
            self.carry(&mut section, &Head::message("note"), payload, PARTS);
            self.carry(&mut section, &Head::reply(Stamp::from("s1")), payload, PARTS);
        }
        section
    }

    fn capabilities(&self, report: &mut Report) {
        let can = self.info.can();
        if can.has_receipts() {
            let mut section = Section::new("receipts");
            self.carry_all(&mut section, receipt_heads(&self.samples), RECEIPTS);
            for stamp in texts().into_iter().map(Stamp::Text).chain(INTEGERS.map(Stamp::Int)) {
                for (mut head, payload) in receipt_heads(&self.samples) {
                    set_stamp(&mut head, &stamp);
                    self.carry(&mut section, &head, payload, RECEIPTS);
                }
            }
            if can.has_deadlines() {
                let (name, stamp) = (Text::from_static("add"), Stamp::from("s1"));
                let head = Head::Call { name, stamp, receipt: true, timeout: None };
                let head = head.with_timeout(750);
                self.carry(&mut section, &head, &self.samples.fault, RECEIPTS);
            }
            report.add(section);
        }
        if can.has_cancel() {
            let mut section = Section::new("cancellations");
            for stamp in texts().into_iter().map(Stamp::Text).chain(INTEGERS.map(Stamp::Int)) {
                self.carry(&mut section, &Head::Cancel { stamp }, &[], CANCEL);
            }
            report.add(section);
        }
        if can.has_deadlines() {
            let mut section = Section::new("deadlines");
            for millis in TIMEOUTS {
                let head = Head::call("add", Stamp::from("s1")).with_timeout(millis);
                self.carry(&mut section, &head, &self.samples.fault, DEADLINES);
                self.carry(&mut section, &head, &[], DEADLINES);
            }
            report.add(section);
        }
        if can.has_pings() != Pings::Never {
            let mut section = Section::new("pings");
            let format = self.protocol.format();
            for serial in SERIALS {
                let written = guard(|| {
                    let mut out = bytes::BytesMut::new();
                    format.encode_serial(serial, &mut out);
                    out
                });
                let payload = written.unwrap_or_default();
                self.carry(&mut section, &Head::Ping, &payload, PINGS);
                self.carry(&mut section, &Head::Pong, &payload, PINGS);
            }
            report.add(section);
        }
        if can.has_error_reports() {
            let mut section = Section::new("error reports");
            for payload in [&self.samples.fault, &self.samples.odd] {
                self.carry(&mut section, &Head::ErrorReport, payload, REPORTS);
            }
            report.add(section);
        }
        if can.has_resume() {
            let mut section = Section::new("resume");
            self.carry_all(&mut section, resume_heads(&self.samples), RESUME);
            report.add(section);
        }
    }

    /// Sessions never ask for these. They must not panic; and what is carried could be claimed.
    fn unclaimed(&self) -> Section {
        let mut section = Section::new("what is not claimed");
        let (can, samples, none) = (self.info.can(), &self.samples, &Bytes::new());
        let stamp = || Stamp::from("s1");
        let groups = [
            (self.info.has_greeting(), greeting_heads(samples), "a greeting"),
            (can.has_receipts(), receipt_heads(samples), "receipts"),
            (can.has_cancel(), vec![(Head::Cancel { stamp: stamp() }, none)], "cancellations"),
            (
                can.has_deadlines(),
                vec![(Head::call("add", stamp()).with_timeout(750), &samples.fault)],
                "deadlines",
            ),
            (can.has_pings() != Pings::Never, ping_heads(samples), "pings"),
            (can.has_error_reports(), vec![(Head::ErrorReport, &samples.fault)], "error reports"),
            (can.has_resume(), vec![(Head::Session, none), (Head::Seen, none)], "resume"),
        ];
        for (_, heads, what) in groups.into_iter().filter(|(claims, ..)| !claims) {
            let mut carried = 0;
            for (head, payload) in &heads {
                section.case();
                match self.pack(head, payload) {
                    Ok(_) => carried += usize::from(self.trip(head, payload, "").is_ok()),
                    Err(panic) => section.fail(
                        Failure::new(format!("`pack` panics for {}: {panic}", word(head)))
                            .with_sent(head, payload)
                            .with_advice(NO_PANIC),
                    ),
                }
            }
            // Whether resume could be claimed depends on the format.
            if carried == heads.len() && what != "resume" {
                section.note(format!("{what}: carried, but not claimed"));
            }
        }
        section
    }
}

fn set_stamp(head: &mut Head, to: &Stamp) {
    match head {
        Head::Message { receipt: Some(stamp), .. }
        | Head::Call { stamp, .. }
        | Head::Reply { stamp, .. }
        | Head::Fault { stamp, .. }
        | Head::Receipt { stamp, .. } => *stamp = to.clone(),
        _ => {}
    }
}
