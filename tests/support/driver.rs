//! The outputs of a WebSocket without I/O, as its driver sees them.

use std::time::Duration;

use wse_transport::driver::{Driver, DriverError, DriverEvent};
use wse_transport::ws::Message;

/// What time it is in all of these tests.
pub const START: Duration = Duration::from_secs(1000);

/// What an event says, without what differs from run to run.
pub fn said(event: DriverEvent) -> String {
    match event {
        DriverEvent::Connect => "connect".into(),
        DriverEvent::Open => "open".into(),
        DriverEvent::Message(Message::Text(text)) => format!("text {}", text.as_str()),
        DriverEvent::Message(Message::Binary(bytes)) => format!("binary {}", bytes.len()),
        DriverEvent::Ping(payload) => format!("ping {payload:?}"),
        DriverEvent::Pong { payload, latency } => format!("pong {payload:?} {latency:?}"),
        DriverEvent::Error(error) => format!("error {}", cause(&error)),
        DriverEvent::Close(frame) => format!("close {} {}", frame.code, frame.reason.as_str()),
        other => panic!("{other:?}"),
    }
}

pub fn cause(error: &DriverError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// All events there are. A server is started when it has its request.
pub fn events(driver: &mut Driver) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(event) = driver.next_event(START) {
        all.push(said(event));
        if all.last().unwrap() == "connect" {
            driver.start().unwrap();
        }
    }
    all
}
