//! Lines of the log, of the thread that a test runs in.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Interest, set_default, set_global_default};
use tracing::{Event, Level, Metadata, Subscriber};

/// Collects lines: the level, then the fields.
#[derive(Clone, Default)]
pub struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    most: Option<Level>,
}

impl Lines {
    /// Collects the lines at level `info` and above, until the guard is dropped.
    pub fn of_info() -> (Self, DefaultGuard) {
        Self::up_to(Level::INFO)
    }

    /// Collects the lines of this level and of more important ones, until the guard is dropped.
    pub fn up_to(level: Level) -> (Self, DefaultGuard) {
        // While there is a subscriber for all threads that says "sometimes", no line is switched off for good because
        // another test, with a subscriber of its own, did not want it.
        static ALL: Once = Once::new();
        ALL.call_once(|| drop(set_global_default(Self::default())));
        let lines = Self { most: Some(level), ..Self::default() };
        let guard = set_default(lines.clone());
        (lines, guard)
    }

    /// The lines since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl Subscriber for Lines {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wse") && self.most.is_some_and(|it| *metadata.level() <= it)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }
}
