//! The lines of `text/event-stream` (WHATWG HTML §9.2.5), read by a client of the tests' own.

use std::time::Duration;

use crate::support::event_source::*;
use bytes::BytesMut;
use proptest::prelude::*;
use wse_transport::sse::{Event, EventError};

/// Event, its bytes.
fn vectors() -> Vec<(Event, &'static str)> {
    let named = |event: Event, name: &str| event.name(name).unwrap();
    let id = |event: Event, id: &str| event.id(id).unwrap();
    vec![
        (Event::new("hello"), "data: hello\n\n"),
        (Event::new(""), "data: \n\n"),
        (Event::new("a\nb\rc\r\nd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (Event::new("a\n\r\nb\r\r"), "data: a\ndata: \ndata: b\ndata: \ndata: \n\n"),
        (Event::new(" a:b"), "data:  a:b\n\n"),
        (Event::new("data: x"), "data: data: x\n\n"),
        (named(Event::new("x"), "news"), "event: news\ndata: x\n\n"),
        (id(Event::new("x"), "7"), "id: 7\ndata: x\n\n"),
        (id(Event::default(), ""), "id: \n\n"),
        (Event::default().retry(Duration::from_millis(1500)), "retry: 1500\n\n"),
        (Event::new("x").retry(Duration::MAX), "retry: 2147483647\ndata: x\n\n"),
        (Event::comment("one\ntwo"), ": one\n: two\n\n"),
        (Event::default(), "\n"),
        (
            id(named(Event::new("x"), "n"), "i").retry(Duration::from_nanos(1_999_999)),
            "event: n\nid: i\nretry: 1\ndata: x\n\n",
        ),
    ]
}

#[test]
fn events_are_written_as_the_vectors_say() {
    for (event, bytes) in vectors() {
        assert_eq!(event.encode().as_ref(), bytes.as_bytes());
        let mut out = BytesMut::from("before");
        event.write(&mut out);
        assert_eq!(out, format!("before{bytes}").as_bytes());
    }
}

#[test]
fn names_and_ids_that_would_break_out_of_their_line_are_refused() {
    for bad in ["a\nb", "a\rb", "a\r\ndata: forged", "\n", "x\r"] {
        assert_eq!(Event::new("x").name(bad), Err(EventError::LineBreak("name")));
        let error = Event::new("x").id(bad).unwrap_err();
        assert_eq!(error, EventError::LineBreak("id"));
        assert!(error.to_string().starts_with("caller gave an event id with a line break"));
    }
    assert_eq!(Event::new("x").id("a\0b"), Err(EventError::Nul));
    assert!(Event::new("x").name("a\0b").is_ok());
    // What Unicode calls line breaks are none here.
    assert!(Event::new("x").id("a\u{2028}\u{85}b").is_ok());
    assert!(Event::new("x").name("a\u{2028}\u{85}\u{b}\u{c}b").is_ok());
}

/// The parser of the tests is a browser's: from the examples in WHATWG HTML §9.2.6.
#[test]
fn the_parser_of_these_tests_reads_the_examples_of_the_specification() {
    let read = |text: &str| {
        let mut parser = Parser::default();
        parser.push(text.as_bytes());
        parser
    };
    let stocks = read("data: YHOO\ndata: +2\ndata: 10\n\n");
    assert_eq!(stocks.events, [heard("message", "YHOO\n+2\n10", "")]);
    let four = read(
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
    );
    let expected = [("first event", "1"), ("second event", ""), (" third event", "")];
    assert_eq!(four.events, expected.map(|(data, id)| heard("message", data, id)));
    assert_eq!(read("data\n\ndata\ndata\n\ndata:").events.len(), 2);
    assert_eq!(read("data:test\n\ndata: test\n\n").events, vec![heard("message", "test", ""); 2]);
    assert_eq!(read("\u{feff}data: x\r\rretry: 1a\rretry: 12\r\n").events.len(), 1);
    assert_eq!(read("retry: 12\r\n").retry, Some(12));
}

/// Text in which line breaks, colons and spaces are not rare.
fn text() -> impl Strategy<Value = String> {
    let breaks = "(\r\n|\n|\r| |:|\u{feff}|data: |id: |\0|[a-zäß]{0,9}){0,12}";
    prop_oneof![breaks.prop_map(String::from), any::<String>()]
}

fn one_line() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace(['\r', '\n', '\0'], ""))
}

/// An id that can come back in a header field.
fn id() -> impl Strategy<Value = String> {
    one_line().prop_map(|text| {
        let text: String = text.chars().filter(|char| !char.is_ascii_control()).collect();
        text.trim_matches(' ').to_owned()
    })
}

#[derive(Clone, Debug)]
struct Parts {
    name: Option<String>,
    id: Option<String>,
    data: Option<String>,
    comment: Option<String>,
    retry: Option<u32>,
}

fn parts() -> impl Strategy<Value = Parts> {
    use proptest::option::of as maybe;
    (
        maybe(one_line()),
        maybe(id()),
        proptest::option::weighted(0.9, text()),
        maybe(text()),
        maybe(0..=i32::MAX as u32),
    )
        .prop_map(|(name, id, data, comment, retry)| Parts { name, id, data, comment, retry })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        all in proptest::collection::vec(parts(), 0..6),
        cuts in proptest::collection::vec(1..40_usize, 1..8),
    ) {
        let (mut out, mut expected) = (BytesMut::new(), Vec::new());
        let (mut last_id, mut retry, mut comments) = (String::new(), None, Vec::new());
        let lf = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
        for Parts { name, id, data, comment, retry: time } in all {
            let mut event = Event::comment(comment.as_deref().unwrap_or("-"));
            if let Some(data) = &data {
                // Data and a comment have one constructor each, and go in one after the other.
                event.write(&mut out);
                event = Event::new(data);
            }
            if let Some(name) = &name {
                event = event.name(name).unwrap();
            }
            if let Some(id) = id {
                event = event.id(&id).unwrap();
                last_id = id;
            }
            if let Some(time) = time {
                event = event.retry(Duration::from_millis(time.into()));
                retry = Some(u64::from(time));
            }
            event.write(&mut out);
            comments.extend(lf(comment.as_deref().unwrap_or("-")).split('\n').map(str::to_owned));
            if let Some(data) = data {
                let name = name.filter(|it| !it.is_empty()).unwrap_or("message".into());
                expected.push(heard(&name, &lf(&data), &last_id));
            }
        }
        let mut parser = Parser::default();
        let mut rest = &out[..];
        for cut in cuts.iter().cycle() {
            let (piece, tail) = rest.split_at(rest.len().min(*cut));
            parser.push(piece);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&parser.events, &expected);
        prop_assert_eq!(&parser.last_event_id, &last_id);
        prop_assert_eq!(parser.retry, retry);
        prop_assert_eq!(&parser.comments, &comments);
    }
}
