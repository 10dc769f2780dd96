//! TLS over real sockets, with certificates made for each test.
//!
//! The first test here installs a rustls provider for the whole program that supports no cipher suite. Code that
//! relies on the provider of the process, or on its absence, fails. No other test of this program may install one:
//! jsonrpsee's client does, so its tests are in `endpoints`.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use crate::support::endpoints::{Note, adds, ms, note, secs, server};
use async_trait::async_trait;
use futures::{SinkExt, StreamExt};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData,
    date_time_ymd,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wse::{
    Accept, Backoff, Client, ClientBuilder, ConnectError, Connector, Hello, Listener, Refuse,
    Refused, RefusedAt, Server, Transport,
};
use wse_codecs::JsonArray;
use wse_transport::handshake::{ClientRequest, HandshakeError};
use wse_transport::tls::{
    ClientTls, ClientTlsBuilder, PeerCertificates, ServerTls, TlsConfigError, TlsError,
};
use wse_transport::ws::{self, Message};

const LOCAL: &str = "127.0.0.1:0";

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
struct Identity {
    chain: String,
    key: String,
    pin: [u8; 32],
}

impl Authority {
    fn new() -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            let useless = CryptoProvider {
                cipher_suites: Vec::new(),
                kx_groups: Vec::new(),
                ..ring::default_provider()
            };
            useless.install_default().expect("nobody has installed another");
        });
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Or else one would pass for another, but for its signatures.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn identity(&self, names: &[&str]) -> Identity {
        self.signs(names, |_| {})
    }

    fn signs(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        let pin = Sha256::digest(key.subject_public_key_info()).into();
        Identity { chain, key: key.serialize_pem(), pin }
    }

    /// A client that trusts it, and nobody else.
    fn trusted(&self) -> ClientTlsBuilder {
        ClientTls::builder().ca_pem(self.pem.as_str())
    }
}

impl Identity {
    fn server(&self) -> ServerTls {
        ServerTls::from_pem(&self.chain, &self.key).unwrap()
    }

    fn rustls(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap();
        (vec![chain], PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }
}

/// A server with a certificate for 127.0.0.1, and its authority.
async fn secure_server() -> (Server<JsonArray>, Authority) {
    let authority = Authority::new();
    let tls = authority.identity(&["127.0.0.1"]).server();
    (server(&JsonArray).bind_tls(LOCAL, tls).await.unwrap(), authority)
}

fn client(url: impl Into<String>) -> ClientBuilder<JsonArray> {
    Client::builder(JsonArray, url).identity("secret of ann".to_owned())
}

async fn connect(
    server: &Server<JsonArray>,
    tls: ClientTlsBuilder,
) -> Result<Client<JsonArray>, ConnectError> {
    let connecting = client(server.url().unwrap()).tls(tls.build().unwrap()).connect();
    soon(connecting).await
}

/// Why TLS failed; any other failure is one of the test's.
#[track_caller]
fn tls_error<T>(outcome: Result<T, ConnectError>) -> TlsError {
    match outcome.map(drop) {
        Err(ConnectError::Handshake(HandshakeError::Tls(error))) => error,
        other => panic!("not an error of TLS: {other:?}"),
    }
}

fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Long before any deadline that is not set by the test.
async fn soon<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(secs(5), test).await.expect("in bounded time")
}

fn addr(server: &Server<JsonArray>) -> SocketAddr {
    server.local_addrs()[0]
}

#[tokio::test]
async fn endpoints_talk_over_tls() {
    let authority = Authority::new();
    let tls = authority.identity(&["127.0.0.1"]).server();
    let server = server(&JsonArray)
        .procedure("echo", |_, note: Note| async move { wse::Ok(note) })
        .bind_tls(LOCAL, tls)
        .await
        .unwrap();
    assert!(server.url().unwrap().starts_with("wss://127.0.0.1:"));
    let ann = connect(&server, authority.trusted()).await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    // Many records of TLS, and more than it buffers.
    let long = note("ä".repeat(250_000));
    assert_eq!(soon(ann.call::<_, Note>("echo", &long)).await.unwrap(), long);
    ann.close();
    assert_eq!(soon(ann.closed()).await.unwrap().code, 1000);

    // The second connection resumes the first one's session.
    ann.connect().await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert!(soon(server.shutdown(secs(4))).await);
    assert_eq!(soon(ann.closed()).await.unwrap().code, 1001);
}

#[tokio::test]
async fn one_server_listens_with_and_without_tls() {
    let (server, authority) = secure_server().await;
    let plain = server.listen(LOCAL).await.unwrap();
    let ann = connect(&server, authority.trusted()).await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    let ann = client(format!("ws://{plain}")).connect().await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused_for_good() {
    let (server, _) = secure_server().await;
    let stranger = Authority::new().trusted().build().unwrap();
    let ann = client(server.url().unwrap()).tls(stranger).reconnect(Backoff::default());
    let refused = soon(ann.connect()).await.unwrap_err();
    assert!(!refused.is_transient());
    assert!(chain(&refused).contains("server's certificate is not trusted: invalid peer certifi"));
    assert!(matches!(tls_error::<()>(Err(refused)), TlsError::Untrusted(_)));
    // Nor do the system and Mozilla know it.
    for tls in [ClientTls::builder(), ClientTls::builder().webpki_roots()] {
        assert!(matches!(tls_error(connect(&server, tls).await), TlsError::Untrusted(_)));
    }
    let unsaid = soon(client(server.url().unwrap()).connect()).await;
    assert!(matches!(tls_error(unsaid), TlsError::Untrusted(_)));
}

/// What `openssl req -x509` makes: its own authority, and with CA:TRUE.
#[tokio::test]
async fn an_authority_as_a_server_is_refused_with_advice() {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let tls = ServerTls::from_pem(&pem, key.serialize_pem()).unwrap();
    let server = server(&JsonArray).bind_tls(LOCAL, tls).await.unwrap();
    let trusting = ClientTls::builder().ca_pem(pem.as_str());
    let error = connect(&server, trusting).await.err().unwrap();
    let shown = format!("{error:#}");
    assert!(shown.contains("CA:TRUE") && shown.contains("basicConstraints=CA:FALSE"), "{shown}");
    assert!(matches!(tls_error::<()>(Err(error)), TlsError::Untrusted(_)));
    // Without the mark, the same is fine.
    params.is_ca = IsCa::ExplicitNoCa;
    let pem = params.self_signed(&key).unwrap().pem();
    let tls = ServerTls::from_pem(&pem, key.serialize_pem()).unwrap();
    let server = crate::support::endpoints::server(&JsonArray).bind_tls(LOCAL, tls).await.unwrap();
    connect(&server, ClientTls::builder().ca_pem(pem.as_str())).await.unwrap();
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let expired = authority.signs(&["127.0.0.1"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let server = server(&JsonArray).bind_tls(LOCAL, expired.server()).await.unwrap();
    let error = tls_error(connect(&server, authority.trusted()).await);
    assert!(matches!(error, TlsError::Untrusted(_)));
    assert!(chain(&error).contains("expired"), "{}", chain(&error));
}

#[tokio::test]
async fn the_host_must_be_the_certificates() {
    let authority = Authority::new();
    let tls = authority.identity(&["example.com"]).server();
    let server = server(&JsonArray).bind_tls(LOCAL, tls).await.unwrap();
    let error = tls_error(connect(&server, authority.trusted()).await);
    assert!(matches!(error, TlsError::WrongName(_)));
    assert!(chain(&error).contains("for another host"));
    assert!(chain(&error).contains("example.com"));

    let named = authority.trusted().server_name("example.com");
    assert_eq!(adds(&connect(&server, named).await.unwrap()).await.unwrap(), 3);
    let misnamed = authority.trusted().server_name("example.org");
    assert!(matches!(tls_error(connect(&server, misnamed).await), TlsError::WrongName(_)));
}

#[tokio::test]
async fn a_pinned_key_must_be_there_besides_the_usual() {
    let authority = Authority::new();
    let identity = authority.identity(&["127.0.0.1"]);
    let server = server(&JsonArray).bind_tls(LOCAL, identity.server()).await.unwrap();
    let pinned = authority.trusted().pin_spki_sha256([7; 32]).pin_spki_sha256(identity.pin);
    assert_eq!(adds(&connect(&server, pinned).await.unwrap()).await.unwrap(), 3);

    let error = tls_error(connect(&server, authority.trusted().pin_spki_sha256([7; 32])).await);
    let TlsError::Pin(mismatch) = &error else { panic!("{error:?}") };
    assert_eq!(mismatch.found, identity.pin);
    assert!(chain(&error).contains("not pinned"));

    // A pin makes up for nothing else.
    let other = Authority::new().trusted().pin_spki_sha256(identity.pin);
    assert!(matches!(tls_error(connect(&server, other).await), TlsError::Untrusted(_)));
    let misnamed = authority.trusted().pin_spki_sha256(identity.pin).server_name("example.com");
    assert!(matches!(tls_error(connect(&server, misnamed).await), TlsError::WrongName(_)));
}

#[tokio::test]
async fn clients_may_need_a_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let tls = authority.identity(&["127.0.0.1"]).server().client_ca_pem(&clients.pem).unwrap();
    let server = server(&JsonArray).bind_tls(LOCAL, tls).await.unwrap();
    let shows = |of: &Authority| {
        let identity = of.identity(&["ann"]);
        authority.trusted().client_auth_pem(identity.chain, identity.key)
    };
    let ann = connect(&server, shows(&clients)).await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    for refused in [authority.trusted(), shows(&authority)] {
        let error = tls_error(connect(&server, refused).await);
        assert!(matches!(error, TlsError::ClientCertificate(_)), "{error:?}");
        assert!(chain(&error).contains("client's certificate is missing or was refused"));
    }
    // They harm nobody else.
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

#[tokio::test]
async fn identify_sees_the_certificate_that_a_client_has_shown() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let tls = authority.identity(&["127.0.0.1"]).server().client_ca_pem(&clients.pem).unwrap();
    let ann = clients.identity(&["ann"]);
    let shown = CertificateDer::from_pem_slice(ann.chain.as_bytes()).unwrap();
    let server = Server::builder(JsonArray)
        .identify_with(move |stranger, hello: Hello<String>| {
            let certificates = stranger.request().extensions().get::<PeerCertificates>().cloned();
            let right = certificates.is_some_and(|it| it.first() == Some(&shown));
            async move {
                if right { Ok(Accept::user(hello.identity)) } else { Err(Refuse::not_authorized()) }
            }
        })
        .handshake_timeout(ms(500))
        .bind_tls(LOCAL, tls.clone())
        .await
        .unwrap();
    let shows =
        |of: &Identity| authority.trusted().client_auth_pem(of.chain.as_str(), of.key.as_str());
    connect(&server, shows(&ann)).await.unwrap();
    let bob = clients.identity(&["bob"]);
    let refused = connect(&server, shows(&bob)).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");

    // Over a transport of one's own as well; one that is silent has the handshake's deadline.
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let (accepting, its) = (server.clone(), tls.clone());
    tokio::spawn(async move {
        let (io, peer) = listener.accept().await.unwrap();
        accepting.accept_tls(&its, io, Some(peer)).await;
    });
    let over = client(&url).tls(shows(&ann).build().unwrap());
    soon(over.connect()).await.unwrap();
    let (silent, _held) = tokio::io::duplex(100);
    soon(server.accept_tls(&tls, silent, None)).await;
}

#[tokio::test]
async fn configurations_of_ones_own_are_taken_as_they_are() {
    let authority = Authority::new();
    let (chain, key) = authority.identity(&["127.0.0.1"]).rustls();
    let provider = Arc::new(ring::default_provider());
    let old = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let tls = ServerTls::from_rustls(Arc::new(old));
    let taken = tls.clone().client_ca_pem(&authority.pem).unwrap_err();
    assert!(matches!(taken, TlsConfigError::ReadyMade));
    let server = server(&JsonArray).bind_tls(LOCAL, tls).await.unwrap();
    let ann = connect(&server, authority.trusted()).await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let config = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        ClientTls::from_rustls(Arc::new(config))
    };
    let url = server.url().unwrap();
    let ann = client(&url).tls(config(rustls::ALL_VERSIONS)).connect().await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    let too_new = client(&url).tls(config(&[&rustls::version::TLS13])).connect().await;
    assert!(matches!(tls_error(too_new), TlsError::Failed(_)));
}

#[tokio::test]
async fn a_client_without_tls_is_told_so() {
    let (server, _) = secure_server().await;
    let refused = soon(client(format!("ws://{}", addr(&server))).connect()).await.unwrap_err();
    let ConnectError::Handshake(HandshakeError::Refused(response)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(response.status(), 400);
    assert_eq!(response.body(), "this port uses TLS: connect with a wss URL");
}

#[tokio::test]
async fn a_server_without_tls_is_no_server_of_wss() {
    let authority = Authority::new();
    let server = server(&JsonArray).bind(LOCAL).await.unwrap();
    let tls = authority.trusted().build().unwrap();
    let refused = soon(client(format!("wss://{}", addr(&server))).tls(tls).connect()).await;
    let error = tls_error(refused);
    assert!(matches!(error, TlsError::NotTls(_)), "{error:?}");
    assert!(chain(&error).starts_with("peer does not speak tls: "));
}

/// What a peer that speaks TLS answers to a client that does not.
#[tokio::test]
async fn an_alert_is_no_http() {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let alerting = async {
        let (mut io, _) = listener.accept().await.unwrap();
        io.write_all(&[0x15, 3, 3, 0, 2, 2, 10]).await.unwrap();
        io
    };
    let (_io, refused) = soon(async { tokio::join!(alerting, client(url).connect()) }).await;
    assert!(chain(&refused.unwrap_err()).contains("server sent a malformed response"));
}

#[tokio::test]
async fn the_connect_timeout_covers_tls() {
    let authority = Authority::new();
    let silent = TcpListener::bind(LOCAL).await.unwrap();
    let url = format!("wss://{}", silent.local_addr().unwrap());
    let tls = authority.trusted().build().unwrap();
    let ann = client(&url).tls(tls.clone()).connect_timeout(ms(200));
    assert!(matches!(soon(ann.connect()).await.unwrap_err(), ConnectError::Timeout));

    let config = ws::Config::default().handshake_timeout(ms(200));
    let request = ClientRequest::new(&url).unwrap();
    let connecting = wse_transport::connect_with_tls(&request, &tls, config);
    assert!(matches!(soon(connecting).await, Err(HandshakeError::Timeout)));
}

#[tokio::test]
async fn one_deadline_covers_tls_and_http() {
    let authority = Authority::new();
    let tls = authority.identity(&["127.0.0.1"]).server();
    let server = server(&JsonArray).handshake_timeout(ms(1000)).bind_tls(LOCAL, tls).await.unwrap();
    let dropped = async |mut io: Box<dyn Transport>, since: Instant| {
        // Whether with an alert or a reset, it ends.
        let _ = soon(io.read_to_end(&mut Vec::new())).await;
        assert!(since.elapsed() >= ms(900), "{:?}", since.elapsed());
        assert!(since.elapsed() < ms(1600), "{:?}", since.elapsed());
    };
    let silent = async {
        let io = TcpStream::connect(addr(&server)).await.unwrap();
        dropped(Box::new(io), Instant::now()).await;
    };
    let half = async {
        let mut io = TcpStream::connect(addr(&server)).await.unwrap();
        let since = Instant::now();
        io.write_all(&[0x16, 3, 1, 0, 200, 1]).await.unwrap();
        dropped(Box::new(io), since).await;
    };
    let late = async {
        let io = TcpStream::connect(addr(&server)).await.unwrap();
        let since = Instant::now();
        // A deadline that began again after TLS would end at 1700.
        tokio::time::sleep(ms(700)).await;
        let tls = authority.trusted().build().unwrap();
        let io = tls.connect("127.0.0.1", io).await.unwrap();
        dropped(Box::new(io), since).await;
    };
    tokio::join!(silent, half, late);
    // Nobody else was held up.
    let ann = connect(&server, authority.trusted()).await.unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

#[tokio::test]
async fn the_auth_timeout_counts_from_the_beginning() {
    let authority = Authority::new();
    let tls = authority.identity(&["127.0.0.1"]).server();
    let server = server(&JsonArray).auth_timeout(secs(2)).bind_tls(LOCAL, tls).await.unwrap();
    let io = TcpStream::connect(addr(&server)).await.unwrap();
    let since = Instant::now();
    tokio::time::sleep(ms(1500)).await;
    let tls = authority.trusted().build().unwrap();
    let mut io = tls.connect("127.0.0.1", io).await.unwrap();
    let request = ClientRequest::new("wss://127.0.0.1/").unwrap();
    let request = request.subprotocol("wse-default-json").unwrap();
    let mut upgrade = Vec::from("GET / HTTP/1.1\r\n");
    for (name, value) in request.build([7; 16]).headers() {
        upgrade.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    upgrade.extend(b"\r\n");
    io.write_all(&upgrade).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"wse.not-authorized") {
        assert!(soon(io.read_buf(&mut heard)).await.unwrap() > 0);
    }
    assert!(heard.starts_with(b"HTTP/1.1 101"));
    assert!(since.elapsed() < Duration::from_millis(3300), "{:?}", since.elapsed());
}

#[tokio::test]
async fn rubbish_harms_nobody_else() {
    let (server, authority) = secure_server().await;
    let ann = connect(&server, authority.trusted()).await.unwrap();
    let mut peers = Vec::new();
    for rubbish in [&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0][..], &[0xff; 5000], &[0; 3], b"\n", b""] {
        let mut io = TcpStream::connect(addr(&server)).await.unwrap();
        let _ = io.write_all(rubbish).await;
        peers.push(io);
    }
    assert_eq!(adds(&ann).await.unwrap(), 3);
    let bob = client(server.url().unwrap()).identity("secret of bob".to_owned());
    let bob = bob.tls(authority.trusted().build().unwrap()).connect().await.unwrap();
    assert_eq!(adds(&bob).await.unwrap(), 3);
    // Who waits to be told what was wrong is not waited for.
    assert!(soon(server.shutdown(secs(4))).await);
}

#[tokio::test]
async fn a_client_that_fails_at_tls_is_refused_and_one_that_leaves_is_not() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let authority = Authority::new();
    let tls = authority.identity(&["127.0.0.1"]).server();
    let server = server(&JsonArray)
        .on_refused(move |refused| tell.lock().unwrap().push(refused.clone()))
        .bind_tls(LOCAL, tls)
        .await
        .unwrap();
    // The last one does not trust the server, and says so in an alert.
    let table: [(&[u8], &str, &str); 3] = [
        (&[0xff; 50], "nothing", "peer does not speak tls"),
        (b"GET / HTTP/1.1\r\n\r\n", "status 400", "this port uses TLS"),
        (b"", "nothing", "server's certificate is not trusted"),
    ];
    for (n, (said, with, cause)) in table.into_iter().enumerate() {
        drop(TcpStream::connect(addr(&server)).await.unwrap());
        if said.is_empty() {
            let distrusts = Authority::new().trusted();
            assert!(connect(&server, distrusts).await.is_err());
        } else {
            let mut io = TcpStream::connect(addr(&server)).await.unwrap();
            io.write_all(said).await.unwrap();
            let _ = soon(io.read_to_end(&mut Vec::new())).await;
        }
        let counted = async {
            while server.counts().refused_tls <= n as u64 {
                tokio::time::sleep(ms(5)).await;
            }
        };
        soon(counted).await;
        let all: Vec<Refused> = std::mem::take(&mut told.lock().unwrap());
        let [refused] = &all[..] else { panic!("{all:?}") };
        assert_eq!(refused.stage, RefusedAt::Tls);
        assert_eq!(refused.with.to_string(), with);
        assert!(refused.cause.starts_with(cause), "{refused}");
        assert!(refused.peer_addr.is_some_and(|it| it.ip().is_loopback()));
    }
}

#[tokio::test]
async fn a_port_of_several_servers_speaks_tls() {
    let authority = Authority::new();
    let server = server(&JsonArray).build();
    let listener = Listener::bind(LOCAL).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let listener = listener.tls(authority.identity(&["127.0.0.1"]).server());
    tokio::spawn(listener.mount("/chat", &server).run());
    let tls = authority.trusted().build().unwrap();
    let to = |path: &str| client(format!("wss://{addr}{path}")).tls(tls.clone()).connect();
    assert_eq!(adds(&soon(to("/chat")).await.unwrap()).await.unwrap(), 3);
    let lost = soon(to("/game")).await.unwrap_err();
    let ConnectError::Handshake(HandshakeError::Refused(response)) = lost else {
        panic!("{lost:?}")
    };
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn bare_websockets_speak_tls() {
    let authority = Authority::new();
    let accepts = authority.identity(&["127.0.0.1"]).server();
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let serving = async {
        let (io, _) = listener.accept().await.unwrap();
        let io = accepts.accept(io).await.unwrap();
        let (mut socket, _) = wse_transport::accept(io, ws::Config::default()).await.unwrap();
        socket.send(Message::text("hello")).await.unwrap();
        while socket.next().await.is_some() {}
    };
    let calling = async {
        let tls = authority.trusted().build().unwrap();
        let request = ClientRequest::new(&url).unwrap();
        let connecting = wse_transport::connect_with_tls(&request, &tls, ws::Config::default());
        let (mut socket, _) = connecting.await.unwrap();
        assert!(socket.get_ref().tcp().nodelay().unwrap());
        let agreed = socket.get_ref().tls().unwrap().alpn_protocol();
        assert_eq!(agreed, Some(&b"http/1.1"[..]));
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
        SinkExt::close(&mut socket).await.unwrap();
    };
    soon(async { tokio::join!(serving, calling) }).await;

    let serving = async {
        let (io, _) = listener.accept().await.unwrap();
        let Err(refused) = accepts.accept(io).await else { panic!("it is not trusted") };
        let TlsError::Untrusted(_) = refused else { panic!("{refused:?}") };
    };
    // Of the system's authorities none has signed it.
    let calling = async {
        let refused = wse_transport::connect(&url, ws::Config::default()).await.unwrap_err();
        let HandshakeError::Tls(TlsError::Untrusted(_)) = refused else { panic!("{refused:?}") };
    };
    soon(async { tokio::join!(serving, calling) }).await;
}

/// A connector whose other end speaks TLS in memory.
struct Pipe(Server<JsonArray>, ServerTls);

#[async_trait]
impl Connector for Pipe {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>> {
        assert_eq!((host, port), ("example.com", 443));
        let (near, far) = tokio::io::duplex(16 * 1024);
        let (server, tls) = (self.0.clone(), self.1.clone());
        tokio::spawn(async move { server.accept(tls.accept(far).await.unwrap(), None).await });
        Ok(Box::new(near))
    }
}

#[tokio::test]
async fn tls_goes_over_any_transport() {
    let authority = Authority::new();
    let pipe = Pipe(server(&JsonArray).build(), authority.identity(&["example.com"]).server());
    let tls = authority.trusted().build().unwrap();
    let ann = client("wss://example.com").connector(pipe).tls(tls).connect();
    assert_eq!(adds(&soon(ann).await.unwrap()).await.unwrap(), 3);
}

#[test]
fn what_cannot_be_used_is_named() {
    let authority = Authority::new();
    let (one, other) = (authority.identity(&["a"]), authority.identity(&["b"]));
    let config = |builder: ClientTlsBuilder| builder.build().unwrap_err();
    let (trusts, key) = (|| authority.trusted(), one.key.as_str());
    assert!(matches!(config(trusts().ca_pem("")), TlsConfigError::NoCertificate));
    assert!(matches!(config(trusts().ca_pem(key)), TlsConfigError::NoCertificate));
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    assert!(matches!(config(trusts().ca_pem(broken)), TlsConfigError::Pem(_)));
    let empty = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    assert!(matches!(config(trusts().ca_pem(empty)), TlsConfigError::Authority(_)));
    let mixed = trusts().client_auth_pem(other.chain.as_str(), key);
    assert!(matches!(config(mixed), TlsConfigError::Identity(_)));
    let keyless = trusts().client_auth_pem(one.chain.as_str(), one.chain.as_str());
    assert!(matches!(config(keyless), TlsConfigError::Pem(_)));
    let unnamed = trusts().server_name("a b").build();
    assert!(matches!(unnamed, Err(TlsConfigError::ServerName(name)) if name == "a b"));
    assert!(!format!("{:?}", trusts().client_auth_pem(one.chain.as_str(), key)).contains("KEY"));

    let mixed = ServerTls::from_pem(&other.chain, key).unwrap_err();
    assert!(matches!(mixed, TlsConfigError::Identity(_)));
    assert!(matches!(ServerTls::from_pem("", key), Err(TlsConfigError::NoCertificate)));
    assert!(matches!(ServerTls::from_pem(&one.chain, ""), Err(TlsConfigError::Pem(_))));
    let nobody = one.server().client_ca_pem("").unwrap_err();
    assert!(matches!(nobody, TlsConfigError::NoCertificate));
    assert_eq!(chain(&nobody), "caller gave pem without a certificate");
}
