//! How peers end a connection and a message, where libraries differ. Both sides live with all of it.

use wse_transport::driver::{Driver, DriverEvent, DriverOptions, TransportUse};
use wse_transport::ws::{
    CloseCode, CloseFrame, Closing, Config, Frame, Message, Opcode, ProtocolError, Role,
};

use crate::support::driver::{START, events};
use crate::support::ws::{assert_fails, bytes, close, other, recv, text, with_peer};

const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// RFC 6455 §7.4.2: status codes from 0 to 999 are not used. Some library sends 0 where it means none, for which the RFC has
/// the empty payload. So it is a violation; what was sent before it is received.
#[tokio::test(start_paused = true)]
async fn status_0_is_a_violation_behind_all_that_was_sent_before() {
    for payload in [&b"\0\0"[..], b"\0\0bye", b"\x03\xe7"] {
        for role in ROLES {
            let (mut socket, mut peer) = with_peer(role, Config::default(), 1024);
            peer.send(text("last")).await;
            peer.send(Frame::new(Opcode::Close, payload)).await;
            assert_eq!(recv(&mut socket).await, Some(Message::text("last")));
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            let error = ProtocolError::InvalidCloseCode(code);
            assert_fails(&mut socket, peer, error, CloseCode::PROTOCOL_ERROR).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn status_0_in_answer_to_a_close_frame_ends_the_closing_handshake() {
    for payload in [&b"\0\0"[..], b"\x03", b"\x03\xed"] {
        for role in ROLES {
            let (mut socket, mut peer) = with_peer(role, Config::default(), 1024);
            socket.close(Some(CloseCode(4001).into()));
            assert_eq!(futures::future::poll_immediate(recv(&mut socket)).await, None);
            assert_eq!(peer.closed_with().await, Some(CloseCode(4001).into()));
            peer.send(Frame::new(Opcode::Close, payload)).await;
            if role == Role::Client {
                // The server ends TCP.
                drop(peer);
                assert_eq!(recv(&mut socket).await, None);
            } else {
                assert_eq!(recv(&mut socket).await, None);
                assert_eq!(peer.recv().await, None);
            }
            assert_eq!(socket.closing(), Closing::Ended);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_answered_by_1000_whatever_was_sent_is_an_answer() {
    for answer in [
        close(CloseCode::NORMAL, ""),
        close(CloseCode::NORMAL, "ok"),
        Frame::new(Opcode::Close, ""),
    ] {
        for role in ROLES {
            let (mut socket, mut peer) = with_peer(role, Config::default(), 1024);
            socket.close(Some(CloseFrame::new(CloseCode(4001), "tired")));
            assert_eq!(futures::future::poll_immediate(recv(&mut socket)).await, None);
            assert_eq!(peer.closed_with().await.map(|it| it.code), Some(CloseCode(4001)));
            peer.send(answer.clone()).await;
            assert!(matches!(recv(&mut socket).await, Some(Message::Close(_))));
            drop(peer);
            assert_eq!(recv(&mut socket).await, None);
        }
    }
}

#[test]
fn fin_without_close_is_the_end_in_any_state() {
    for role in ROLES {
        let mut driver = Driver::opened(role, DriverOptions::default());
        driver.receive(&bytes(other(role), text("last")));
        driver.end();
        assert!(matches!(driver.next_event(START), Some(DriverEvent::Message(_))));
        assert_eq!(events(&mut driver), ["close 1006 "]);
        assert_eq!(driver.transport(), TransportUse::Close);

        // Within a frame, and in answer to a close frame.
        let mut driver = Driver::opened(role, DriverOptions::default());
        driver.receive(&bytes(other(role), text("cut"))[..3]);
        driver.end();
        assert_eq!(events(&mut driver), ["close 1006 "]);
        let mut driver = Driver::opened(role, DriverOptions::default());
        driver.close(Some(CloseCode(4001).into()));
        driver.take_output();
        driver.end();
        assert_eq!(events(&mut driver), ["close 1006 "]);
        assert_eq!(driver.transport(), TransportUse::Close);
    }
}
