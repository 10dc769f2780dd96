//! The closing handshake as a machine, and what close frames say (RFC 6455 §7).

use bytes::Bytes;
use futures::StreamExt;
use wse_transport::ws::{
    CloseCode, CloseFrame,
    Closing::{self, Answering, CloseSent, Draining, Ended, Failed, Open},
    ClosingEvent::{self, Close, Eof, Flushed, PeerClose, Timeout, Violation},
    Config, Frame, Limits, Opcode, ProtocolError, Role,
};

use crate::support::ws::{bytes, hex, other, text, with_peer};

const EVENTS: [ClosingEvent; 6] = [Close, PeerClose, Violation, Flushed, Eof, Timeout];

/// For each state, what each of [`EVENTS`] makes of it. In `true` pairs a close frame is queued.
type Row = (Closing, [(Closing, bool); 6]);

#[rustfmt::skip]
fn table(role: Role) -> [Row; 6] {
    let answered = match role { Role::Server => Ended, Role::Client => Draining };
    let end = (Ended, false);
    let stay = |state| (state, false);
    [
        //            Close              PeerClose           Violation           Flushed            Eof  Timeout
        (Open,      [(CloseSent, true), (Answering, true),  (Failed, true),     stay(Open),        end, end]),
        (CloseSent, [stay(CloseSent),   (Answering, false), (Answering, false), stay(CloseSent),   end, end]),
        (Answering, [stay(Answering),   stay(Answering),    stay(Answering),    (answered, false), end, end]),
        (Failed,    [stay(Failed),      stay(Failed),       stay(Failed),       (Draining, false), end, end]),
        (Draining,  [stay(Draining),    stay(Draining),     stay(Draining),     stay(Draining),    end, end]),
        (Ended,     [end,               end,                end,                end,               end, end]),
    ]
}

#[test]
fn every_state_knows_every_event() {
    for role in [Role::Server, Role::Client] {
        for (state, row) in table(role) {
            for (event, expected) in EVENTS.into_iter().zip(row) {
                assert_eq!(state.on(event, role), expected, "{role:?}: {state:?} × {event:?}");
            }
        }
    }
}

#[test]
fn at_most_one_close_frame_is_sent_whatever_happens() {
    // all sequences of four events
    for role in [Role::Server, Role::Client] {
        for n in 0..6_usize.pow(4) {
            let (mut state, mut sent) = (Open, 0);
            for digit in 0..4 {
                let (next, send) = state.on(EVENTS[n / 6_usize.pow(digit) % 6], role);
                state = next;
                sent += u32::from(send);
            }
            assert!(sent <= 1);
        }
    }
}

#[test]
fn a_client_leaves_tcp_to_the_server_unless_it_fails() {
    assert!(Answering.shuts_down(Role::Server));
    assert!(!Answering.shuts_down(Role::Client));
    assert!(Failed.shuts_down(Role::Server));
    assert!(Failed.shuts_down(Role::Client));
    assert!(Open.is_open() && !CloseSent.is_open());
}

#[test]
fn close_codes_of_section_7_4() {
    let good = [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    let bad = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
    for code in good {
        assert!(CloseCode(code).is_sendable(), "{code}");
        let payload = Bytes::copy_from_slice(&code.to_be_bytes());
        assert_eq!(CloseFrame::parse(&payload), Ok(Some(CloseCode(code).into())));
    }
    for code in bad {
        assert!(!CloseCode(code).is_sendable(), "{code}");
        let payload = Bytes::copy_from_slice(&code.to_be_bytes());
        assert_eq!(CloseFrame::parse(&payload), Err(ProtocolError::InvalidCloseCode(code)));
        assert_eq!(CloseFrame::from(CloseCode(code)).to_payload(), "");
    }
}

#[test]
fn close_payloads() {
    let parse = |payload: &'static [u8]| CloseFrame::parse(&Bytes::from_static(payload));
    assert_eq!(parse(b""), Ok(None));
    assert_eq!(parse(b"\x03"), Err(ProtocolError::CloseTooShort));
    assert_eq!(ProtocolError::CloseTooShort.close_code(), CloseCode::PROTOCOL_ERROR);
    assert_eq!(ProtocolError::InvalidCloseCode(0).close_code(), CloseCode::PROTOCOL_ERROR);
    assert_eq!(parse(b"\x03\xe8\xff"), Err(ProtocolError::InvalidCloseReason));
    assert_eq!(ProtocolError::InvalidCloseReason.close_code(), CloseCode::INVALID_PAYLOAD);
    let frame = CloseFrame::new(CloseCode::NORMAL, "bye");
    assert_eq!(frame.to_payload(), &b"\x03\xe8bye"[..]);
    assert_eq!(CloseFrame::parse(&frame.to_payload()), Ok(Some(frame)));
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    for (reason, kept) in [
        ("x".repeat(123), 123),
        ("x".repeat(124), 123),
        ("é".repeat(100), 122),
        (format!("x{}", "é".repeat(100)), 123),
        ("😀".repeat(40), 120),
    ] {
        let payload = CloseFrame::new(CloseCode::NORMAL, reason.clone()).to_payload();
        assert_eq!(payload.len(), 2 + kept);
        let parsed = CloseFrame::parse(&payload).unwrap().unwrap();
        assert!(reason.starts_with(parsed.reason.as_str()));
    }
}

#[test]
fn a_violation_is_told_with_a_code_and_a_short_reason() {
    use ProtocolError as E;
    for (error, code, reason) in [
        (E::ReservedBits, 1002, "reserved bit set"),
        (E::ReservedOpcode(11), 1002, "reserved opcode"),
        (E::Unmasked, 1002, "frame without a mask"),
        (E::Masked, 1002, "frame with a mask"),
        (E::LengthNotMinimal, 1002, "length in too many bytes"),
        (E::LengthTooLarge, 1002, "length over 2^63 - 1"),
        (E::ControlTooLong, 1002, "control frame over 125 bytes"),
        (E::ControlFragmented, 1002, "control frame in fragments"),
        (E::ContinuationUnexpected, 1002, "continuation without a message"),
        (E::ContinuationExpected, 1002, "new message before the end of the last one"),
        (E::FrameTooBig { declared: 4321, limit: 9 }, 1009, "message over 9 bytes in one frame"),
        (E::MessageTooBig { declared: 4321, limit: 1 << 20 }, 1009, "message over 1048576 bytes"),
        (E::InflatedTooBig { limit: 9 }, 1009, "message over 9 bytes after inflation"),
        (E::TooManyFragments { limit: 1024 }, 1008, "more than 1024 fragments"),
        (E::Extension(CloseCode(4321)), 4321, "frame that an extension cannot decode"),
        (E::InvalidDeflate, 1007, "message that cannot be inflated"),
        (E::InvalidText, 1007, "text that is not UTF-8"),
        (E::CloseTooShort, 1002, "close payload of one byte"),
        (E::InvalidCloseCode(4321), 1002, "invalid close code"),
        (E::InvalidCloseReason, 1007, "close reason that is not UTF-8"),
        (E::ControlFlood, 1008, "too many pings and pongs"),
    ] {
        assert_eq!(CloseFrame::from(error), CloseFrame::new(CloseCode(code), reason));
        assert!(reason.len() <= CloseFrame::MAX_REASON);
        assert!(!reason.contains("4321"), "it repeats what the peer sent");
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_protocol_is_closed_with_a_reason_on_either_side() {
    let raw = |text: &str| hex(text);
    for role in [Role::Server, Role::Client] {
        let of_peer = |frame: Frame| bytes(other(role), frame).to_vec();
        let limits = Limits::default().max_message(20).max_fragments(2);
        let part = |opcode| of_peer(Frame::fragment(opcode, "x"));
        for (wire, code, reason) in [
            (of_peer(Frame { rsv3: true, ..text("x") }), 1002, "reserved bit set"),
            (raw("8b 80 00 00 00 00"), 1002, "reserved opcode"),
            (of_peer(Frame::new(Opcode::Text, &b"\xff"[..])), 1007, "text that is not UTF-8"),
            (of_peer(Frame::new(Opcode::Close, &b"\0\0"[..])), 1002, "invalid close code"),
            (
                of_peer(Frame::new(Opcode::Close, &b"\x03\xe8\xff"[..])),
                1007,
                "close reason that is not UTF-8",
            ),
            (of_peer(text("012345678901234567890")), 1009, "message over 20 bytes in one frame"),
            (
                [
                    of_peer(Frame::fragment(Opcode::Text, "01234567890")),
                    of_peer(Frame::new(Opcode::Continuation, "0123456789")),
                ]
                .concat(),
                1009,
                "message over 20 bytes",
            ),
            (
                [part(Opcode::Text), part(Opcode::Continuation), part(Opcode::Continuation)]
                    .concat(),
                1008,
                "more than 2 fragments",
            ),
            (of_peer(Frame::new(Opcode::Pong, "")).repeat(61), 1008, "too many pings and pongs"),
        ] {
            let (mut socket, mut peer) =
                with_peer(role, Config::default().limits(limits), 64 * 1024);
            peer.send_bytes(&wire).await;
            while !matches!(socket.next().await, None | Some(Err(_))) {}
            let expected = CloseFrame::new(CloseCode(code), reason);
            assert_eq!(peer.closed_with().await, Some(expected), "{role:?}");
        }
    }
}
