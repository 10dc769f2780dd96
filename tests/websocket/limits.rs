//! Limits that belong together move together.

use bytes::BytesMut;
use tokio_util::codec::Encoder;
use wse_transport::driver::{Driver, DriverEvent, DriverOptions};
use wse_transport::ws::{Config, Frame, Limits, Message, Opcode, ProtocolError, Role};

use crate::support::ws::{codec, decode};

const MIB: usize = 1 << 20;

/// A message of `len` bytes in frames of `size`, as a peer writes it that splits by default.
fn split(sender: Role, len: usize, size: usize) -> BytesMut {
    let mut codec = codec(sender, Limits::unlimited());
    let mut wire = BytesMut::new();
    let mut left = len;
    while left > 0 || wire.is_empty() {
        let opcode = if wire.is_empty() { Opcode::Binary } else { Opcode::Continuation };
        let now = left.min(size);
        left -= now;
        let frame = Frame { fin: left == 0, ..Frame::new(opcode, vec![7; now]) };
        codec.encode(frame, &mut wire).unwrap();
    }
    wire
}

/// What a peer that splits into frames of `size` bytes can send: the error, if there is one.
fn refused(limits: Limits, len: usize, size: usize) -> Option<ProtocolError> {
    let wire = split(Role::Client, len, size);
    let (frames, error) = decode(Role::Server, limits, wire.chunks(64 * 1024));
    assert!(error.is_some() || frames.iter().map(|it| it.payload.len()).sum::<usize>() == len);
    error
}

#[test]
fn peers_that_split_by_default_can_send_any_message_within_the_limit() {
    let raised = |bytes| Limits::default().max_message(bytes);
    for (limits, len, size) in [
        // Boost.Beast and gorilla/websocket; Tomcat; gorilla/websocket with a small write buffer.
        (raised(5 * MIB), 5 * MIB, 4096),
        (raised(9 * MIB), 9 * MIB, 8192),
        (Limits::default(), MIB, 512),
        // Frames whose length fits in the first two bytes of the header, and smaller ones.
        (Limits::default(), MIB, 125),
        (Limits::default(), MIB, 64),
        (raised(3 * MIB), 3 * MIB, 100),
        (raised(64 * MIB), 64 * MIB, 1024),
        (raised(16 * 1024), 16 * 1024, 64),
        (raised(1000), 1000, 1),
    ] {
        assert_eq!(refused(limits, len, size), None, "{len} bytes in frames of {size}");
        // One byte more is too many bytes, not too many fragments.
        let error = refused(limits, len + 1, size);
        let limit = limits.max_message;
        let declared = len as u64 + 1;
        assert_eq!(error, Some(ProtocolError::MessageTooBig { declared, limit }));
    }
}

#[test]
fn a_driver_takes_them_too() {
    let limits = Limits::default().max_message(5 * MIB);
    let options = DriverOptions::default().config(Config::default().limits(limits));
    let mut driver = Driver::opened(Role::Server, options);
    driver.receive(&split(Role::Client, 5 * MIB, 4096));
    let event = driver.next_event(std::time::Duration::ZERO);
    assert!(
        matches!(event, Some(DriverEvent::Message(Message::Binary(it))) if it.len() == 5 * MIB)
    );
}

#[test]
fn a_limit_that_was_set_stays_whatever_is_set_before_or_after_it() {
    let few = |limit| Some(ProtocolError::TooManyFragments { limit });
    assert_eq!(refused(Limits::default().max_fragments(3).max_message(MIB), 4, 1), few(3));
    assert_eq!(refused(Limits::default().max_message(MIB).max_fragments(3), 4, 1), few(3));
    let frame = |limits| refused(limits, 2000, 2000);
    let big = Some(ProtocolError::FrameTooBig { declared: 2000, limit: 1000 });
    assert_eq!(frame(Limits::default().max_frame(1000).max_message(MIB)), big);
    assert_eq!(frame(Limits::default().max_message(MIB).max_frame(1000)), big);
    // Nor does a limit that was lowered for a time, as it is before the welcome.
    let lowered = Limits::default().max_frame(1000).max_message(16 * 1024);
    assert_eq!(frame(lowered), big);
    assert_eq!(frame(lowered.max_message(MIB)), big);

    // The fields move together too.
    let mut limits = Limits::default();
    limits.max_message = 5 * MIB;
    assert_eq!(refused(limits, 5 * MIB, 4096), None);
    assert_eq!(refused(limits, 5 * MIB, 5 * MIB), None);
}

#[test]
fn fragments_stay_limited() {
    for (limits, most) in [
        (Limits::default(), 17_408),
        (Limits::default().max_message(16 * 1024), 1280),
        (Limits::default().max_message(0), 1024),
        (Limits::default().max_message(5 * MIB), 82_944),
        (Limits::default().max_fragments(0), 1),
    ] {
        assert_eq!(limits.fragment_limit(), most);
        let mut codec = codec(Role::Client, Limits::unlimited());
        let mut wire = BytesMut::new();
        for n in 0..=most {
            let opcode = if n == 0 { Opcode::Text } else { Opcode::Continuation };
            codec.encode(Frame::fragment(opcode, ""), &mut wire).unwrap();
        }
        let (frames, error) = decode(Role::Server, limits, [&wire[..]]);
        assert_eq!(error, Some(ProtocolError::TooManyFragments { limit: most }));
        assert_eq!(frames.len(), most);
    }
    assert_eq!(Limits::unlimited().fragment_limit(), usize::MAX);
    assert_eq!(Limits::unlimited().frame_limit(), usize::MAX);
}
