//! Messages fragment by fragment, and WebSockets as streams of bytes.

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::codec::{Decoder, Encoder};
use wse_transport::ws::{
    CloseCode, Codec, Config, Error, Frame, Limits, Message, MisuseError, Opcode, ProtocolError,
    Role, WebSocket,
};

fn pair(buffer: usize) -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let config = Config::default().limits(Limits::unlimited());
    let (one, other) = tokio::io::duplex(buffer);
    (WebSocket::new(one, Role::Client, config), WebSocket::new(other, Role::Server, config))
}

proptest! {
    #[test]
    fn pieces_make_the_message_however_it_arrives(
        messages in prop::collection::vec(("\\PC{0,80}", any::<[u8; 4]>()), 1..6),
        cuts in prop::collection::vec(1..60_usize, 1..20),
    ) {
        let mut masks = messages.iter().map(|it| it.1).collect::<Vec<_>>().into_iter();
        let mut client = Codec::client(Limits::default(), move || masks.next().unwrap());
        let mut wire = BytesMut::new();
        for (text, _) in &messages {
            client.encode(Frame::new(Opcode::Text, text.clone()), &mut wire).unwrap();
        }
        let mut server = Codec::server(Limits::default());
        server.set_streaming(true);
        let (mut input, mut got, mut begun) = (BytesMut::new(), vec![String::new()], false);
        let mut bytes = Vec::new();
        for cut in cuts.into_iter().cycle() {
            if wire.is_empty() {
                break;
            }
            input.extend_from_slice(&wire.split_to(cut.min(wire.len())));
            while let Some(frame) = server.decode(&mut input).unwrap() {
                let expected = if begun { Opcode::Continuation } else { Opcode::Text };
                prop_assert_eq!(frame.opcode, expected);
                bytes.extend_from_slice(&frame.payload);
                begun = !frame.fin;
                if frame.fin {
                    got.last_mut().unwrap().push_str(std::str::from_utf8(&bytes).unwrap());
                    bytes.clear();
                    got.push(String::new());
                }
            }
        }
        got.pop();
        let sent: Vec<String> = messages.into_iter().map(|it| it.0).collect();
        prop_assert_eq!(got, sent);
        prop_assert!(server.is_idle() && !begun);
    }
}

#[tokio::test]
async fn a_single_frame_larger_than_all_buffers_comes_in_pieces() {
    let (mut client, mut server) = pair(1000);
    let payload: Bytes = (0..300_000_u32).map(|it| it as u8).collect();
    let sent = payload.clone();
    let sending = tokio::spawn(async move {
        client.send(Message::Binary(sent)).await.unwrap();
        client
    });
    let mut frames = server.frames();
    let (mut got, mut pieces) = (BytesMut::new(), 0);
    loop {
        let frame = frames.next().await.unwrap().unwrap();
        assert_eq!(frame.opcode, if pieces == 0 { Opcode::Binary } else { Opcode::Continuation });
        got.extend_from_slice(&frame.payload);
        pieces += 1;
        if frame.fin {
            break;
        }
    }
    assert!(pieces > 100, "{pieces}");
    assert_eq!(got, payload);

    // And messages go on.
    drop(frames);
    let mut client = sending.await.unwrap();
    client.send(Message::text("next")).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("next"));
}

#[tokio::test]
async fn text_that_is_wrong_fails_in_the_piece_where_it_is() {
    let (mut client, mut server) = pair(1 << 16);
    let mut frames = client.frames();
    frames.send(Frame::fragment(Opcode::Text, &b"fine \xc3"[..])).await.unwrap();
    frames.send(Frame::fragment(Opcode::Continuation, &b"\xa9 but \xff"[..])).await.unwrap();
    let mut frames = server.frames();
    assert_eq!(frames.next().await.unwrap().unwrap().payload, &b"fine \xc3"[..]);
    let error = frames.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::InvalidText)), "{error:?}");
}

#[tokio::test]
async fn control_frames_are_answered_between_the_pieces() {
    let (mut client, mut server) = pair(1 << 16);
    let mut sending = client.frames();
    sending.send(Frame::fragment(Opcode::Binary, "a")).await.unwrap();
    sending.send(Frame::new(Opcode::Ping, "p")).await.unwrap();
    sending.send(Frame::new(Opcode::Continuation, "b")).await.unwrap();
    let mut receiving = server.frames();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let frame = receiving.next().await.unwrap().unwrap();
        seen.push((frame.opcode, frame.fin, frame.payload));
    }
    let expected = [
        (Opcode::Binary, false, "a".into()),
        (Opcode::Ping, true, "p".into()),
        (Opcode::Continuation, true, "b".into()),
    ];
    assert_eq!(seen, expected);
    let pong = sending.next().await.unwrap().unwrap();
    assert_eq!((pong.opcode, &pong.payload[..]), (Opcode::Pong, &b"p"[..]));

    sending.send(Frame::new(Opcode::Close, &[0x03, 0xe8][..])).await.unwrap();
    let close = receiving.next().await.unwrap().unwrap();
    assert_eq!((close.opcode, &close.payload[..]), (Opcode::Close, &[0x03, 0xe8][..]));
    assert!(receiving.next().await.is_none());
}

#[tokio::test]
async fn the_rest_of_a_message_that_nobody_reads_any_more_is_passed_over() {
    let (mut client, mut server) = pair(1 << 16);
    let mut sending = client.frames();
    sending.send(Frame::fragment(Opcode::Binary, "begun")).await.unwrap();
    assert_eq!(server.frames().next().await.unwrap().unwrap().payload, "begun");
    sending.send(Frame::fragment(Opcode::Continuation, "more")).await.unwrap();
    sending.send(Frame::new(Opcode::Continuation, "end")).await.unwrap();
    sending.send(Frame::new(Opcode::Text, "next")).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("next"));
}

#[tokio::test]
async fn a_message_that_began_to_be_put_together_is_given_out_whole() {
    let (mut client, mut server) = pair(1 << 16);
    let mut sending = client.frames();
    sending.send(Frame::fragment(Opcode::Text, "one ")).await.unwrap();
    assert!(futures::poll!(server.next()).is_pending());
    sending.send(Frame::new(Opcode::Continuation, "two")).await.unwrap();
    let frame = server.frames().next().await.unwrap().unwrap();
    assert_eq!(frame, Frame::new(Opcode::Text, "one two"));
}

#[tokio::test]
async fn frames_out_of_order_are_refused_before_anything_is_sent() {
    let (mut client, mut server) = pair(1 << 16);
    let refused = |error: Error| match error {
        Error::Misuse(error) => error,
        other => panic!("{other:?}"),
    };
    let mut frames = client.frames();
    let error = frames.send(Frame::new(Opcode::Continuation, "x")).await.unwrap_err();
    assert_eq!(refused(error), MisuseError::NothingToContinue);
    frames.send(Frame::fragment(Opcode::Text, "a")).await.unwrap();
    let error = frames.send(Frame::new(Opcode::Text, "b")).await.unwrap_err();
    assert_eq!(refused(error), MisuseError::Unfinished);
    let error = frames.send(Frame::new(Opcode::Close, &[3][..])).await.unwrap_err();
    assert_eq!(refused(error), MisuseError::CloseMalformed);
    drop(frames);
    let error = client.send(Message::text("c")).await.unwrap_err();
    assert_eq!(refused(error), MisuseError::Unfinished);
    client.frames().send(Frame::new(Opcode::Continuation, "z")).await.unwrap();
    client.send(Message::text("c")).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("az"));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("c"));
}

#[tokio::test]
async fn a_streamed_message_keeps_to_the_limit_of_messages() {
    let (one, other) = tokio::io::duplex(1 << 20);
    let mut client = WebSocket::new(one, Role::Client, Config::default());
    let limits = Limits::default().max_message(1000);
    let mut server = WebSocket::new(other, Role::Server, Config::default().limits(limits));
    let mut sending = client.frames();
    for _ in 0..11 {
        sending.feed(Frame::fragment(Opcode::Binary, vec![0; 100])).await.ok();
        sending.feed(Frame::fragment(Opcode::Continuation, vec![0; 100])).await.ok();
    }
    sending.flush().await.unwrap();
    let mut receiving = server.frames();
    let mut bytes = 0;
    let error = loop {
        match receiving.next().await.unwrap() {
            Ok(frame) => bytes += frame.payload.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(bytes, 1000);
    assert!(matches!(error, Error::Protocol(ProtocolError::MessageTooBig { .. })), "{error:?}");
}

#[tokio::test]
async fn a_compressed_message_is_inflated_piece_by_piece() {
    use wse_transport::ws::{Deflate, DeflateAgreement};

    let (mut client, mut server) = pair(500);
    for socket in [&mut client, &mut server] {
        socket.set_deflate(Deflate::default(), DeflateAgreement::default());
    }
    let payload: Bytes = (0..400_000_u32).map(|it| (it.wrapping_mul(it) >> 7) as u8).collect();
    let sent = payload.clone();
    tokio::spawn(async move { client.send(Message::Binary(sent)).await.unwrap() });
    let mut frames = server.frames();
    let (mut got, mut pieces, mut largest) = (BytesMut::new(), 0, 0);
    loop {
        let frame = frames.next().await.unwrap().unwrap();
        got.extend_from_slice(&frame.payload);
        pieces += 1;
        largest = largest.max(frame.payload.len());
        if frame.fin {
            break;
        }
    }
    assert_eq!(got, payload);
    assert!(pieces > 10 && largest < 100_000, "{pieces} pieces, of at most {largest} bytes");
}

#[tokio::test]
async fn bytes_go_both_ways_at_once_and_end_cleanly() {
    let (client, server) = pair(700);
    let (mut read, mut write) = tokio::io::split(client.into_bytes());
    let echo = tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(server.into_bytes());
        tokio::io::copy(&mut read, &mut write).await.unwrap()
    });
    let sent: Vec<u8> = (0..500_000_u32).map(|it| (it >> 3) as u8).collect();
    let all = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&all).await.unwrap();
        write.flush().await.unwrap();
        write
    });
    let mut got = vec![0; sent.len()];
    read.read_exact(&mut got).await.unwrap();
    assert!(got == sent);
    let mut write = writing.await.unwrap();
    write.shutdown().await.unwrap();
    assert_eq!(read.read(&mut [0; 10]).await.unwrap(), 0);
    assert_eq!(echo.await.unwrap(), 500_000);
    assert_eq!(write.write(b"late").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_stream_of_bytes_refuses_text_and_tells_a_cut_from_an_end() {
    let (mut client, server) = pair(1000);
    let mut bytes = server.into_bytes();
    client.send(Message::binary("b")).await.unwrap();
    client.send(Message::text("t")).await.unwrap();
    assert_eq!(bytes.read_u8().await.unwrap(), b'b');
    assert_eq!(bytes.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    let ending = tokio::spawn(async move { bytes.read(&mut [0; 1]).await });
    let Some(Ok(Message::Close(Some(close)))) = client.next().await else { panic!() };
    assert_eq!(close.code, CloseCode::UNSUPPORTED);
    assert_eq!(close.reason.as_str(), "text in a stream of bytes");
    assert!(client.next().await.is_none());
    assert_eq!(ending.await.unwrap().unwrap(), 0);

    let (client, server) = pair(1000);
    drop(client);
    let error = server.into_bytes().read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn what_was_written_to_a_stream_of_bytes_goes_out_when_its_writer_waits_for_an_answer() {
    let (client, server) = pair(1000);
    let (mut client, mut server) = (client.into_bytes(), server.into_bytes());
    let asking = async {
        client.write_all(b"question").await.unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    };
    let answering = async {
        let mut question = [0; 8];
        server.read_exact(&mut question).await.unwrap();
        server.write_all(b"answer").await.unwrap();
        server.flush().await.unwrap();
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), async {
        tokio::join!(asking, answering)
    })
    .await
    .expect("both wait");
}

#[tokio::test]
async fn a_stream_of_bytes_made_after_the_end_has_ended() {
    let (mut client, mut server) = pair(1000);
    server.close(None);
    let (closed, _) = tokio::join!(SinkExt::close(&mut client), async {
        while server.next().await.is_some() {}
        drop(server);
    });
    closed.unwrap();
    assert_eq!(client.into_bytes().read(&mut [0; 1]).await.unwrap(), 0);
}

#[test]
fn however_far_it_inflates_a_piece_stays_small() {
    use wse_transport::ws::{Deflate, DeflateAgreement};
    let agreed = DeflateAgreement::default();
    let mut client = Codec::client(Limits::unlimited(), || [1, 2, 3, 4]);
    client.set_deflate(Deflate::default().takeover(true), agreed);
    let mut server = Codec::server(Limits::unlimited());
    server.set_deflate(Deflate::default(), agreed);
    server.set_streaming(true);
    let mut wire = BytesMut::new();
    let zeros = vec![b'0'; 20 << 20];
    client.encode(Frame::new(Opcode::Text, zeros.clone()), &mut wire).unwrap();
    client.encode(Frame::new(Opcode::Text, "next"), &mut wire).unwrap();
    let mut got = 0;
    while let Some(frame) = server.decode(&mut wire).unwrap() {
        assert!(frame.payload.len() <= 1 << 20, "{}", frame.payload.len());
        if got == zeros.len() {
            assert_eq!(frame, Frame::new(Opcode::Text, "next"));
        } else {
            assert!(frame.payload.iter().all(|it| *it == b'0'));
            got += frame.payload.len();
            assert_eq!(frame.fin, got == zeros.len());
        }
    }
    assert!(wire.is_empty() && server.is_idle());
}

proptest! {
    #[test]
    fn pieces_make_the_message_when_streaming_is_switched_within_it(
        texts in prop::collection::vec("(na\u{ef}ve|\u{1f600}|\\PC){0,200}", 1..5),
        turns in prop::collection::vec((1..40_usize, any::<bool>()), 1..30),
        takeover: bool,
        compress: bool,
    ) {
        use wse_transport::ws::{Deflate, DeflateAgreement};
        let (deflate, agreed) = (Deflate::default().threshold(0).takeover(takeover), DeflateAgreement::default());
        let mut client = Codec::client(Limits::default(), || [0x12, 0x34, 0x56, 0x78]);
        let mut server = Codec::server(Limits::default());
        client.set_deflate(deflate, agreed);
        client.compress(compress);
        server.set_deflate(deflate, agreed);
        let mut wire = BytesMut::new();
        for text in &texts {
            client.encode(Frame::new(Opcode::Text, text.clone()), &mut wire).unwrap();
            client.encode(Frame::new(Opcode::Ping, "?"), &mut wire).unwrap();
        }
        let (mut input, mut got, mut bytes) = (BytesMut::new(), Vec::new(), Vec::new());
        for (cut, streaming) in turns.into_iter().cycle() {
            if wire.is_empty() {
                break;
            }
            server.set_streaming(streaming);
            input.extend_from_slice(&wire.split_to(cut.min(wire.len())));
            while let Some(frame) = server.decode(&mut input).unwrap() {
                if frame.opcode.is_control() {
                    prop_assert_eq!(frame, Frame::new(Opcode::Ping, "?"));
                    continue;
                }
                let begun = !bytes.is_empty();
                prop_assert_eq!(frame.opcode == Opcode::Continuation, begun);
                bytes.extend_from_slice(&frame.payload);
                if frame.fin {
                    got.push(String::from_utf8(std::mem::take(&mut bytes)).unwrap());
                }
            }
        }
        prop_assert_eq!(got, texts);
        prop_assert!(server.is_idle());
    }
}

#[test]
fn the_rest_of_a_frame_is_not_kept_when_streaming_ends_within_it() {
    let mut client = Codec::client(Limits::unlimited(), || [1, 2, 3, 4]);
    client.set_streaming(true);
    let mut server = Codec::server(Limits::unlimited());
    let mut wire = BytesMut::new();
    server.encode(Frame::new(Opcode::Binary, vec![7; 1 << 20]), &mut wire).unwrap();
    server.encode(Frame::new(Opcode::Text, "next"), &mut wire).unwrap();
    let mut input = BytesMut::new();
    while !wire.is_empty() {
        input.extend_from_slice(&wire.split_to(wire.len().min(1000)));
        while let Some(frame) = client.decode(&mut input).unwrap() {
            client.set_streaming(false);
            if wire.is_empty() && frame.opcode == Opcode::Text {
                assert_eq!(frame, Frame::new(Opcode::Text, "next"));
            }
        }
        assert!(input.len() <= 1000, "{}", input.len());
    }
    assert!(client.is_idle());
}
