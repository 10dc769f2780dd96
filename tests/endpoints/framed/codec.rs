//! `ProtocolCodec` and `EnvelopeSocket`.

use bytes::{Bytes, BytesMut};
use futures::{Sink, SinkExt, Stream, StreamExt};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::{Decoder, Encoder, Framed, LengthDelimitedCodec, LinesCodec};
use wse::ws::{CloseCode, Config, Message, Role, WebSocket};
use wse::{
    Cbor, CodecError, CodecErrorKind, Envelope, FramedError, Head, JsonArray, JsonRpc, Protocol,
    ProtocolCodec,
};

fn json() -> ProtocolCodec<JsonArray> {
    ProtocolCodec::new(JsonArray)
}

fn envelope(name: &str, payload: &'static [u8]) -> Envelope {
    Envelope { head: Head::message(name), payload: Bytes::from_static(payload) }
}

fn encoded<P: Protocol>(codec: &mut ProtocolCodec<P>, envelope: &Envelope) -> BytesMut {
    let mut out = BytesMut::new();
    codec.encode(envelope.clone(), &mut out).unwrap();
    out
}

/// What a codec decodes of a whole stream: names of messages, and errors, up to the final one.
fn names<P: Protocol>(codec: &mut ProtocolCodec<P>, pieces: &[&[u8]]) -> Vec<String> {
    let mut src = BytesMut::new();
    let mut names = Vec::new();
    let mut pieces = pieces.iter();
    loop {
        let piece = pieces.next();
        src.extend_from_slice(piece.copied().unwrap_or_default());
        loop {
            let decoded = match piece {
                Some(_) => codec.decode(&mut src),
                None => codec.decode_eof(&mut src),
            };
            names.push(match decoded {
                Ok(Some(Ok(Envelope { head: Head::Message { name, .. }, .. }))) => name.to_string(),
                Ok(Some(Ok(other))) => format!("{:?}", other.head),
                Ok(Some(Err(error))) => format!("item {:?}", error.kind()),
                Ok(None) if piece.is_none() => return names,
                Ok(None) => break,
                Err(error) => {
                    names.push(format!("error {error}"));
                    return names;
                }
            });
        }
    }
}

/// Both ways, and the decoding split at every byte.
fn check<P: Protocol>(codec: &ProtocolCodec<P>, envelopes: &[Envelope], wire: &[u8]) {
    let mut out = BytesMut::new();
    for envelope in envelopes {
        codec.clone().encode(envelope.clone(), &mut out).unwrap();
    }
    assert_eq!(out, wire);
    for at in 0..=wire.len() {
        let (mut codec, mut src) = (codec.clone(), BytesMut::new());
        let mut decoded = Vec::new();
        for piece in [&wire[..at], &wire[at..]] {
            src.extend_from_slice(piece);
            while let Some(envelope) = codec.decode(&mut src).unwrap() {
                decoded.push(envelope.unwrap());
            }
        }
        assert!(codec.decode_eof(&mut src).unwrap().is_none());
        assert_eq!(decoded, envelopes, "split at {at}");
    }
}

#[test]
fn a_text_protocol_is_lines() {
    let envelopes = [envelope("say", b"\"h\xc3\xa9llo\""), envelope("bye", b"7")];
    check(&json(), &envelopes, "[\"say\",\"h\u{e9}llo\",null]\n[\"bye\",7,null]\n".as_bytes());
}

#[test]
fn a_binary_protocol_has_its_length_before_it() {
    let envelopes = [envelope("say", b"\x63\nhi"), envelope("bye", b"\x07")];
    let mut wire = Vec::new();
    for envelope in &envelopes {
        let mut message = BytesMut::new();
        Cbor.pack(&envelope.head, &envelope.payload, &mut message);
        wire.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(&message);
    }
    check(&ProtocolCodec::new(Cbor), &envelopes, &wire);
}

#[test]
fn lines_may_end_in_cr_lf_or_not_at_all() {
    let text = b"[\"a\",1]\r\n\n\r\n[\"b\",2]\n[\"c\",3]";
    for at in 0..text.len() {
        let (one, other) = text.split_at(at);
        assert_eq!(names(&mut json(), &[one, other]), ["a", "b", "c"]);
    }
    assert_eq!(names(&mut json(), &[b"[\"a\",1]\r"]), ["a"]);
    assert_eq!(names(&mut json(), &[b"\r"]), [""; 0]);
}

#[test]
fn what_cannot_be_unpacked_is_an_item_and_the_stream_goes_on() {
    let text = b"[\"a\",1]\nnonsense\n\xff\n{}\n[\"b\",2]\n";
    let expected = ["a", "item Malformed", "item Malformed", "item Shape", "b"];
    assert_eq!(names(&mut json(), &[text]), expected);
    let mut wire = encoded(&mut ProtocolCodec::new(Cbor), &envelope("a", b"\x01"));
    wire.extend_from_slice(b"\0\0\0\0\0\0\0\x01\xff");
    wire.extend_from_slice(&encoded(&mut ProtocolCodec::new(Cbor), &envelope("b", b"\x01")));
    let heard = names(&mut ProtocolCodec::new(Cbor), &[&wire]);
    assert_eq!(heard.len(), 4, "{heard:?}");
    assert_eq!((&*heard[0], &*heard[3]), ("a", "b"));
    assert!(heard[1].starts_with("item ") && heard[2].starts_with("item "), "{heard:?}");
}

#[test]
fn a_batch_is_its_members() {
    let call = |id: u8| format!(r#"{{"jsonrpc":"2.0","method":"m","id":{id}}}"#);
    let note = r#"{"jsonrpc":"2.0","method":"n"}"#;
    let text = format!("[{},7,{note}]\n{note}\n", call(1));
    let heard = names(&mut ProtocolCodec::new(JsonRpc::new()), &[text.as_bytes()]);
    assert_eq!(heard.len(), 4, "{heard:?}");
    assert!(heard[0].starts_with("Call"), "{heard:?}");
    assert_eq!((&heard[1][..4], &*heard[2], &*heard[3]), ("item", "n", "n"));
}

#[test]
fn a_message_of_the_limit_is_read_and_a_longer_one_is_final() {
    let mut small = json().max_message(10);
    assert_eq!(names(&mut small, &[b"[\"abc\",12]\n[\"abc\",12]\r\n"]), ["abc", "abc"]);
    for line in [&b"[\"abc\",123]\n[\"b\",1]\n"[..], b"[\"abc\",123]", b"[\"abc\",123]\r\n"] {
        let error = "error peer sent a message of 11 bytes, limit 10";
        assert_eq!(names(&mut json().max_message(10), &[line]), [error]);
    }
    let mut cbor = ProtocolCodec::new(Cbor).max_message(100);
    let error = "error peer sent a message of 101 bytes, limit 100";
    assert_eq!(names(&mut cbor, &[b"\0\0\0\x65", &[0; 200]]), [error]);
}

#[test]
fn a_declared_length_is_checked_before_memory_is_reserved() {
    let mut codec = ProtocolCodec::new(Cbor);
    let mut src = BytesMut::from(&b"\xff\xff\xff\xff"[..]);
    let limit = 1 << 20;
    match codec.decode(&mut src) {
        Err(FramedError::TooLong { declared, limit: the }) => {
            assert_eq!((declared, the), (u32::MAX.into(), limit));
        }
        other => panic!("{other:?}"),
    }
    assert!(src.capacity() < 1024);
    // Within the limit it is reserved once.
    let mut src = BytesMut::from(&b"\0\x10\0\0"[..]);
    assert!(ProtocolCodec::new(Cbor).decode(&mut src).unwrap().is_none());
    assert!(src.capacity() >= limit);
}

#[test]
fn a_line_without_an_end_is_refused_at_the_limit() {
    let (mut codec, mut src) = (json(), BytesMut::new());
    let mut arrived = 0;
    let error = loop {
        src.extend_from_slice(&[b'x'; 1000]);
        arrived += 1000;
        match codec.decode(&mut src) {
            Ok(decoded) => assert!(decoded.is_none()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FramedError::TooLong { .. }));
    assert!(arrived <= (1 << 20) + 1000);
    // What is sent on is discarded.
    src.extend_from_slice(&[b'x'; 1000]);
    assert!(codec.decode(&mut src).is_err() && src.is_empty());
}

#[test]
fn a_stream_that_ends_within_a_message_is_an_error() {
    for piece in [&b"\0"[..], b"\0\0\0\x05", b"\0\0\0\x05abcd"] {
        let heard = names(&mut ProtocolCodec::new(Cbor), &[piece]);
        assert_eq!(heard, ["error stream ended within a message"]);
    }
}

#[test]
fn a_message_with_a_line_break_is_not_sent() {
    let mut codec = json();
    let mut out = BytesMut::new();
    for payload in [&b"[1,\n2]"[..], b"\n", b"\"\xff\""] {
        match codec.encode(envelope("a", payload), &mut out) {
            Err(FramedError::Encode(error)) => {
                assert!(matches!(error.kind(), CodecErrorKind::Value | CodecErrorKind::Malformed));
            }
            other => panic!("{other:?}"),
        }
        assert!(out.is_empty());
    }
    codec.encode(envelope("a", b"1"), &mut out).unwrap();
    assert_eq!(out, "[\"a\",1,null]\n");
}

#[test]
fn what_a_protocol_does_not_write_is_not_sent() {
    let mut codec = ProtocolCodec::new(JsonRpc::new());
    let mut out = BytesMut::new();
    codec.encode(Envelope { head: Head::Ping, payload: Bytes::new() }, &mut out).unwrap();
    assert!(out.is_empty());
}

#[tokio::test]
async fn tokio_utils_own_codecs_are_peers() {
    let (one, other) = tokio::io::duplex(1024);
    let (mut one, mut lines) = (Framed::new(one, json()), Framed::new(other, LinesCodec::new()));
    one.send(envelope("a", b"1")).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap(), "[\"a\",1,null]");
    lines.send("[\"b\",2]").await.unwrap();
    assert_eq!(one.next().await.unwrap().unwrap().unwrap(), envelope("b", b"2"));

    let (one, other) = tokio::io::duplex(1024);
    let mut one = ProtocolCodec::new(Cbor).framed(one);
    let mut other = Framed::new(other, LengthDelimitedCodec::new());
    one.send(envelope("a", b"\x01")).await.unwrap();
    let message = other.next().await.unwrap().unwrap();
    other.send(message.freeze()).await.unwrap();
    assert_eq!(one.next().await.unwrap().unwrap().unwrap(), envelope("a", b"\x01"));
}

#[tokio::test]
async fn a_framed_stream_ends_after_its_error() {
    let (near, mut far) = tokio::io::duplex(1024);
    let mut near = json().max_message(10).framed(near);
    far.write_all(b"[\"a\",1]\n[\"too long\",1]\n[\"b\",1]\n").await.unwrap();
    assert_eq!(near.next().await.unwrap().unwrap().unwrap(), envelope("a", b"1"));
    assert!(matches!(near.next().await, Some(Err(FramedError::TooLong { .. }))));
    assert!(near.next().await.is_none());
    drop(near);
    assert_eq!(far.read_to_end(&mut Vec::new()).await.unwrap(), 0);
}

/// One program for byte streams and WebSockets: says, hears, and returns what it heard.
async fn talk<S>(mut stream: S, mine: Envelope) -> Envelope
where
    S: Stream<Item = Result<Result<Envelope, CodecError>, FramedError>>
        + Sink<Envelope, Error = FramedError>
        + Unpin,
{
    stream.send(mine).await.unwrap();
    let heard = stream.next().await.expect("not closed").unwrap().unwrap();
    futures::join!(async { stream.close().await.unwrap() }, async {});
    heard
}

fn sockets() -> [WebSocket<tokio::io::DuplexStream>; 2] {
    let (one, other) = tokio::io::duplex(1024);
    [(one, Role::Client), (other, Role::Server)]
        .map(|(io, role)| WebSocket::new(io, role, Config::default()))
}

#[tokio::test]
async fn a_websocket_and_a_byte_stream_are_used_alike() {
    let (a, b) = (envelope("a", b"1"), envelope("b", b"2"));
    let (one, other) = tokio::io::duplex(1024);
    let talks = (talk(json().framed(one), a.clone()), talk(json().framed(other), b.clone()));
    assert_eq!(futures::join!(talks.0, talks.1), (b.clone(), a.clone()));
    let [one, other] = sockets().map(|socket| json().websocket(socket));
    let talks = (talk(one, a.clone()), talk(other, b.clone()));
    assert_eq!(futures::join!(talks.0, talks.1), (b, a));
}

#[tokio::test]
async fn a_websocket_carries_either_kind_of_frame() {
    let [mut raw, socket] = sockets();
    let mut socket = json().websocket(socket);
    raw.send(Message::text("[\"a\",1]")).await.unwrap();
    raw.send(Message::Ping("".into())).await.unwrap();
    raw.send(Message::binary("[\"b\",2]")).await.unwrap();
    raw.send(Message::binary(&b"\xff"[..])).await.unwrap();
    raw.send(Message::text("[\"c\",3]")).await.unwrap();
    for expected in [Some("a"), Some("b"), None, Some("c")] {
        let heard = socket.next().await.unwrap().unwrap();
        assert_eq!(heard.ok().map(|it| it.head), expected.map(Head::message));
    }
    socket.send(envelope("d", b"[1,\n2]")).await.unwrap();
    assert_eq!(raw.next().await.unwrap().unwrap(), Message::Pong("".into()));
    assert_eq!(raw.next().await.unwrap().unwrap(), Message::text("[\"d\",[1,\n2],null]"));
    let refused = socket.send(envelope("e", b"\"\xff\"")).await;
    assert!(matches!(refused, Err(FramedError::Encode(_))), "{refused:?}");

    raw.close(Some(CloseCode::GOING_AWAY.into()));
    let (_, end) = futures::join!(raw.next(), socket.next());
    assert!(end.is_none());
    assert_eq!(socket.close_frame().unwrap().code, CloseCode::GOING_AWAY);
    let refused = socket.send(envelope("f", b"1")).await;
    assert!(matches!(refused, Err(FramedError::WebSocket(_))), "{refused:?}");
}

proptest! {
    /// However a stream is split, the same comes out, and hostile bytes cause no panic.
    #[test]
    fn any_bytes_in_any_pieces(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..300) {
        let (one, other) = bytes.split_at(at.min(bytes.len()));
        let lines = |pieces: &[&[u8]]| {
            let mut names = names(&mut json().max_message(64), pieces);
            // How much of a line has arrived when it is refused depends on the pieces.
            names.iter_mut().filter(|it| it.starts_with("error")).for_each(|it| it.truncate(5));
            names
        };
        prop_assert_eq!(lines(&[&bytes]), lines(&[one, other]));
        let cbor = |pieces: &[&[u8]]| names(&mut ProtocolCodec::new(Cbor).max_message(64), pieces);
        prop_assert_eq!(cbor(&[&bytes]), cbor(&[one, other]));
    }

    /// Lines of the right length in any pieces, decoded from a stream.
    #[test]
    fn any_envelopes_in_any_pieces(texts in prop::collection::vec("[a-z]{1,20}", 1..10), piece in 1usize..40) {
        let mut wire = BytesMut::new();
        for text in &texts {
            let envelope = Envelope { head: Head::message(text.as_str()), payload: "1".into() };
            json().encode(envelope, &mut wire).unwrap();
        }
        let pieces: Vec<&[u8]> = wire.chunks(piece).collect();
        prop_assert_eq!(names(&mut json(), &pieces), texts);
    }
}
