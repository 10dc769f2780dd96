//! Peers that count their calls from 0: such a stamp means "no stamp", and the log says so.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::support::endpoints::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use wse_codecs::JsonArray;

/// Keeps the warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut Text(&mut text));
        self.0.lock().unwrap().push(text);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_client_that_counts_from_0_gets_one_warning() {
    let warnings = Warnings::default();
    let _here = tracing::subscriber::set_default(warnings.clone());
    let taken = || std::mem::take(&mut *warnings.0.lock().unwrap());
    for unhandled in [false, true] {
        let mut server = server(&JsonArray).on("note", |_, _: Note| async {});
        if unhandled {
            server = server.unhandled(|_, _| async {});
        }
        let server = server.build();
        for stamp in ["0", "\"\"", "-0"] {
            let mut raw = Raw::user(&server, "ann").await;
            for _ in 0..3 {
                raw.say(&format!(r#"["add",{{"a":1,"b":2}},{stamp}]"#)).await;
            }
            assert_eq!(raw.hear_all().await, [] as [String; 0], "{stamp}");
            let warned = taken();
            assert_eq!(warned.len(), 1, "{stamp}: {warned:?}");
            assert!(warned[0].contains("name=add") && warned[0].contains("count from 1"));
        }
        // Others get none: calls, messages, and what has no handler at all.
        let mut raw = Raw::user(&server, "ann").await;
        for text in [
            r#"["add",{"a":1,"b":2},1]"#,
            r#"["add",{"a":1,"b":2},"0"]"#,
            r#"["note",{"text":"x"},0]"#,
            r#"["unknown",null,0]"#,
        ] {
            raw.say(text).await;
        }
        assert_eq!(raw.hear_all().await.len(), 2);
        assert_eq!(taken(), [] as [String; 0]);
    }
}
