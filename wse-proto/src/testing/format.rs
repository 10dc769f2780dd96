//! The payload format: greetings, faults and the numbers of pings, both ways.

use bytes::{Bytes, BytesMut};

use super::cases::{ODD, SERIALS, Samples, codes, requests, resume_values};
use super::guard::{NO_PANIC, guard};
use super::hostile::other_bytes;
use super::report::{Failure, Report, Section, shortened};
use super::tester::Tester;
use super::trip::{chain, same_fault};
use crate::{CodecError, Fault, Format, Hi, Pings, Protocol, ResumeRequest, Value};

impl<P: Protocol> Tester<'_, P> {
    pub(super) fn format(&self, report: &mut Report) {
        if self.info.has_greeting() {
            report.add(self.greetings());
        }
        report.add(self.faults());
        if self.info.can().has_pings() != Pings::Never {
            report.add(self.serials());
        }
        if self.info.can().has_resume() {
            report.add(self.values());
        }
        if !self.check.harmless {
            report.add(self.hostile_payloads());
        }
    }

    fn greetings(&self) -> Section {
        let mut section = Section::new("format: greetings");
        let (format, samples) = (self.protocol.format(), &self.samples);
        for identity in samples.sized.iter().chain([&samples.fault, &samples.odd]) {
            for meta in [&Bytes::new(), &samples.map, &samples.fault] {
                let hi = Hi::new(identity.clone(), meta.clone());
                compare(
                    &mut section,
                    |out| format.encode_hi(&hi, out),
                    |payload| format.decode_hi(payload),
                    |read| {
                        let absent = meta.is_empty() && read.meta == samples.map;
                        match read.identity == hi.identity && (read.meta == hi.meta || absent) {
                            true => Ok(None),
                            false => Err(()),
                        }
                    },
                    "encode_hi embeds both members as they are, and decode_hi returns them",
                );
            }
        }
        section.case();
        if let Ok(Ok(_)) = guard(|| format.decode_hi(&Bytes::new())) {
            section.fail(
                Failure::new("an absent payload is read as a greeting")
                    .with_advice("return an error from decode_hi when there is no identity"),
            );
        }
        section
    }

    fn faults(&self) -> Section {
        let mut section = Section::new("format: faults");
        let format = self.protocol.format();
        let odd = ODD.concat();
        for code in codes() {
            for message in [None, Some("no"), Some(&*odd)] {
                for details in [&Bytes::new(), &self.samples.fault] {
                    let mut fault = Fault::new(code.clone()).details(details.clone());
                    fault.message = message.map(str::to_owned);
                    compare(
                        &mut section,
                        |out| format.encode_fault(&fault, out),
                        |payload| format.decode_fault(payload),
                        |read| match message {
                            // Many formats cannot tell an empty text from none.
                            None if read.message.as_deref() == Some("") => {
                                let mut read = read.clone();
                                read.message = None;
                                same_fault(&fault, &read)
                            }
                            _ => same_fault(&fault, read),
                        },
                        "write the code and the message of a fault, and read both",
                    );
                }
            }
        }
        section
    }

    fn serials(&self) -> Section {
        let mut section = Section::new("format: numbers of pings");
        let format = self.protocol.format();
        let missing = || CodecError::value("the number", "decode_serial returned None");
        for serial in SERIALS {
            compare(
                &mut section,
                |out| format.encode_serial(serial, out),
                |payload| format.decode_serial(payload).ok_or_else(missing),
                |read| if *read == serial { Ok(None) } else { Err(()) },
                "decode_serial reads what encode_serial wrote",
            );
        }
        section
    }

    /// The values of messages about resume, by themselves and in a greeting.
    fn values(&self) -> Section {
        const ADVICE: &str = "write and read every Value in encode_value and decode_value, and Hi::resume in greetings";
        let mut section = Section::new("format: resume");
        let (format, samples) = (self.protocol.format(), &self.samples);
        let missing = || CodecError::value("the value", "decode_value returned None");
        for (_, value) in resume_values() {
            compare(
                &mut section,
                |out| format.encode_value(&value, out),
                |payload| format.decode_value(payload).ok_or_else(missing),
                |read| if same_value(&value, read) { Ok(None) } else { Err(()) },
                ADVICE,
            );
        }
        for request in requests() {
            let hi = Hi { resume: Some(Box::new(request.to_value())), ..greeting(samples) };
            compare(
                &mut section,
                |out| format.encode_hi(&hi, out),
                |payload| format.decode_hi(payload),
                |read| {
                    let value = read.resume.as_deref().map(ResumeRequest::from_value);
                    let same = read.identity == hi.identity && value == Some(Ok(Some(request)));
                    if same { Ok(None) } else { Err(()) }
                },
                ADVICE,
            );
        }
        section
    }

    /// Every beginning, and every change of one byte, of what the format writes.
    fn hostile_payloads(&self) -> Section {
        let mut section = Section::new("format: hostile payloads");
        let samples = &self.samples;
        let values = samples.values.iter().map(|(_, payload)| payload).take(3);
        let payloads = [&samples.fault, &samples.hi, &samples.map, &samples.serial];
        for payload in payloads.into_iter().chain(values) {
            for end in 0..payload.len() {
                self.read_payload(&mut section, &payload.slice(..end));
            }
            for at in 0..payload.len().min(64) {
                for byte in other_bytes(at, payload[at]) {
                    let mut changed = payload.to_vec();
                    changed[at] = byte;
                    self.read_payload(&mut section, &changed.into());
                }
            }
        }
        section
    }

    /// Reads a payload in every way that a session reads one.
    pub(super) fn read_payload(&self, section: &mut Section, payload: &Bytes) {
        if section.is_full() {
            return;
        }
        section.case();
        let format = self.protocol.format();
        let read = guard(|| {
            if self.info.has_greeting() {
                drop(format.decode_hi(payload));
            }
            drop(format.decode_fault(payload));
            if self.info.can().has_resume() {
                drop(format.decode_value(payload));
            }
            if self.info.can().has_pings() != Pings::Never {
                format.decode_serial(payload);
            }
        });
        if let Err(panic) = read {
            section.fail(
                Failure::new(format!("the format panics when it reads a payload: {panic}"))
                    .with_written(payload)
                    .with_advice(NO_PANIC),
            );
        }
    }
}

fn greeting(samples: &Samples) -> Hi {
    Hi::new(samples.fault.clone(), samples.map.clone())
}

/// Whether two values are the same, whatever the order of their members.
fn same_value(sent: &Value, read: &Value) -> bool {
    match (sent, read) {
        (Value::Map(sent), Value::Map(read)) => {
            sent.len() == read.len() && sent.iter().all(|member| read.contains(member))
        }
        _ => sent == read,
    }
}

/// Writes a payload and reads it again.
fn compare<T: std::fmt::Debug>(
    section: &mut Section,
    write: impl FnOnce(&mut BytesMut),
    read: impl FnOnce(&Bytes) -> Result<T, CodecError>,
    same: impl FnOnce(&T) -> Result<Option<&'static str>, ()>,
    advice: &'static str,
) {
    section.case();
    let mut out = BytesMut::new();
    let failure = match guard(|| write(&mut out)) {
        Err(panic) => Failure::new(format!("writing a payload panics: {panic}")),
        Ok(()) => {
            let written = out.freeze();
            let failed = match guard(|| read(&written)) {
                Err(panic) => Failure::new(format!("reading a payload panics: {panic}")),
                Ok(Err(error)) => {
                    Failure::new("the format refuses what it wrote").with_read(chain(&error))
                }
                Ok(Ok(value)) => match same(&value) {
                    Ok(note) => {
                        note.into_iter().for_each(|note| section.note(note));
                        return;
                    }
                    Err(()) => Failure::new("a payload is not read as it was written")
                        .with_read(shortened(format!("{value:?}").as_bytes())),
                },
            };
            failed.with_written(&written)
        }
    };
    section.fail(failure.with_advice(advice));
}
