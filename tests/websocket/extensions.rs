//! Extensions of the user's own: agreed upon in the handshake, and seeing every frame.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response, header};
use tokio::net::TcpListener;
use tokio_util::codec::{Decoder, Encoder};
use wse::{Accept, Client, Hello, Server};
use wse_codecs::JsonArray;
use wse_transport::driver::{Driver, DriverEvent, DriverOptions};
use wse_transport::handshake::{ClientRequest, RequestError, ResponseError, Upgrade};
use wse_transport::upgrade::WebSocketUpgrade;
use wse_transport::ws::{
    CloseCode, CloseFrame, Codec, Config, Deflate, Error, Extension, ExtensionParams, Frame,
    FrameExtension, FrameHeader, Limits, Message, MisuseError, Opcode, ProtocolError, ReservedBits,
    Role, WebSocket,
};

/// Turns every byte of data around by a number that is agreed upon, and marks the frame by RSV2. A key of 0
/// is one it cannot read.
#[derive(Clone, Debug)]
struct Turn {
    name: &'static str,
    bits: ReservedBits,
    key: u8,
}

impl Turn {
    fn new(key: u8) -> Self {
        Self { name: "x-turn", bits: ReservedBits::RSV2, key }
    }

    fn shared(key: u8) -> Arc<dyn Extension> {
        Arc::new(Self::new(key))
    }
}

impl Extension for Turn {
    fn name(&self) -> &str {
        self.name
    }

    fn reserved_bits(&self) -> ReservedBits {
        self.bits
    }

    fn offer(&self) -> ExtensionParams {
        ExtensionParams::default().value("key", self.key.to_string()).flag("any")
    }

    fn answer(
        &self,
        offer: &ExtensionParams,
    ) -> Option<(ExtensionParams, Box<dyn FrameExtension>)> {
        let key: u8 = offer.get("key")??.parse().ok()?;
        let answer = ExtensionParams::default().value("key", offer.get("key")??);
        Some((answer, Box::new(Self { key, ..self.clone() })))
    }

    fn agree(&self, answer: &ExtensionParams) -> Option<Box<dyn FrameExtension>> {
        let key: u8 = answer.get("key")??.parse().ok()?;
        (key == self.key).then(|| Box::new(self.clone()) as Box<dyn FrameExtension>)
    }
}

impl Turn {
    fn turn(&self, payload: &Bytes) -> Bytes {
        payload.iter().map(|byte| byte ^ self.key).collect()
    }
}

impl FrameExtension for Turn {
    fn encode(&mut self, mut frame: Frame) -> Frame {
        frame.payload = self.turn(&frame.payload);
        frame.rsv2 |= self.bits.rsv2;
        frame.rsv3 |= self.bits.rsv3;
        frame
    }

    fn decode(&mut self, mut frame: Frame) -> Result<Frame, CloseCode> {
        if self.key == 0 || (self.bits.rsv2 && !frame.rsv2) {
            return Err(CloseCode(4002));
        }
        frame.payload = self.turn(&frame.payload);
        Ok(frame)
    }
}

/// A request that offers, and what a server with these extensions makes of it.
fn negotiate(
    offers: &[Arc<dyn Extension>],
    served: &[Arc<dyn Extension>],
) -> (ClientRequest, Response<()>, usize) {
    let mut client = ClientRequest::new("ws://example.com/").unwrap();
    for extension in offers {
        client = client.extension(extension.clone()).unwrap();
    }
    let request = client.build([7; 16]);
    let mut upgrade = Upgrade::from_request(&request).unwrap();
    let agreed = upgrade.extend(served, &request).unwrap();
    (client, upgrade.response(None, &HeaderMap::new()).unwrap(), agreed.len())
}

#[test]
fn an_offer_is_answered_with_parameters_and_agreed_upon() {
    let offers = [Turn::shared(5)];
    let (client, response, agreed) = negotiate(&offers, &[Turn::shared(1)]);
    let offered = &client.build([7; 16]).headers()[header::SEC_WEBSOCKET_EXTENSIONS].clone();
    assert_eq!(offered, "x-turn; key=5; any");
    assert_eq!(response.headers()[header::SEC_WEBSOCKET_EXTENSIONS], "x-turn; key=5");
    assert_eq!(agreed, 1);
    assert_eq!(client.negotiated(&response).unwrap().extensions.len(), 1);
    client.verify([7; 16], &response).unwrap();

    // Neither side has to.
    let (client, response, agreed) = negotiate(&offers, &[]);
    assert!(!response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS));
    assert_eq!((agreed, client.negotiated(&response).unwrap().extensions.len()), (0, 0));
    let (_, response, agreed) = negotiate(&[], &offers);
    assert!(!response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS));
    assert_eq!(agreed, 0);
}

#[test]
fn of_two_extensions_with_the_same_bit_the_first_is_agreed_upon() {
    let other = |name, bits| Arc::new(Turn { name, bits, key: 9 }) as Arc<dyn Extension>;
    let served =
        [Turn::shared(1), other("x-same", ReservedBits::RSV2), other("x-free", ReservedBits::RSV3)];
    let offers = [other("x-same", ReservedBits::RSV2), served[2].clone(), Turn::shared(2)];
    let (client, response, agreed) = negotiate(&offers, &served);
    let answer = response.headers()[header::SEC_WEBSOCKET_EXTENSIONS].to_str().unwrap();
    assert_eq!((answer, agreed), ("x-turn; key=2, x-free; key=9", 2));
    assert_eq!(client.negotiated(&response).unwrap().extensions.len(), 2);

    // Compression has the first bit.
    let greedy = other("x-greedy", ReservedBits::RSV1);
    let client =
        ClientRequest::new("ws://example.com/").unwrap().extension(greedy.clone()).unwrap();
    let request = client.deflate(Some(Deflate::default())).build([7; 16]);
    let mut upgrade = Upgrade::from_request(&request).unwrap();
    assert!(upgrade.deflate(&Deflate::default(), &request).unwrap().is_some());
    assert!(upgrade.extend(&[greedy], &request).unwrap().is_empty());
}

#[test]
fn answers_that_were_not_asked_for_fail_the_handshake() {
    let cases = [
        ("x-other", ResponseError::ExtensionNotOffered),
        ("permessage-deflate", ResponseError::ExtensionNotOffered),
        ("x-turn; key=5, x-turn; key=5", ResponseError::ExtensionNotOffered),
        ("x-turn; key=6", ResponseError::ExtensionMalformed),
        ("x-turn", ResponseError::ExtensionMalformed),
        ("x-turn; key=5; =", ResponseError::ExtensionMalformed),
    ];
    for (answer, expected) in cases {
        let (client, mut response, _) = negotiate(&[Turn::shared(5)], &[Turn::shared(1)]);
        response.headers_mut().insert(header::SEC_WEBSOCKET_EXTENSIONS, answer.parse().unwrap());
        assert_eq!(client.verify([7; 16], &response), Err(expected), "{answer}");
    }
}

#[test]
fn what_cannot_stand_in_the_field_is_the_callers_fault() {
    let request = || ClientRequest::new("ws://example.com/").unwrap();
    let named = |name| Arc::new(Turn { name, ..Turn::new(1) }) as Arc<dyn Extension>;
    for name in ["", "a b", "a,b", "a\r\nX: y"] {
        let error = request().extension(named(name)).unwrap_err();
        assert_eq!(error, RequestError::Extension(name.into()));
    }
    let twice = request().extension(named("x")).unwrap().extension(named("x"));
    assert_eq!(twice.unwrap_err(), RequestError::Extension("x".into()));
}

/// Both ends of a connection on which `x-turn` with this key is agreed upon.
fn codecs(key: u8, limits: Limits) -> (Codec, Codec) {
    let offers = [Turn::shared(key)];
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let request = request.extension(offers[0].clone()).unwrap();
    let asked: Request<()> = request.build([7; 16]);
    let mut upgrade = Upgrade::from_request(&asked).unwrap();
    let (mut client, mut server) = (Codec::client(limits, || [1, 2, 3, 4]), Codec::server(limits));
    server.set_extensions(upgrade.extend(&offers, &asked).unwrap());
    let response = upgrade.response(None, &HeaderMap::new()).unwrap();
    client.set_extensions(request.negotiated(&response).unwrap().extensions);
    (client, server)
}

#[test]
fn every_frame_is_changed_on_the_wire_and_undone_however_it_arrives() {
    let (mut client, mut server) = codecs(0xff, Limits::default());
    let frames = [
        Frame::new(Opcode::Text, "häßlich"),
        Frame::fragment(Opcode::Text, &b"in two h\xc3"[..]),
        Frame::new(Opcode::Ping, "p"),
        Frame::new(Opcode::Continuation, &b"\xa4lves"[..]),
        Frame::new(Opcode::Binary, vec![0; 1000]),
    ];
    let mut wire = BytesMut::new();
    for frame in &frames {
        let start = wire.len();
        client.encode(frame.clone(), &mut wire).unwrap();
        let (header, _) = FrameHeader::parse(&wire[start..]).unwrap().unwrap();
        assert!(header.rsv2 && !header.rsv1 && !header.rsv3);
    }
    for streaming in [false, true] {
        let (_, mut bytewise) = codecs(0xff, Limits::default());
        bytewise.set_streaming(streaming);
        let (mut input, mut got) = (BytesMut::new(), Vec::new());
        for byte in &wire {
            input.extend_from_slice(&[*byte]);
            got.extend(bytewise.decode(&mut input).unwrap());
        }
        assert_eq!(got, frames);
    }
    let mut got = Vec::new();
    while let Some(frame) = server.decode(&mut wire).unwrap() {
        got.push(frame);
    }
    assert_eq!(got, frames);
}

#[test]
fn what_an_extension_makes_of_a_frame_keeps_the_rules() {
    let protocol = |codec: &mut Codec, mut wire: BytesMut| match codec.decode(&mut wire) {
        Err(Error::Protocol(error)) => error,
        other => panic!("{other:?}"),
    };
    let encode = |codec: &mut Codec, frame| {
        let mut wire = BytesMut::new();
        codec.encode(frame, &mut wire).unwrap();
        wire
    };
    // Text is checked when it is turned back.
    let (mut client, mut server) = codecs(1, Limits::default());
    let wire = encode(&mut client, Frame::new(Opcode::Text, vec![0xff]));
    assert_eq!(protocol(&mut server, wire), ProtocolError::InvalidText);

    // The extension's own refusal has its own code; one that may not be sent becomes 1002.
    let (mut client, mut server) = codecs(0, Limits::default());
    let wire = encode(&mut client, Frame::new(Opcode::Text, "a"));
    let error = protocol(&mut server, wire);
    assert_eq!(
        (error, error.close_code()),
        (ProtocolError::Extension(CloseCode(4002)), CloseCode(4002))
    );
    assert_eq!(ProtocolError::Extension(CloseCode(1006)).close_code(), CloseCode::PROTOCOL_ERROR);

    // Bits without a meaning stay forbidden.
    let (_, mut server) = codecs(1, Limits::default());
    let wire = BytesMut::from(&[0x92, 0x80, 0, 0, 0, 0][..]);
    assert_eq!(protocol(&mut server, wire), ProtocolError::ReservedBits);
    let mut server = Codec::server(Limits::default());
    let wire = BytesMut::from(&[0xa2, 0x80, 0, 0, 0, 0][..]);
    assert_eq!(protocol(&mut server, wire), ProtocolError::ReservedBits);

    // So do the lengths.
    let (mut client, _) = grown(Limits::default());
    let error = client.encode(Frame::new(Opcode::Ping, vec![0; 70]), &mut BytesMut::new());
    assert!(matches!(error, Err(Error::Misuse(MisuseError::ControlTooLong))), "{error:?}");
    let (mut client, mut server) = grown(Limits::default().max_message(100));
    let wire = encode(&mut client, Frame::new(Opcode::Binary, vec![0; 50]));
    assert_eq!(protocol(&mut server, wire), ProtocolError::InflatedTooBig { limit: 100 });
}

/// Doubles what is sent, and triples what is received.
#[derive(Debug)]
struct Grow;

impl Extension for Grow {
    fn name(&self) -> &str {
        "x-grow"
    }

    fn answer(&self, _: &ExtensionParams) -> Option<(ExtensionParams, Box<dyn FrameExtension>)> {
        Some((ExtensionParams::default(), Box::new(Grow)))
    }

    fn agree(&self, _: &ExtensionParams) -> Option<Box<dyn FrameExtension>> {
        Some(Box::new(Grow))
    }
}

impl FrameExtension for Grow {
    fn encode(&mut self, mut frame: Frame) -> Frame {
        frame.payload = frame.payload.repeat(2).into();
        frame
    }

    fn decode(&mut self, mut frame: Frame) -> Result<Frame, CloseCode> {
        frame.payload = frame.payload.repeat(3).into();
        Ok(frame)
    }
}

fn grown(limits: Limits) -> (Codec, Codec) {
    let extensions = [Arc::new(Grow) as Arc<dyn Extension>];
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let request = request.extension(extensions[0].clone()).unwrap();
    let asked = request.build([7; 16]);
    let mut upgrade = Upgrade::from_request(&asked).unwrap();
    let mut server = Codec::server(limits);
    server.set_extensions(upgrade.extend(&extensions, &asked).unwrap());
    let mut client = Codec::client(limits, || [0; 4]);
    let response = upgrade.response(None, &HeaderMap::new()).unwrap();
    client.set_extensions(request.negotiated(&response).unwrap().extensions);
    (client, server)
}

#[tokio::test]
async fn it_works_over_tcp_together_with_compression() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let config = Config::default().deflate(Some(Deflate::default()));
    let serving = tokio::spawn(async move {
        let (io, _) = listener.accept().await.unwrap();
        let extensions = [Turn::shared(1)];
        let (mut socket, request) =
            wse_transport::accept_extended(io, config, &extensions, |_, _| Ok(None)).await.unwrap();
        while let Some(message) = socket.next().await {
            match message.unwrap() {
                Message::Close(_) => {}
                message => socket.send(message).await.unwrap(),
            }
        }
        request
    });
    let request = ClientRequest::new(&url).unwrap().extension(Turn::shared(0x55)).unwrap();
    let (mut socket, response) = wse_transport::connect_with(&request, config).await.unwrap();
    let answer = response.headers()[header::SEC_WEBSOCKET_EXTENSIONS].to_str().unwrap();
    assert!(answer.starts_with("permessage-deflate; "), "{answer}");
    assert!(answer.ends_with(", x-turn; key=85"), "{answer}");
    for text in ["short".to_owned(), "long enough to be worth it ".repeat(1000)] {
        socket.send(Message::text(text.clone())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    SinkExt::close(&mut socket).await.unwrap();
    let request = serving.await.unwrap();
    assert!(request.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS));
}

#[test]
fn drivers_agree_upon_it_too() {
    let mut client = Driver::client("ws://example.com/", DriverOptions::default()).unwrap();
    let mut server = Driver::server(DriverOptions::default());
    client.add_extension(Turn::shared(3)).unwrap();
    server.add_extension(Turn::shared(1)).unwrap();
    client.start().unwrap();
    client.text("hi").unwrap();
    server.receive(&client.take_output());
    assert!(matches!(server.next_event(Duration::ZERO), Some(DriverEvent::Connect)));
    server.start().unwrap();
    client.receive(&server.take_output());
    assert!(matches!(client.next_event(Duration::ZERO), Some(DriverEvent::Open)));
    assert_eq!(client.output()[0], 0xa1, "final, RSV2, text");
    server.receive(&client.take_output());
    assert!(matches!(server.next_event(Duration::ZERO), Some(DriverEvent::Open)));
    let event = server.next_event(Duration::ZERO);
    assert!(
        matches!(&event, Some(DriverEvent::Message(it)) if *it == Message::text("hi")),
        "{event:?}"
    );
}

#[tokio::test]
async fn endpoints_agree_upon_it_too() {
    let server = Server::builder(JsonArray)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .procedure("shout", |_, text: String| async move { wse::Ok(text.to_uppercase()) })
        .extension(Turn::shared(1))
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let client = || Client::builder(JsonArray, server.url().unwrap()).identity("ann".to_owned());
    // One that cannot read what it gets fails with its own code: so it did see the frames.
    let blind = client().extension(Turn::shared(0)).connect().await.unwrap_err();
    assert!(format!("{blind:?}").contains("4002"), "{blind:?}");

    let client = client().extension(Turn::shared(0x20)).connect().await.unwrap();
    let shouted: String = client.call("shout", "hé").await.unwrap();
    assert_eq!(shouted, "HÉ");
}

#[tokio::test]
async fn so_do_upgrades_inside_hyper() {
    let addr = crate::support::web::serve(|request| {
        let upgrade = WebSocketUpgrade::new(request).unwrap().extension(Turn::shared(1));
        let response = upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.next().await {
                socket.send(message).await.ok();
            }
        });
        async move { response }
    })
    .await;
    let request = ClientRequest::new(&format!("ws://{addr}/")).unwrap();
    let request = request.extension(Turn::shared(0x11)).unwrap();
    let (mut socket, response) =
        wse_transport::connect_with(&request, Config::default()).await.unwrap();
    assert_eq!(response.headers()[header::SEC_WEBSOCKET_EXTENSIONS], "x-turn; key=17");
    socket.send(Message::text("hi")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hi"));
}

#[test]
fn a_server_agrees_to_an_extension_once() {
    let mut server = Driver::server(DriverOptions::default());
    server.add_extension(Turn::shared(1)).unwrap();
    let again = server.add_extension(Turn::shared(2));
    assert!(matches!(again, Err(RequestError::Extension(name)) if name == "x-turn"));
    let wrong = Turn { name: "x turn", ..Turn::new(1) };
    assert!(matches!(server.add_extension(Arc::new(wrong)), Err(RequestError::Extension(_))));

    let none = Turn { bits: ReservedBits::NONE, ..Turn::new(1) };
    let ours: [Arc<dyn Extension>; 2] = [Arc::new(none.clone()), Arc::new(none)];
    let request =
        ClientRequest::new("ws://localhost/").unwrap().extension(Turn::shared(7)).unwrap();
    let request = request.build([0; 16]);
    let mut upgrade = Upgrade::from_request(&request).unwrap();
    assert_eq!(upgrade.extend(&ours, &request).unwrap().len(), 1);
}

#[test]
fn compression_and_an_extension_do_not_share_a_bit_whichever_comes_first() {
    let turn = Turn { bits: ReservedBits::RSV1, ..Turn::new(1) };
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let request = request.deflate(Some(Deflate::default())).extension(Arc::new(turn.clone()));
    let request = request.unwrap().build([0; 16]);
    let mut upgrade = Upgrade::from_request(&request).unwrap();
    assert_eq!(upgrade.extend(&[Arc::new(turn)], &request).unwrap().len(), 1);
    assert_eq!(upgrade.deflate(&Deflate::default(), &request).unwrap(), None);
}

/// Adds a hundred bytes to every frame.
#[derive(Debug)]
struct Pad;

impl Extension for Pad {
    fn name(&self) -> &str {
        "x-pad"
    }

    fn answer(&self, _: &ExtensionParams) -> Option<(ExtensionParams, Box<dyn FrameExtension>)> {
        Some((ExtensionParams::default(), Box::new(Pad)))
    }

    fn agree(&self, _: &ExtensionParams) -> Option<Box<dyn FrameExtension>> {
        Some(Box::new(Pad))
    }
}

impl FrameExtension for Pad {
    fn encode(&mut self, mut frame: Frame) -> Frame {
        frame.payload = [&frame.payload[..], &[0; 100]].concat().into();
        frame
    }

    fn decode(&mut self, mut frame: Frame) -> Result<Frame, CloseCode> {
        frame.payload.truncate(frame.payload.len().saturating_sub(100));
        Ok(frame)
    }
}

#[tokio::test]
async fn a_close_frame_that_an_extension_makes_too_long_keeps_its_code() {
    let pad = [Arc::new(Pad) as Arc<dyn Extension>];
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let request = request.extension(pad[0].clone()).unwrap();
    let asked = request.build([7; 16]);
    let mut upgrade = Upgrade::from_request(&asked).unwrap();
    let agreed = upgrade.extend(&pad, &asked).unwrap();
    let response = upgrade.response(None, &HeaderMap::new()).unwrap();
    let (one, other) = tokio::io::duplex(1000);
    let mut client = WebSocket::new(one, Role::Client, Config::default());
    let mut server = WebSocket::new(other, Role::Server, Config::default());
    server.set_extensions(agreed);
    client.set_extensions(request.negotiated(&response).unwrap().extensions);

    server.close(Some(CloseFrame::new(CloseCode(4001), "why it is so, at length: ".repeat(4))));
    let (_, seen) = futures::join!(SinkExt::close(&mut server), client.collect::<Vec<_>>());
    let [Ok(Message::Close(Some(frame)))] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(*frame, CloseFrame::new(CloseCode(4001), ""));
}

#[test]
fn compression_must_be_the_first_of_the_answers() {
    let client =
        ClientRequest::new("ws://example.com/").unwrap().extension(Turn::shared(5)).unwrap();
    let client = client.deflate(Some(Deflate::default().takeover(true).peer_takeover(true)));
    let (_, mut response, _) = negotiate(&[Turn::shared(5)], &[Turn::shared(5)]);
    for (answer, right) in
        [("permessage-deflate, x-turn; key=5", true), ("x-turn; key=5, permessage-deflate", false)]
    {
        response.headers_mut().insert(header::SEC_WEBSOCKET_EXTENSIONS, answer.parse().unwrap());
        assert_eq!(client.verify([7; 16], &response).is_ok(), right, "{answer}");
    }
}
