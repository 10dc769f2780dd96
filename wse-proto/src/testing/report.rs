//! [`Report`] and [`Failure`]: what a check found.

use std::borrow::Cow;
use std::fmt;

use crate::{Envelope, Head};

/// How many failures of one kind are shown; more are counted.
const SHOWN: usize = 3;

/// What a check of a protocol found. Shown, it has one line for each kind of check, and under it what failed.
#[derive(Debug)]
#[must_use = "a report is to be looked at: call `assert_ok`"]
pub struct Report {
    protocol: &'static str,
    sections: Vec<Section>,
}

impl Report {
    pub(super) fn new(protocol: &'static str) -> Self {
        Self { protocol, sections: Vec::new() }
    }

    pub(super) fn add(&mut self, section: Section) {
        if section.cases > 0 {
            self.sections.push(section);
        }
    }

    /// Whether nothing failed.
    pub fn is_ok(&self) -> bool {
        self.failures().next().is_none()
    }

    /// What failed: at most three failures of each kind of check.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.sections.iter().flat_map(|section| &section.failures)
    }

    /// Remarks that are not failures, such as that integer stamps are read as texts.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().flat_map(|section| &section.notes).map(|note| &**note)
    }

    /// Does nothing when nothing failed.
    ///
    /// # Panics
    ///
    /// With the whole report when something failed.
    #[track_caller]
    pub fn assert_ok(&self) {
        assert!(self.is_ok(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.sections.iter().filter(|section| section.failed > 0).count();
        let all = self.sections.len();
        match failed {
            0 => writeln!(f, "protocol {:?}: all {all} checks passed", self.protocol)?,
            _ => writeln!(f, "protocol {:?}: {failed} of {all} checks failed", self.protocol)?,
        }
        self.sections.iter().try_for_each(|section| section.fmt(f))
    }
}

/// One thing that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    check: &'static str,
    problem: String,
    details: Box<Details>,
}

/// Empty texts are not shown.
#[derive(Clone, Debug, Default)]
struct Details {
    sent: String,
    written: String,
    read: String,
    advice: &'static str,
}

impl Failure {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { check: "", problem: problem.into(), details: Box::default() }
    }

    pub(super) fn with_sent(mut self, head: &Head, payload: &[u8]) -> Self {
        self.details.sent = message(head, payload);
        self
    }

    pub(super) fn with_written(mut self, bytes: &[u8]) -> Self {
        self.details.written = shortened(bytes);
        self
    }

    pub(super) fn with_read(mut self, read: impl Into<String>) -> Self {
        self.details.read = read.into();
        self
    }

    pub(super) fn with_advice(mut self, advice: &'static str) -> Self {
        self.details.advice = advice;
        self
    }

    /// The kind of check that failed, such as `receipts`.
    pub fn check(&self) -> &str {
        self.check
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What the protocol wrote, or the input that it was given, as text or as a byte string, shortened.
    pub fn written(&self) -> &str {
        &self.details.written
    }

    /// What was read from it; empty when that does not matter.
    pub fn read(&self) -> &str {
        &self.details.read
    }

    /// What to do about it.
    pub fn advice(&self) -> &str {
        self.details.advice
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "        {}", self.problem)?;
        let Details { sent, written, read, advice } = &*self.details;
        let lines = [("sent", &**sent), ("written", written), ("read", read), ("to do", advice)];
        for (label, text) in lines {
            if !text.is_empty() {
                writeln!(f, "            {label:8} {text}")?;
            }
        }
        Ok(())
    }
}

/// The checks of one kind.
#[derive(Debug)]
pub(super) struct Section {
    name: &'static str,
    cases: usize,
    failed: usize,
    failures: Vec<Failure>,
    notes: Vec<Cow<'static, str>>,
}

impl Section {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, cases: 0, failed: 0, failures: Vec::new(), notes: Vec::new() }
    }

    /// Counts one case that is tried.
    pub(super) fn case(&mut self) {
        self.cases += 1;
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.failed += 1;
        if self.failures.len() < SHOWN {
            self.failures.push(Failure { check: self.name, ..failure });
        }
    }

    /// Whether as much failed as is shown: long runs stop here.
    pub(super) fn is_full(&self) -> bool {
        self.failures.len() >= SHOWN
    }

    pub(super) fn note(&mut self, note: impl Into<Cow<'static, str>>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cases = match self.cases {
            1 => "1 case".to_owned(),
            cases => format!("{cases} cases"),
        };
        match self.failed {
            0 => writeln!(f, "passed  {}: {cases}", self.name)?,
            failed => writeln!(f, "FAILED  {}: {failed} of {cases}", self.name)?,
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "        note: {note}"))?;
        self.failures.iter().try_for_each(|failure| failure.fmt(f))?;
        match self.failed - self.failures.len() {
            0 => Ok(()),
            more => writeln!(f, "        and {more} more"),
        }
    }
}

/// A head and its payload, for people.
pub(super) fn message(head: &Head, payload: &[u8]) -> String {
    let mut head = format!("{head:?}");
    if let Some((end, _)) = head.char_indices().nth(200) {
        head.truncate(end);
        head.push('…');
    }
    match payload {
        [] => format!("{head} without payload"),
        _ => format!("{head} with payload {}", shortened(payload)),
    }
}

pub(super) fn envelope(envelope: &Envelope) -> String {
    message(&envelope.head, &envelope.payload)
}

/// Text as it is, other bytes as a byte string; both shortened.
pub(super) fn shortened(bytes: &[u8]) -> String {
    const CHARS: usize = 120;
    const BYTES: usize = 80;
    let len = bytes.len();
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r')) => {
            let mut shown = String::new();
            for c in text.chars().take(CHARS) {
                match c.is_control() {
                    true => shown.extend(c.escape_default()),
                    false => shown.push(c),
                }
            }
            match text.chars().nth(CHARS) {
                Some(_) => format!("`{shown}…` ({len} bytes)"),
                None => format!("`{shown}`"),
            }
        }
        _ => match bytes.get(..BYTES) {
            Some(start) if len > BYTES => format!("b\"{}…\" ({len} bytes)", start.escape_ascii()),
            _ => format!("b\"{}\"", bytes.escape_ascii()),
        },
    }
}
