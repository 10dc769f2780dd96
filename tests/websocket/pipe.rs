//! The WebSocket over a pipe: what it does by itself, and what its peers cannot make it do.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::ws::*;
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt, future::poll_immediate};
use tokio::{
    io::{DuplexStream, duplex},
    task::yield_now,
    time::{Instant, advance, timeout},
};
use wse_transport::ws::{
    CloseCode, CloseFrame, Closing, Config, ControlRate, Error, Frame, Limits, Message,
    MisuseError, Opcode, ProtocolError, Role, WebSocket,
};

fn limits(limits: Limits) -> Config {
    Config::default().limits(limits)
}

fn closed(code: CloseCode, reason: &'static str) -> Option<Message> {
    Some(Message::Close(Some(CloseFrame::new(code, reason))))
}

#[tokio::test(start_paused = true)]
async fn control_frames_pass_between_fragments() {
    let (mut server, mut peer) = self::server(Config::default());
    peer.send(Frame::fragment(Opcode::Text, "He")).await;
    peer.send(ping("1")).await;
    peer.send(Frame::fragment(Opcode::Continuation, "")).await;
    peer.send(Frame::new(Opcode::Pong, "2")).await;
    peer.send(Frame::new(Opcode::Continuation, "llo")).await;

    assert_eq!(recv(&mut server).await, Some(Message::Ping("1".into())));
    assert_eq!(peer.recv().await, Some(Frame::new(Opcode::Pong, "1")));
    assert_eq!(recv(&mut server).await, Some(Message::Pong("2".into())));
    assert_eq!(recv(&mut server).await, Some(Message::text("Hello")));
}

#[tokio::test(start_paused = true)]
async fn a_message_of_exactly_the_limit_passes() {
    let (mut server, mut peer) = self::server(limits(Limits::default().max_message(1000)));
    peer.send(binary(1000)).await;
    assert!(matches!(recv(&mut server).await, Some(Message::Binary(it)) if it.len() == 1000));
    peer.send(Frame::fragment(Opcode::Binary, vec![0; 999])).await;
    peer.send(Frame::new(Opcode::Continuation, vec![0; 1])).await;
    assert!(matches!(recv(&mut server).await, Some(Message::Binary(it)) if it.len() == 1000));
    peer.send(binary(1001)).await;
    let error = ProtocolError::FrameTooBig { declared: 1001, limit: 1000 };
    assert_fails(&mut server, peer, error, CloseCode::TOO_BIG).await;
}

#[tokio::test(start_paused = true)]
async fn fragments_add_up_to_the_limit() {
    let (mut server, mut peer) = self::server(limits(Limits::default().max_message(1000)));
    peer.send(Frame::fragment(Opcode::Binary, vec![0; 999])).await;
    peer.send(Frame::new(Opcode::Continuation, vec![0; 2])).await;
    let error = ProtocolError::MessageTooBig { declared: 1001, limit: 1000 };
    assert_fails(&mut server, peer, error, CloseCode::TOO_BIG).await;
}

#[tokio::test(start_paused = true)]
async fn empty_fragments_count() {
    let (mut server, mut peer) = self::server(limits(Limits::default().max_fragments(3)));
    for _ in 0..2 {
        peer.send(Frame::fragment(Opcode::Text, "")).await;
        peer.send(Frame::fragment(Opcode::Continuation, "")).await;
        peer.send(Frame::new(Opcode::Continuation, "x")).await;
        assert_eq!(recv(&mut server).await, Some(Message::text("x")));
    }
    peer.send(Frame::fragment(Opcode::Text, "")).await;
    for _ in 0..3 {
        peer.send(Frame::fragment(Opcode::Continuation, "")).await;
    }
    let error = ProtocolError::TooManyFragments { limit: 3 };
    assert_fails(&mut server, peer, error, CloseCode::POLICY).await;
}

#[tokio::test(start_paused = true)]
async fn limits_change_between_messages() {
    let (mut server, mut peer) = self::server(limits(Limits::default().max_message(10)));
    peer.send(binary(10)).await;
    assert!(recv(&mut server).await.is_some());
    server.set_limits(server.limits().max_message(20));
    peer.send(binary(20)).await;
    assert!(recv(&mut server).await.is_some());
    peer.send(binary(21)).await;
    let error = ProtocolError::FrameTooBig { declared: 21, limit: 20 };
    assert_fails(&mut server, peer, error, CloseCode::TOO_BIG).await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_control_frames_is_a_violation() {
    let (mut server, mut peer) = self::server(Config::default());
    for _ in 0..60 {
        peer.send(ping("")).await;
        assert!(recv(&mut server).await.is_some());
        peer.recv().await;
    }
    advance(Duration::from_secs(1)).await;
    for _ in 0..20 {
        peer.send(Frame::new(Opcode::Pong, "")).await;
        assert!(recv(&mut server).await.is_some());
    }
    peer.send(ping("")).await;
    assert_fails(&mut server, peer, ProtocolError::ControlFlood, CloseCode::POLICY).await;
}

#[tokio::test(start_paused = true)]
async fn the_control_rate_can_be_set_and_turned_off() {
    let (mut server, mut peer) = self::server(Config::default().control_rate(None));
    for _ in 0..1000 {
        peer.send(ping("")).await;
        assert!(recv(&mut server).await.is_some());
    }
    let rate = ControlRate { burst: 1, per_second: 1 };
    let (mut server, mut peer) = self::server(Config::default().control_rate(Some(rate)));
    peer.send(ping("")).await;
    assert!(recv(&mut server).await.is_some());
    peer.recv().await;
    peer.send(ping("")).await;
    assert_fails(&mut server, peer, ProtocolError::ControlFlood, CloseCode::POLICY).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_owed_one_pong() {
    let (mut server, mut peer) = with_peer(Role::Server, Config::default().control_rate(None), 64);
    let payload = |n: u32| Bytes::from(format!("ping {n:05}"));
    for n in 0..1000 {
        peer.send(Frame::new(Opcode::Ping, payload(n))).await;
        assert_eq!(recv(&mut server).await, Some(Message::Ping(payload(n))));
        assert!(server.queued() <= 16);
    }
    // What fitted into the pipe comes in order, and at last the answer to the latest ping.
    let reading = async { while recv(&mut server).await.is_some() {} };
    let answers = async {
        let mut last = None;
        let mut count = 0;
        while last != Some(payload(999)) {
            last = peer.recv().await.map(|frame| frame.payload);
            count += 1;
        }
        drop(peer);
        count
    };
    let ((), count) = futures::join!(reading, answers);
    assert!(count < 10, "{count} pongs");
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_while_writing_is_blocked() {
    let (mut server, mut peer) = with_peer(Role::Server, Config::default(), 1024);
    server.feed(Message::binary(vec![7; 500_000])).await.unwrap();
    assert!(poll_immediate(server.flush()).await.is_none());
    for _ in 0..100 {
        peer.send(text("hello")).await;
        assert_eq!(recv(&mut server).await, Some(Message::text("hello")));
    }
    // and writing goes on while nothing comes
    let (sent, received) = futures::join!(server.flush(), peer.recv());
    sent.unwrap();
    assert_eq!(received.unwrap().payload.len(), 500_000);
    assert_eq!(server.queued(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_the_sender_up() {
    let config = Config::default().write_buffer(1000);
    let (mut server, mut peer) = with_peer(Role::Server, config, 64);
    let mut fed = 0;
    while poll_immediate(server.feed(Message::binary(vec![7; 98]))).await.is_some() {
        fed += 1;
    }
    assert!(server.queued() < 1000 + 100);
    let receiving = async {
        for _ in 0..fed {
            assert_eq!(peer.recv().await, Some(binary(98)));
        }
    };
    let (sent, ()) = futures::join!(server.flush(), receiving);
    sent.unwrap();
}

#[tokio::test(start_paused = true)]
async fn fed_messages_are_written_at_once_by_flush() {
    let (mut server, mut peer) = self::server(Config::default());
    for _ in 0..100 {
        server.feed(Message::text("x")).await.unwrap();
    }
    assert_eq!(server.queued(), 300);
    assert!(poll_immediate(peer.recv()).await.is_none());
    server.flush().await.unwrap();
    for _ in 0..100 {
        assert_eq!(peer.recv().await, Some(text("x")));
    }
}

#[tokio::test(start_paused = true)]
async fn the_peers_close_is_answered_and_yielded_once() {
    for role in [Role::Server, Role::Client] {
        let (mut socket, mut peer) = with_peer(role, Config::default(), 1024);
        peer.send(close(CloseCode::GOING_AWAY, "bye")).await;
        // what follows a close frame is not looked at
        peer.send_bytes(b"\xff\xff\xff").await;
        assert_eq!(recv(&mut socket).await, closed(CloseCode::GOING_AWAY, "bye"));
        assert_eq!(peer.recv().await, Some(close(CloseCode::GOING_AWAY, "bye")));
        match role {
            Role::Server => {
                assert_eq!(recv(&mut socket).await, None);
                assert_eq!(peer.recv().await, None);
            }
            // A client leaves TCP to the server.
            Role::Client => {
                assert!(poll_immediate(socket.next()).await.is_none());
                drop(peer);
                assert_eq!(recv(&mut socket).await, None);
            }
        }
        assert_eq!(recv(&mut socket).await, None);
        assert_eq!(socket.closing(), Closing::Ended);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_close_is_answered_with_an_empty_one() {
    let (mut server, mut peer) = self::server(Config::default());
    peer.send(Frame::new(Opcode::Close, "")).await;
    assert_eq!(recv(&mut server).await, Some(Message::Close(None)));
    assert_eq!(peer.closed_with().await, None);
}

#[tokio::test(start_paused = true)]
async fn our_close_discards_data_and_waits_for_theirs() {
    let (mut server, mut peer) = self::server(Config::default());
    server.close(Some(CloseCode::NORMAL.into()));
    server.close(Some(CloseCode::INTERNAL.into()));
    let refused = server.send(Message::text("late")).await;
    assert!(matches!(refused, Err(Error::Misuse(MisuseError::Closed))));
    peer.send(text("crossing")).await;
    peer.send(ping("crossing")).await;
    assert!(poll_immediate(server.next()).await.is_none());
    assert_eq!(peer.closed_with().await, Some(CloseCode::NORMAL.into()));
    peer.send(close(CloseCode::NORMAL, "")).await;
    assert_eq!(recv(&mut server).await, closed(CloseCode::NORMAL, ""));
    assert_eq!(recv(&mut server).await, None);
    assert_eq!(peer.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn sending_a_close_message_begins_the_handshake() {
    let (mut server, mut peer) = self::server(Config::default());
    server.send(closed(CloseCode::TRY_AGAIN, "later").unwrap()).await.unwrap();
    assert_eq!(server.closing(), Closing::CloseSent);
    assert_eq!(peer.recv().await, Some(close(CloseCode::TRY_AGAIN, "later")));
}

#[tokio::test(start_paused = true)]
async fn closing_is_bounded_in_time() {
    for config in [Config::default(), Config::default().close_timeout(Duration::from_secs(3))] {
        for role in [Role::Server, Role::Client] {
            // a peer that neither answers nor reads
            let (mut socket, _peer) = with_peer(role, config, 1);
            let start = Instant::now();
            socket.close(None);
            assert_eq!(recv(&mut socket).await, None);
            assert_eq!(start.elapsed(), config.close_timeout);

            // one that breaks the rules, and stays
            let (mut socket, mut peer) = with_peer(role, config, 64);
            peer.send_bytes(&[0xff]).await;
            peer.send_bytes(&[0xff]).await;
            let start = Instant::now();
            assert!(matches!(socket.next().await, Some(Err(Error::Protocol(_)))));
            assert!(socket.next().await.is_none());
            assert_eq!(start.elapsed(), config.close_timeout);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_violation_is_reported_though_its_close_frame_cannot_be_written() {
    let (mut server, mut peer) = with_peer(Role::Server, Config::default(), 16);
    server.feed(Message::binary(vec![0; 1000])).await.unwrap();
    peer.send_bytes(&[0xff, 0xff]).await;
    let start = Instant::now();
    assert!(matches!(
        server.next().await,
        Some(Err(Error::Protocol(ProtocolError::ReservedOpcode(15))))
    ));
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert!(server.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn sending_a_close_does_not_wait_for_longer_than_the_timeout() {
    let (mut server, _peer) = with_peer(Role::Server, Config::default(), 1);
    let start = Instant::now();
    let sent = server.send(Message::Close(None)).await;
    assert!(matches!(sent, Err(Error::Io(_))));
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert!(server.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_violation_after_our_close_is_only_the_end() {
    let (mut server, mut peer) = self::server(Config::default());
    server.close(None);
    peer.send_bytes(&[0xff, 0xff]).await;
    assert_eq!(peer_frames(&mut peer, &mut server).await, [Frame::new(Opcode::Close, "")]);
}

/// What the peer gets until the end, while the server finds nothing to report.
async fn peer_frames(peer: &mut Peer, server: &mut WebSocket<DuplexStream>) -> Vec<Frame> {
    assert!(server.next().await.is_none());
    let mut frames = Vec::new();
    while let Some(frame) = peer.recv().await {
        frames.push(frame);
    }
    frames
}

#[tokio::test(start_paused = true)]
async fn closing_wakes_a_task_that_reads() {
    let (server, mut peer) = self::server(Config::default());
    let shared = Arc::new(Mutex::new(server));
    let reader = Arc::clone(&shared);
    let reader = tokio::spawn(poll_fn(move |cx| reader.lock().unwrap().poll_next_unpin(cx)));
    yield_now().await;
    shared.lock().unwrap().close(None);
    let start = Instant::now();
    assert_eq!(peer.recv().await, Some(Frame::new(Opcode::Close, "")));
    assert_eq!(start.elapsed(), Duration::ZERO);
    // and starts the deadline
    assert!(reader.await.unwrap().is_none());
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn both_sides_close_at_once() {
    let (one, other) = duplex(1024);
    let mut client = WebSocket::new(one, Role::Client, Config::default());
    let mut server = WebSocket::new(other, Role::Server, Config::default());
    client.close(Some(CloseCode::NORMAL.into()));
    server.close(Some(CloseCode::GOING_AWAY.into()));
    let start = Instant::now();
    let to_client = async {
        let messages: Vec<_> = (&mut client).map(Result::unwrap).collect().await;
        messages
    };
    let to_server = async {
        let messages: Vec<_> = (&mut server).map(Result::unwrap).collect().await;
        drop(server);
        messages
    };
    let (to_client, to_server) = futures::join!(to_client, to_server);
    assert_eq!(to_client, [closed(CloseCode::GOING_AWAY, "").unwrap()]);
    assert_eq!(to_server, [closed(CloseCode::NORMAL, "").unwrap()]);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn sink_close_carries_the_handshake_out_and_keeps_the_peers_close() {
    let (mut server, mut peer) = self::server(Config::default());
    let answering = async {
        assert_eq!(peer.closed_with().await, Some(CloseCode::NORMAL.into()));
        peer.send(text("discarded")).await;
        peer.send(close(CloseCode::NORMAL, "bye")).await;
    };
    let (done, ()) = futures::join!(SinkExt::close(&mut server), answering);
    done.unwrap();
    assert_eq!(recv(&mut server).await, closed(CloseCode::NORMAL, "bye"));
    assert_eq!(recv(&mut server).await, None);
}

#[tokio::test(start_paused = true)]
async fn tcp_that_is_cut_is_the_end_and_no_error() {
    let hello = bytes(Role::Client, text("Hello"));
    let fragment = bytes(Role::Client, Frame::fragment(Opcode::Text, "Hel"));
    for wire in [&b""[..], &hello[..1], &hello[..7], &fragment[..]] {
        let (mut server, mut peer) = self::server(Config::default());
        peer.send_bytes(wire).await;
        drop(peer);
        assert_eq!(recv(&mut server).await, None);
        assert_eq!(recv(&mut server).await, None);
        let refused = server.send(Message::text("late")).await;
        assert!(matches!(refused, Err(Error::Misuse(MisuseError::Closed))));
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_end_is_delivered() {
    let (mut server, mut peer) = self::server(Config::default());
    peer.send(text("one")).await;
    peer.send(text("two")).await;
    drop(peer);
    assert_eq!(recv(&mut server).await, Some(Message::text("one")));
    assert_eq!(recv(&mut server).await, Some(Message::text("two")));
    assert_eq!(recv(&mut server).await, None);
}

#[tokio::test(start_paused = true)]
async fn violations_are_answered_reported_once_and_final() {
    let (mut server, mut peer) = self::server(Config::default());
    peer.send(text("fine")).await;
    peer.send_bytes(&hex("c1 80 00 00 00 00")).await;
    peer.send(text("never seen")).await;
    assert_eq!(recv(&mut server).await, Some(Message::text("fine")));
    assert_fails(&mut server, peer, ProtocolError::ReservedBits, CloseCode::PROTOCOL_ERROR).await;

    let (mut server, mut peer) = self::server(Config::default());
    peer.send(Frame::new(Opcode::Close, &b"\x03\xed"[..])).await;
    let error = ProtocolError::InvalidCloseCode(1005);
    assert_fails(&mut server, peer, error, CloseCode::PROTOCOL_ERROR).await;
}

#[tokio::test(start_paused = true)]
async fn text_fails_while_its_frame_arrives() {
    let (mut server, mut peer) = self::server(Config::default());
    let wire = bytes(Role::Client, Frame::new(Opcode::Text, &b"good \xed\xa0 and much more"[..]));
    peer.send_bytes(&wire[..14]).await;
    assert_fails(&mut server, peer, ProtocolError::InvalidText, CloseCode::INVALID_PAYLOAD).await;
}

#[tokio::test(start_paused = true)]
async fn next_is_cancel_safe_at_every_byte() {
    let (mut server, mut peer) = self::server(Config::default());
    let sent = [text("Hello"), ping("p"), binary(300), close(CloseCode::NORMAL, "x")];
    let mut received = Vec::new();
    for frame in &sent {
        for byte in bytes(Role::Client, frame.clone()) {
            peer.send_bytes(&[byte]).await;
            // the future is dropped whether or not it is done
            if let Some(message) = poll_immediate(server.next()).await {
                received.push(message.unwrap().unwrap().into_frame());
            }
        }
    }
    assert_eq!(received, sent);
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_the_handshake_are_the_first_frames() {
    let (ours, _theirs) = duplex(1024);
    let mut leftover = bytes(Role::Client, text("early"));
    leftover.extend_from_slice(&bytes(Role::Client, text("half"))[..5]);
    let mut server = WebSocket::with_leftover(ours, leftover, Role::Server, Config::default());
    assert_eq!(recv(&mut server).await, Some(Message::text("early")));
    assert!(poll_immediate(server.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn parts_hold_what_was_not_read_and_not_written() {
    let (ours, _theirs) = duplex(1024);
    let leftover = bytes(Role::Client, text("early"));
    let mut server =
        WebSocket::with_leftover(ours, leftover.clone(), Role::Server, Config::default());
    server.feed(Message::text("x")).await.unwrap();
    let parts = server.into_parts();
    assert_eq!(parts.read_buf, leftover);
    assert_eq!(parts.write_buf, BytesMut::from(&b"\x81\x01x"[..]));
}

#[tokio::test(start_paused = true)]
async fn control_messages_of_ours_have_at_most_125_bytes() {
    let (mut server, mut peer) = self::server(Config::default());
    let refused = server.send(Message::Ping(vec![0; 126].into())).await;
    assert!(matches!(refused, Err(Error::Misuse(MisuseError::ControlTooLong))));
    server.send(Message::Ping(vec![0; 125].into())).await.unwrap();
    assert_eq!(peer.recv().await.map(|it| it.payload.len()), Some(125));
}

#[tokio::test(start_paused = true)]
async fn halves_in_two_tasks_lose_no_wake_up() {
    let (server, mut peer) = with_peer(Role::Server, Config::default(), 256);
    let (mut sink, stream) = server.split();
    // The reader answers pings on the same transport on which the writer waits.
    let reader = tokio::spawn(stream.map(Result::unwrap).collect::<Vec<_>>());
    let writer = tokio::spawn(async move {
        for _ in 0..200 {
            sink.send(Message::binary(vec![7; 300])).await.unwrap();
        }
        sink.close().await.unwrap();
    });
    let peer = async {
        let mut received = 0;
        for _ in 0..20 {
            peer.send(ping("")).await;
            while received % 10 != 9 {
                received += usize::from(peer.recv().await.unwrap().opcode == Opcode::Binary);
            }
            received += usize::from(peer.recv().await.unwrap().opcode == Opcode::Binary);
        }
        while peer.recv().await.unwrap().opcode != Opcode::Close {}
        peer.send(close(CloseCode::NORMAL, "")).await;
        assert_eq!(peer.recv().await, None);
    };
    timeout(Duration::from_secs(5), peer).await.unwrap();
    writer.await.unwrap();
    let messages = reader.await.unwrap();
    assert_eq!(messages.last().cloned(), closed(CloseCode::NORMAL, ""));
    assert_eq!(messages.iter().filter(|it| matches!(it, Message::Ping(_))).count(), 20);
}
