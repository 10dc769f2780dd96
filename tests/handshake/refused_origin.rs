//! What the log says of a refused `Origin`.

use std::fmt;
use std::sync::{Arc, Mutex};

use http::Request;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use wse_transport::handshake::OriginPolicy;

/// Keeps the lines of the log, one for each event.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

#[test]
fn one_line_of_the_log_has_the_origin_and_the_host() {
    let lines = Lines::default();
    let list = OriginPolicy::List(vec!["https://app.example".into()]);
    tracing::subscriber::with_default(lines.clone(), || {
        for (policy, host, origin) in [
            (&OriginPolicy::SameHost, "backend:4200", "https://app.example"),
            (&list, "app.example", "https://evil.example"),
            (&OriginPolicy::SameHost, "app.example", "https://app.example"),
        ] {
            let request = Request::builder().header("host", host).header("origin", origin);
            let _ = policy.check(&request.body(()).unwrap());
        }
    });
    let lines = lines.0.lock().unwrap();
    assert_eq!(
        *lines,
        [
            "DEBUG message=request refused: its Origin is another host origin=https://app.example \
             host=backend:4200 forwarded=false",
            "DEBUG message=request refused: its Origin is not in the list origin=https://evil.example",
        ]
    );
}
