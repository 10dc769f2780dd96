//! Reported problems of another WebSocket library, one test each, over real TCP. Some are tested in depth
//! elsewhere, and here once more in short, under the name of the report.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{
    sockets::{Cable, listen},
    ws::*,
};
use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PublicKeyData,
};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use wse::{CallError, Client};
use wse_codecs::JsonArray;
use wse_transport::dial::NetStream;
use wse_transport::driver::{Driver, DriverEvent, DriverOptions};
use wse_transport::handshake::{ClientRequest, HandshakeError, encode_request};
use wse_transport::tls::{ClientTls, ClientTlsBuilder, ServerTls, TlsError};
use wse_transport::ws::{
    CloseCode, Config, Deflate, Error, Frame, Message, MisuseError, Opcode, Role, WebSocket,
    apply_mask,
};

/// Long before the test is given up, and longer than anything here may take.
const LONG: Duration = Duration::from_secs(20);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn accept(listener: &TcpListener, config: Config) -> WebSocket<TcpStream> {
    let (io, _) = listener.accept().await.unwrap();
    io.set_nodelay(true).unwrap();
    wse_transport::accept(io, config).await.unwrap().0
}

/// Both ends of one connection.
async fn pair(config: Config) -> (WebSocket<NetStream>, WebSocket<TcpStream>) {
    let (listener, url) = listen().await;
    let (connected, server) =
        tokio::join!(wse_transport::connect(&url, config), accept(&listener, config));
    (connected.unwrap().0, server)
}

/// What everybody writes first.
async fn echo(mut socket: WebSocket<TcpStream>) {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(_) | Message::Binary(_) = message
            && socket.send(message).await.is_err()
        {
            break;
        }
    }
}

/// "Echo server runs out of RAM": who does not read is not read from.
#[tokio::test]
async fn an_echo_server_does_not_run_out_of_memory() {
    const SIZE: usize = 256 * 1024;
    let (mut client, server) = pair(Config::default()).await;
    let echoing = tokio::spawn(echo(server));
    // A client that only writes, until nobody takes anything any more.
    let mut sent = 0;
    while timeout(ms(500), client.send(Message::binary(vec![7; SIZE]))).await.is_ok() {
        sent += 1;
        assert!(sent * SIZE < 64 << 20, "somebody swallows all of it");
    }
    // What has been taken is in the buffers of the kernel. Once it is read, all goes on, and all is there.
    let reading = async {
        for _ in 0..sent {
            assert_eq!(client.next().await.unwrap().unwrap(), Message::binary(vec![7; SIZE]));
        }
    };
    timeout(LONG, reading).await.unwrap();
    drop(client);
    timeout(LONG, echoing).await.unwrap().unwrap();
}

/// "Connections lost in API.CLOSING state causing EMFILE error"
#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_descriptor_is_left_behind_when_connections_close() {
    use crate::support::sockets::descriptors;

    let config = Config::default().close_timeout(ms(200));
    let (listener, url) = listen().await;
    let port = listener.local_addr().unwrap().port();
    let addr = listener.local_addr().unwrap();
    let raw = || async { TcpStream::connect(addr).await.unwrap() };
    let request = || encode_request(&ClientRequest::new(&url).unwrap().build([7; 16]));
    assert_eq!(descriptors(port), 1);
    for turn in 0..24 {
        // What is still held at the end, as a peer would that never goes away.
        let mut held = Vec::new();
        let serving = async {
            let (io, _) = listener.accept().await.unwrap();
            let config = match turn % 8 {
                7 => config.handshake_timeout(ms(200)),
                _ => config,
            };
            let Ok((mut socket, _)) = wse_transport::accept(io, config).await else { return };
            assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hi"));
            match turn % 8 {
                1 | 2 => socket.close(Some(CloseCode::GOING_AWAY.into())),
                3 => return,
                _ => {}
            }
            while socket.next().await.is_some() {}
        };
        let calling = async {
            if let 2 | 5 | 6 | 7 = turn % 8 {
                let mut io = raw().await;
                let wire = match turn % 8 {
                    // It never answers the server's close frame, or breaks the rules and stays.
                    2 => [&request()[..], &bytes(Role::Client, text("hi"))].concat(),
                    5 => [&request()[..], &bytes(Role::Client, text("hi")), &[0xff; 9]].concat(),
                    // It is refused, or never finishes to ask.
                    6 => b"GET / HTTP/1.1\r\n\r\n".to_vec(),
                    _ => b"GET / HTTP/1.1\r\n".to_vec(),
                };
                io.write_all(&wire).await.unwrap();
                held.push(io);
                return;
            }
            let (mut socket, _) = wse_transport::connect(&url, config).await.unwrap();
            socket.send(Message::text("hi")).await.unwrap();
            match turn % 8 {
                0 => socket.close(None),
                4 => return, // without a word
                _ => {}
            }
            while socket.next().await.is_some() {}
        };
        timeout(LONG, async { tokio::join!(serving, calling) }).await.expect("all of it ends");
        assert_eq!(descriptors(port), 1 + held.len(), "the case {}", turn % 8);
    }
}

/// "Compression support": agreed upon in the handshake, and fewer bytes on the wire.
#[tokio::test]
async fn messages_are_compressed_when_both_want_it() {
    let (listener, url) = listen().await;
    let text = "the same again and again, ".repeat(4000);
    let mut carried = Vec::new();
    for deflate in [None, Some(Deflate::default())] {
        let config = Config::default().deflate(deflate);
        let cable = Cable::to(&url).await;
        let (connected, server) =
            tokio::join!(wse_transport::connect(&cable.url, config), accept(&listener, config));
        let (mut client, response) = connected.unwrap();
        let agreed = response.headers().get("sec-websocket-extensions");
        let agreed = agreed.map(|it| it.to_str().unwrap().starts_with("permessage-deflate"));
        assert_eq!(agreed, deflate.map(|_| true));
        let echoing = tokio::spawn(echo(server));
        client.send(Message::text(text.clone())).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text(text.clone()));
        drop(client);
        echoing.await.unwrap();
        carried.push(cable.carried());
    }
    assert!(carried[0] > 2 * text.len(), "{carried:?}");
    assert!(carried[1] < text.len() / 20, "{carried:?}");
}

/// "Open event fired before handshake completed"
#[tokio::test]
async fn a_connection_is_open_only_when_the_handshake_is_done() {
    let (listener, url) = listen().await;
    let request = encode_request(&ClientRequest::new(&url).unwrap().build([7; 16]));
    let mut io = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut accepting = Box::pin(accept(&listener, Config::default()));
    // All but the last byte: nothing is open, and nothing is said.
    io.write_all(&request[..request.len() - 1]).await.unwrap();
    assert!(timeout(ms(100), &mut accepting).await.is_err());
    assert!(timeout(ms(10), io.readable()).await.is_err());
    io.write_all(&request[request.len() - 1..]).await.unwrap();
    let mut server = timeout(LONG, accepting).await.unwrap();
    server.send(Message::text("first")).await.unwrap();
    drop(server);
    let mut answer = Vec::new();
    io.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert!(answer.ends_with(b"\r\n\r\n\x81\x05first"), "{answer:?}");

    // The same of a driver, which queues what is said too early.
    let mut driver = Driver::server(DriverOptions::default());
    driver.text("first").unwrap();
    for byte in &request[..request.len() - 1] {
        driver.receive(&[*byte]);
        assert!(driver.next_event(Duration::ZERO).is_none());
        assert!(driver.output().is_empty());
    }
    driver.receive(&request[request.len() - 1..]);
    assert!(matches!(driver.next_event(Duration::ZERO), Some(DriverEvent::Connect)));
    assert!(driver.output().is_empty());
    driver.start().unwrap();
    assert!(matches!(driver.next_event(Duration::ZERO), Some(DriverEvent::Open)));
    assert!(driver.output().ends_with(b"\r\n\r\n\x81\x05first"));
}

/// "WebSocket client occasionally not receiving first server frame"
#[tokio::test]
async fn the_first_frame_is_never_lost() {
    let (listener, url) = listen().await;
    for _ in 0..200 {
        let serving = async {
            let mut server = accept(&listener, Config::default()).await;
            server.send(Message::text("hello")).await.unwrap();
            server.next().await
        };
        let calling = async {
            let (mut client, _) = wse_transport::connect(&url, Config::default()).await.unwrap();
            let first = timeout(LONG, client.next()).await.expect("it comes");
            assert_eq!(first.unwrap().unwrap(), Message::text("hello"));
        };
        tokio::join!(serving, calling);
    }
    // In one segment with the response, and cut anywhere.
    let frame = bytes(Role::Server, text("hello"));
    for cut in [0, 1, frame.len() - 1, frame.len()] {
        let serving = async {
            let (mut io, _) = listener.accept().await.unwrap();
            io.set_nodelay(true).unwrap();
            let limits = wse_transport::handshake::HeadLimits::default();
            let (request, _) =
                wse_transport::handshake::read_request(&mut io, &limits).await.unwrap();
            let upgrade = wse_transport::handshake::Upgrade::from_request(&request).unwrap();
            let response = upgrade.response(None, &Default::default()).unwrap();
            let mut wire = wse_transport::handshake::encode_response(&response, "");
            wire.extend_from_slice(&frame[..cut]);
            io.write_all(&wire).await.unwrap();
            sleep(ms(20)).await;
            io.write_all(&frame[cut..]).await.unwrap();
            io
        };
        let calling = async {
            let (mut client, _) = wse_transport::connect(&url, Config::default()).await.unwrap();
            let first = timeout(LONG, client.next()).await.expect("it comes");
            assert_eq!(first.unwrap().unwrap(), Message::text("hello"));
        };
        tokio::join!(serving, calling);
    }
}

/// "No socket close notifications in certain circumstances": the cable is pulled. Nobody is told of that by TCP;
/// a user closes, or pings and waits for the pong no longer than he likes, or calls with a timeout.
#[tokio::test]
async fn a_pulled_cable_ends_the_connection_of_who_closes_pings_or_calls() {
    let config = Config::default().close_timeout(ms(300));
    let (listener, url) = listen().await;
    let cable = Cable::to(&url).await;
    let (connected, mut server) =
        tokio::join!(wse_transport::connect(&cable.url, config), accept(&listener, config));
    let mut client = connected.unwrap().0;
    // The ping is answered while the cable is in.
    client.send(Message::Ping("one".into())).await.unwrap();
    let answering = async { server.next().await.unwrap().unwrap() };
    let (asked, answered) = tokio::join!(answering, client.next());
    assert_eq!(asked, Message::Ping("one".into()));
    assert_eq!(answered.unwrap().unwrap(), Message::Pong("one".into()));
    cable.pull();
    // And then not, which is what one notices it by.
    client.send(Message::Ping("two".into())).await.unwrap();
    assert!(timeout(ms(300), client.next()).await.is_err());
    // To close ends it within the time that closing may take, on either side.
    let start = Instant::now();
    client.close(Some(CloseCode::GOING_AWAY.into()));
    server.close(None);
    let ends = async { tokio::join!(client.next(), server.next()) };
    let (at_client, at_server) = timeout(LONG, ends).await.unwrap();
    assert!(at_client.is_none() && at_server.is_none());
    let took = start.elapsed();
    assert!(took >= ms(300) && took < ms(5000), "{took:?}");
    // A driver says when to look again, and then that it is over.
    let mut driver = Driver::opened(Role::Client, DriverOptions::default().config(config));
    driver.close(None);
    driver.take_output();
    assert!(driver.next_event(Duration::ZERO).is_none());
    let due = driver.deadline().unwrap();
    let Some(DriverEvent::Close(frame)) = driver.next_event(due) else { panic!() };
    assert_eq!((due, frame.code), (ms(300), CloseCode::ABNORMAL));
}

#[tokio::test]
async fn a_call_over_a_pulled_cable_ends_with_its_timeout() {
    let server = crate::support::endpoints::server(&JsonArray).bind("127.0.0.1:0").await.unwrap();
    let cable = Cable::to(&format!("ws://{}/", server.local_addrs()[0])).await;
    let client = Client::builder(JsonArray, &cable.url)
        .identity("secret of ann".to_owned())
        .call_timeout(ms(300))
        .connect()
        .await
        .unwrap();
    assert_eq!(crate::support::endpoints::adds(&client).await.unwrap(), 3);
    cable.pull();
    let called = timeout(LONG, crate::support::endpoints::adds(&client)).await.unwrap();
    assert!(matches!(called, Err(CallError::Timeout)), "{called:?}");
}

/// A certificate authority, and what it has signed.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// The chain, the key, and the hash of the public key.
    fn signs(&self, name: &str) -> (String, String, [u8; 32]) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        let pin = Sha256::digest(key.subject_public_key_info()).into();
        (chain, key.serialize_pem(), pin)
    }

    fn trusted(&self) -> ClientTlsBuilder {
        ClientTls::builder().ca_pem(self.pem.as_str())
    }
}

/// A connection to a server with these settings; what it says first.
async fn first_over(
    server: ServerTls,
    client: ClientTlsBuilder,
) -> Result<Message, HandshakeError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let serving = async {
        let (io, _) = listener.accept().await.unwrap();
        let Ok(io) = server.accept(io).await else { return };
        let Ok((mut socket, _)) = wse_transport::accept(io, Config::default()).await else {
            return;
        };
        let _ = socket.send(Message::text("over tls")).await;
        while let Some(Ok(_)) = socket.next().await {}
    };
    let calling = async {
        let (request, tls) = (ClientRequest::new(&url).unwrap(), client.build().unwrap());
        let (mut socket, _) =
            wse_transport::connect_with_tls(&request, &tls, Config::default()).await?;
        let first = socket.next().await.unwrap();
        Ok(first.unwrap())
    };
    timeout(LONG, async { tokio::join!(serving, calling) }).await.unwrap().1
}

/// "Support for other tls options such as client cert"
#[tokio::test]
async fn tls_takes_a_client_certificate_a_name_and_authorities_of_ones_own() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let (chain, key, _) = servers.signs("db.internal");
    let server = || ServerTls::from_pem(&chain, &key).unwrap().client_ca_pem(&clients.pem).unwrap();
    let (ann, secret, _) = clients.signs("ann");
    let trusted = || servers.trusted().server_name("db.internal");
    let found =
        first_over(server(), trusted().client_auth_pem(ann.as_str(), secret.as_str())).await;
    assert_eq!(found.unwrap(), Message::text("over tls"));
    for refused in [trusted(), servers.trusted().client_auth_pem(ann, secret)] {
        let found = first_over(server(), refused).await;
        assert!(matches!(found, Err(HandshakeError::Tls(_))), "{found:?}");
    }
}

/// "SSL Pinning"
#[tokio::test]
async fn a_key_can_be_pinned() {
    let authority = Authority::new();
    let (chain, key, pin) = authority.signs("127.0.0.1");
    let server = || ServerTls::from_pem(&chain, &key).unwrap();
    let found = first_over(server(), authority.trusted().pin_spki_sha256(pin)).await;
    assert_eq!(found.unwrap(), Message::text("over tls"));
    let found = first_over(server(), authority.trusted().pin_spki_sha256([7; 32])).await;
    assert!(matches!(found, Err(HandshakeError::Tls(TlsError::Pin(_)))), "{found:?}");
}

/// "setTimeout and setNoDelay": the second of two small messages does not wait for the first to be acknowledged.
#[tokio::test]
async fn small_messages_are_not_delayed() {
    let (client, _server) = pair(Config::default()).await;
    assert!(client.get_ref().tcp().nodelay().unwrap());

    // A server's own sockets cannot be looked at, but timed: 100 delays are 4 s.
    let server = crate::support::endpoints::server(&JsonArray)
        .on("two", |conn, (): ()| async move {
            conn.send("one", &())?;
            // Another turn of the connection, and another write.
            tokio::time::sleep(ms(1)).await;
            conn.send("two", &())
        })
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let (heard, mut twos) = tokio::sync::mpsc::unbounded_channel();
    let client = Client::builder(JsonArray, server.url().unwrap())
        .identity("secret of ann".to_owned())
        .on("one", |_, (): ()| async {})
        .on("two", move |_, (): ()| {
            let _ = heard.send(());
            async {}
        })
        .connect()
        .await
        .unwrap();
    let start = Instant::now();
    for _ in 0..100 {
        client.send("two", &()).unwrap();
        timeout(LONG, twos.recv()).await.unwrap().unwrap();
    }
    let took = start.elapsed();
    assert!(took < ms(3000), "{took:?}");
}

/// The other half of it: a connection on which nothing is said is not given up.
#[tokio::test(start_paused = true)]
async fn idle_connections_stay() {
    for role in [Role::Server, Role::Client] {
        let (mut socket, mut peer) = with_peer(role, Config::default(), 1024);
        assert!(timeout(Duration::from_secs(86_400), socket.next()).await.is_err());
        peer.send(text("still there")).await;
        assert_eq!(recv(&mut socket).await, Some(Message::text("still there")));
    }
}

/// "`ws.close()` waits indefinitely": the peer of the report, which takes the close frame and says nothing.
#[tokio::test]
async fn close_does_not_wait_for_ever() {
    let config = Config::default().close_timeout(ms(200));
    let (listener, url) = listen().await;
    let mut io = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let request = encode_request(&ClientRequest::new(&url).unwrap().build([7; 16]));
    io.write_all(&request).await.unwrap();
    let mut server = accept(&listener, config).await;
    io.write_all(&[0x81, 0x80, 0x00, 0x00, 0x00, 0x00]).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text(""));
    let start = Instant::now();
    timeout(LONG, SinkExt::close(&mut server)).await.expect("the close ends").unwrap();
    assert!(server.next().await.is_none());
    let took = start.elapsed();
    assert!(took >= ms(200) && took < ms(5000), "{took:?}");
    // Its socket goes with it, though the peer has not closed.
    drop(server);
    let mut rest = Vec::new();
    timeout(LONG, io.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.ends_with(&[0x88, 0x02, 0x03, 0xe8]), "{rest:?}");
}

/// Continuous integration on another architecture: whatever the order of bytes and the width of words, a mask
/// is applied octet by octet (RFC 6455 §5.3).
#[test]
fn masking_is_the_same_on_every_machine() {
    let mut memory = [0_u8; 200];
    for mask in [[0x37, 0xfa, 0x21, 0x3d], [0, 0, 0, 1], [0x80, 0, 0, 0], [0xff; 4]] {
        for start in 0..8 {
            for len in (0..40).chain([63, 64, 65, 127, 128, 129, 190]) {
                for offset in (0..9).chain([usize::MAX - 3, usize::MAX]) {
                    let plain: Vec<u8> = (0..len as u8).map(|n| n.wrapping_mul(29)).collect();
                    let expected: Vec<u8> =
                        (0..len).map(|i| plain[i] ^ mask[(i % 4 + offset % 4) % 4]).collect();
                    let place = &mut memory[start..start + len];
                    place.copy_from_slice(&plain);
                    apply_mask(place, mask, offset);
                    assert_eq!(place, expected, "{len} bytes at {start} behind {offset}");
                    // In two pieces.
                    place.copy_from_slice(&plain);
                    let (head, tail) = place.split_at_mut(len / 3);
                    apply_mask(head, mask, offset);
                    apply_mask(tail, mask, offset.wrapping_add(len / 3));
                    assert_eq!(place, expected);
                }
            }
        }
    }
    // RFC 6455 §5.7, and a length of two bytes, which is in network order everywhere.
    let hello = bytes(Role::Client, text("Hello"));
    assert_eq!(hello, hex("81 85 37 fa 21 3d 7f 9f 4d 51 58")[..]);
    assert!(bytes(Role::Server, binary(0x0102)).starts_with(&[0x82, 0x7e, 0x01, 0x02]));
}

/// "How to handle it when ws.send return false?": a message is sent once and in order, or refused and not sent
/// at all; to wait is not to refuse.
#[tokio::test]
async fn what_is_sent_comes_once_and_in_order_or_is_refused() {
    let config = Config::default().write_buffer(1000);
    let (mut client, mut server) = pair(config).await;
    // Far more than all buffers hold, to a reader who takes his time.
    let sending = async {
        for n in 0..20_000_u32 {
            client
                .send(Message::binary([&n.to_be_bytes()[..], &[0; 1000]].concat()))
                .await
                .unwrap();
        }
        SinkExt::close(&mut client).await.unwrap();
        for late in [Message::text("late"), Message::Ping("late".into())] {
            let refused = client.send(late).await;
            assert!(matches!(refused, Err(Error::Misuse(MisuseError::Closed))), "{refused:?}");
        }
    };
    let receiving = async {
        sleep(ms(200)).await;
        let mut expected = 0..20_000_u32;
        while let Some(message) = server.next().await {
            match message.unwrap() {
                Message::Binary(bytes) => {
                    assert_eq!(bytes[..4], expected.next().unwrap().to_be_bytes());
                }
                other => assert!(matches!(other, Message::Close(_)), "{other:?}"),
            }
        }
        assert_eq!(expected.next(), None);
    };
    timeout(LONG, async { tokio::join!(sending, receiving) }).await.unwrap();

    let mut driver = Driver::opened(Role::Server, DriverOptions::default());
    driver.close(None);
    let output = driver.output().to_vec();
    assert_eq!(driver.text("late"), Err(MisuseError::Closed));
    assert_eq!(driver.output(), output);
}

/// "Not able to load the library": what is published is complete.
#[test]
fn each_package_has_its_licences_readme_and_metadata() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["wse-proto", "wse-codecs", "wse-transport"] {
        let output = Command::new(env!("CARGO"))
            .args(["package", "--list", "--allow-dirty", "--offline", "--package", name])
            .current_dir(root)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let list = String::from_utf8(output.stdout).unwrap();
        let files: HashSet<&str> = list.lines().collect();
        for needed in ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs"] {
            assert!(files.contains(needed), "{name} is published without {needed}");
        }
        assert_eq!(files.contains("proto/wse.proto"), name == "wse-codecs");
        for file in &files {
            let strange = ["target", ".ci", "corpus", "seeds"].iter().any(|it| file.contains(it));
            assert!(!strange, "{name} is published with {file}");
        }
        let manifest = fs::read_to_string(root.join(name).join("Cargo.toml")).unwrap();
        for field in
            ["description = ", "license.workspace", "readme = ", "keywords = ", "categories = "]
        {
            assert!(manifest.contains(field), "{name} has no {field}");
        }
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let text = fs::read_to_string(root.join(name).join(licence)).unwrap();
            assert_eq!(text, fs::read_to_string(root.join(licence)).unwrap());
        }
    }
}

/// "Dangerous example": an example that listens opens no file that a remote peer names. `tests/examples` asks
/// them for files.
#[test]
fn no_example_that_listens_reads_files() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut listening = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        if !source.contains("listening on") && !source.contains(".bind(") {
            continue;
        }
        listening += 1;
        for way in ["fs::read(", "File::open", "ServeDir", "include_dir", "uri().path()"] {
            assert!(!source.contains(way), "{} uses {way}", path.display());
        }
    }
    assert!(listening >= 4, "{listening}");
}

/// "Received WebSocket frames are malformed if fragmented": a frame over two segments, cut at every byte.
#[tokio::test]
async fn frames_may_be_cut_by_tcp_anywhere() {
    let (listener, url) = listen().await;
    let mut io = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    io.set_nodelay(true).unwrap();
    let request = encode_request(&ClientRequest::new(&url).unwrap().build([7; 16]));
    io.write_all(&request).await.unwrap();
    let mut server = accept(&listener, Config::default()).await;
    let frames = [
        Frame::new(Opcode::Text, "\u{20ac} and more"),
        Frame::new(Opcode::Binary, vec![0x8d; 200]),
        Frame::new(Opcode::Ping, "p"),
    ];
    let wires = frames.map(|frame| (bytes(Role::Client, frame.clone()), frame));
    let sent: Vec<(BytesMut, usize, Frame)> = wires
        .iter()
        .flat_map(|(wire, frame)| {
            let cuts = (1..wire.len().min(30)).chain([wire.len() - 1]);
            cuts.map(|cut| (wire.clone(), cut, frame.clone()))
        })
        .collect();
    for (wire, cut, frame) in sent {
        io.write_all(&wire[..cut]).await.unwrap();
        // The server sees the first part alone.
        assert!(timeout(ms(2), server.next()).await.is_err(), "cut at {cut}");
        io.write_all(&wire[cut..]).await.unwrap();
        let found = timeout(LONG, server.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(found.into_frame(), frame, "cut at {cut}");
    }
}
