//! Bytes from any client, of RFC 6455 or of a draft, to a server's driver that echoes.

use std::time::Duration;

use wse_transport::driver::{Driver, DriverEvent, DriverOptions, DriverState, TransportUse};
use wse_transport::ws::{Config, ControlRate, Deflate, Limits, Message};

use super::input::{Input, pieces};

const NOW: Duration = Duration::from_secs(1000);

/// `flags, sizes of pieces, bytes from the client`
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let sizes = input.sizes();
    let wire = input.rest();
    let whole = serve(flags, [wire]);
    let in_pieces = serve(flags, pieces(wire, &sizes));
    assert_eq!(in_pieces, whole, "the same however it is cut");
}

/// What the caller is told, and what he is told of the version.
fn serve<'a>(flags: u8, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, &'static str) {
    let limits = if flags & 4 == 0 { Limits::default() } else { Limits::default().max_message(50) };
    let config = Config::default()
        .limits(limits)
        .control_rate(Some(ControlRate { burst: 5, per_second: 1 }))
        .deflate((flags & 8 != 0).then(Deflate::default));
    let mut options = DriverOptions::default().config(config).protocols(["sample", "chat"]);
    options.allow_drafts = flags & 1 == 0;
    options.secure = flags & 2 != 0;
    let mut driver = Driver::server(options);
    let mut told = Vec::new();
    for piece in pieces {
        driver.receive(piece);
        listen(&mut driver, &mut told);
    }
    driver.end();
    listen(&mut driver, &mut told);
    driver.close(None);
    driver.take_output();
    for turn in 1..4 {
        while let Some(event) = driver.next_event(NOW + Duration::from_secs(60 * turn)) {
            told.push(said(&event));
        }
        driver.take_output();
    }
    assert!(told.last().is_some_and(|last| last.starts_with("close")), "it ends: {told:?}");
    assert_eq!(told.iter().filter(|event| event.starts_with("close")).count(), 1);
    assert_eq!(driver.state(), DriverState::Closed);
    assert_eq!(driver.transport(), TransportUse::Close);
    (told, driver.version())
}

fn listen(driver: &mut Driver, told: &mut Vec<String>) {
    loop {
        while let Some(event) = driver.next_event(NOW) {
            told.push(said(&event));
            match event {
                DriverEvent::Connect => driver.start().expect("it has its request"),
                DriverEvent::Message(message @ Message::Text(_)) => drop(driver.send(message)),
                _ => {}
            }
        }
        if driver.take_output().is_empty() {
            break;
        }
    }
}

fn said(event: &DriverEvent) -> String {
    match event {
        // Of several things that are wrong, either may be found first.
        DriverEvent::Error(_) => "error".to_owned(),
        DriverEvent::Close(frame) => format!("close {frame:?}"),
        other => format!("{other:?}"),
    }
}
