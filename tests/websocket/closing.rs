//! The closing handshake as a machine, and what close frames say (RFC 6455 §7).

use bytes::Bytes;
use wse_transport::ws::{
    CloseCode, CloseFrame,
    Closing::{self, Answering, CloseSent, Draining, Ended, Failed, Open},
    ClosingEvent::{self, Close, Eof, Flushed, PeerClose, Timeout, Violation},
    ProtocolError, Role,
};

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
