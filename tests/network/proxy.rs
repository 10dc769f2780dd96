//! Clients through proxies, over real sockets: CONNECT and SOCKS 5, with and without TLS at either end.

use std::io;

use crate::support::endpoints::{adds, ms, secs, server};
use crate::support::proxy::*;
use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wse::{Client, ConnectError, Connector, Transport, memory};
use wse_codecs::JsonArray;
use wse_transport::dial::Dial;
use wse_transport::handshake::{HandshakeError, HeadError};
use wse_transport::proxy::{Proxies, Proxy, ProxyFailure, SocksError};
use wse_transport::tls::TlsError;

#[tokio::test]
async fn tls_may_be_at_either_end_of_a_tunnel_or_both() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for (tls_to_proxy, tls_to_server) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let way = format!("tls to the proxy {tls_to_proxy}, to the server {tls_to_server}");
        let tls = tls_to_server.then(|| ours.server("origin.test"));
        let origin = echo_server(LOCAL, tls.clone()).await;
        let proxy = http_proxy(tls_to_proxy.then(|| theirs.server("127.0.0.1"))).await;
        let scheme = if tls_to_proxy { "https://" } else { "http://" };
        let address = Proxy::new(&proxy.url(scheme)).unwrap().tls(theirs.trusted());
        let dial = Dial::default().proxy(address.clone()).tls(ours.trusted());
        let scheme = if tls_to_server { "wss" } else { "ws" };

        let url = format!("{scheme}://origin.test:{}/here", origin.port());
        let socket = dialled(&url, &dial).await.expect(&way);
        assert_eq!(socket.get_ref().tls().is_some(), tls_to_server, "{way}");
        assert_eq!(socket.get_ref().tcp().peer_addr().unwrap(), proxy.addr, "{way}");
        assert!(socket.get_ref().tcp().nodelay().unwrap());
        talk(socket).await;
        assert_eq!(origin.asked(), ["/here"], "{way}");
        let target = format!("origin.test:{}", origin.port());
        assert_eq!(
            proxy.asked(),
            [format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")],
            "{way}"
        );

        // The high-level client goes the same way.
        let server = match tls {
            Some(tls) => server(&JsonArray).bind_tls(LOCAL, tls).await.unwrap(),
            None => server(&JsonArray).bind(LOCAL).await.unwrap(),
        };
        let url = format!("{scheme}://origin.test:{}", server.local_addrs()[0].port());
        let ann = Client::builder(JsonArray, url).identity("secret of ann".to_owned());
        let ann = soon(ann.proxy(address).tls(ours.trusted()).connect()).await.expect(&way);
        assert_eq!(adds(&ann).await.unwrap(), 3, "{way}");
        assert_eq!(proxy.asked().len(), 1, "{way}");
    }
}

#[tokio::test]
async fn trust_in_the_server_is_no_trust_in_the_proxy() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let proxy = http_proxy(Some(theirs.server("127.0.0.1"))).await;
    let address = Proxy::new(&proxy.url("https://")).unwrap();
    for address in [address.clone(), address.tls(ours.trusted())] {
        let dial = Dial::default().proxy(address).tls(theirs.trusted());
        let error = proxy_error(dialled("wss://origin.test", &dial).await);
        assert!(matches!(error.failure(), ProxyFailure::Tls(TlsError::Untrusted(_))), "{error:?}");
        assert_eq!(error.proxy(), proxy.url("https://"));
    }
    assert!(proxy.asked().is_empty());
    // Nor is a tunnel a proof: the server's certificate must be for its name.
    let proxy = http_proxy(None).await;
    let origin = echo_server(LOCAL, Some(ours.server("other.test"))).await;
    let dial = through(&proxy.url("http://")).tls(ours.trusted());
    let refused = dialled(&format!("wss://origin.test:{}", origin.port()), &dial).await;
    assert!(matches!(refused, Err(HandshakeError::Tls(TlsError::WrongName(_)))), "{refused:?}");
}

#[tokio::test]
async fn an_ipv6_target_is_in_brackets() {
    let origin = echo_server("[::1]:0", None).await;
    let proxy = http_proxy(None).await;
    let url = format!("ws://[::1]:{}/", origin.port());
    talk(dialled(&url, &through(&proxy.url("http://"))).await.unwrap()).await;
    let target = format!("[::1]:{}", origin.port());
    let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    assert_eq!(proxy.asked(), [head]);
}

#[tokio::test]
async fn a_proxy_gets_the_login_and_header_fields_and_the_server_does_not() {
    let origin = echo_server(LOCAL, None).await;
    let proxy = http_proxy(None).await;
    let address = Proxy::new(&proxy.url("http://m%65:p%40ss%3aw%C3%B6rd@")).unwrap();
    let address = address.header("User-Agent", "chat/1").unwrap();
    let dial = Dial::default().proxy(address.clone());
    let names = talk(dialled(&format!("ws://{}", origin.addr), &dial).await.unwrap()).await;
    assert!(!names.contains("proxy") && !names.contains("user-agent"), "{names}");
    let head = &proxy.asked()[0];
    // me:p@ss:wörd
    assert!(head.contains("\r\nproxy-authorization: Basic bWU6cEBzczp3w7ZyZA==\r\n"), "{head}");
    assert!(head.ends_with("\r\nuser-agent: chat/1\r\n\r\n"), "{head}");

    // A field of the caller's goes before the URL's.
    let dial = Dial::default().proxy(address.header("Proxy-Authorization", "Bearer it").unwrap());
    dialled(&format!("ws://{}", origin.addr), &dial).await.unwrap();
    let head = &proxy.asked()[0];
    assert!(head.contains("\r\nproxy-authorization: Bearer it\r\n") && !head.contains("Basic"));
}

#[tokio::test]
async fn a_refused_connect_shows_what_the_proxy_said_and_never_the_login() {
    let proxy = says(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a\"\r\n\
         Content-Length: 9\r\n\r\nwho? whatever follows",
        1000,
    )
    .await;
    let address = Proxy::new(&proxy.url("http://me:secret@")).unwrap();
    let address = address.header("X-Token", "secret").unwrap();
    let dial = Dial::default().proxy(address);
    let refused = dialled("ws://origin.test/", &dial).await.unwrap_err();
    let text = chain(&refused);
    let expected = format!(
        "proxy opened no tunnel for the websocket: proxy http://{} refused the tunnel with 407, \
         proxy-authenticate \"Basic realm=\\\"a\\\"\"",
        proxy.addr
    );
    assert_eq!(text, expected);
    assert!(!format!("{refused:?} {dial:?} {text}").contains("secret"));
    assert!(!format!("{refused:?} {dial:?}").contains("bWU6c2VjcmV0"));
    let error = proxy_error::<()>(Err(refused));
    let ProxyFailure::Refused(response) = error.failure() else { panic!("{error:?}") };
    assert_eq!(response.headers()["proxy-authenticate"], "Basic realm=\"a\"");
    assert_eq!(&response.body()[..], b"who? what");

    for (status, transient) in [(407, false), (403, false), (429, true), (502, true), (101, false)]
    {
        let proxy = says(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"), 1000).await;
        let ann = Client::builder(JsonArray, "ws://origin.test").identity("ann".to_owned());
        let ann = ann.proxy(Proxy::new(&proxy.url("http://")).unwrap());
        let refused = soon(ann.connect()).await.unwrap_err();
        assert_eq!(refused.is_transient(), transient, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_the_end_of_its_body() {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let refusing = async {
        let (mut io, _) = listener.accept().await.unwrap();
        io.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\nby the rules").await.unwrap();
        io.read_to_end(&mut Vec::new()).await.unwrap();
    };
    let dial = through(&address).timeout(ms(700));
    let ((), refused) =
        soon(async { tokio::join!(refusing, dialled("ws://origin.test", &dial)) }).await;
    let error = proxy_error(refused);
    let ProxyFailure::Refused(response) = error.failure() else { panic!("{error:?}") };
    assert_eq!(&response.body()[..], b"by the rules");
}

#[tokio::test]
async fn a_head_comes_in_any_pieces_and_what_is_behind_it_is_the_tunnels() {
    let answer = "HTTP/1.0 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.0 200\r\nContent-Length: 7\r\n\r\n\
                  HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nnever";
    for piece in [1, 7, 1000] {
        let proxy = says(answer, piece).await;
        let refused = dialled("ws://origin.test/", &through(&proxy.url("http://"))).await;
        let Err(HandshakeError::Refused(response)) = refused else { panic!("{refused:?}") };
        assert_eq!((response.status().as_u16(), &response.body()[..]), (403, &b"never"[..]));
    }
}

#[tokio::test]
async fn what_is_no_response_to_connect_is_an_error() {
    let long = |text: &str, times| text.repeat(times).into_bytes();
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
    let cases = [
        (long("x", 1_000_000), HeadError::FirstLineTooLong),
        ([b"HTTP/1.1 200 OK\r\na: ".to_vec(), long("x", 100_000)].concat(), HeadError::LineTooLong),
        (
            [b"HTTP/1.1 200 OK\r\n".to_vec(), long("a: b\r\n", 1000)].concat(),
            HeadError::TooManyHeaders,
        ),
        (long(interim, 100_000), HeadError::TooLong),
        (b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), HeadError::Malformed),
        (b"\x15\x03\x01\x00\x02\x02\x46".to_vec(), HeadError::Malformed),
        (b"HTTP/1.1 200 OK\n\n".to_vec(), HeadError::Malformed),
        (b"HTTP/2 200\r\n\r\n".to_vec(), HeadError::Malformed),
    ];
    for (answer, expected) in cases {
        let proxy = says(answer, 10_000).await;
        let error = proxy_error(dialled("ws://a.test", &through(&proxy.url("http://"))).await);
        assert!(matches!(error.failure(), ProxyFailure::Head(it) if *it == expected), "{error:?}");
        assert!(error.to_string().contains(&proxy.addr.to_string()));
    }
    let proxy = says("HTTP/1.1 200 OK\r\n", 1000).await;
    let error = proxy_error(dialled("ws://a.test", &through(&proxy.url("http://"))).await);
    assert!(matches!(error.failure(), ProxyFailure::Io(it)
        if it.kind() == io::ErrorKind::UnexpectedEof));
}

#[tokio::test]
async fn a_silent_or_absent_proxy_is_named() {
    let proxy = silent().await;
    for scheme in ["http://", "https://", "socks5h://"] {
        let dial = through(&proxy.url(scheme)).timeout(ms(400));
        let error = proxy_error(dialled("ws://origin.test", &dial).await);
        assert!(matches!(error.failure(), ProxyFailure::Timeout), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("proxy {} did not answer in time", proxy.url(scheme))
        );
    }
    let gone = TcpListener::bind(LOCAL).await.unwrap().local_addr().unwrap();
    let ann = Client::builder(JsonArray, "ws://origin.test").identity("ann".to_owned());
    let ann = ann.proxy(Proxy::new(&gone.to_string()).unwrap());
    let failed = soon(ann.connect()).await.unwrap_err();
    assert!(failed.is_transient());
    assert!(chain(&failed).contains(&format!("proxy http://{gone} cannot be reached: ")));
}

#[tokio::test]
async fn socks_takes_names_and_addresses_with_and_without_login() {
    let (origin, six) = (echo_server(LOCAL, None).await, echo_server("[::1]:0", None).await);
    let authority = Authority::new();
    let secure = echo_server(LOCAL, Some(authority.server("origin.test"))).await;
    for login in [None, Some(("me@home", "secret"))] {
        let proxy = socks_proxy(login).await;
        let before = if login.is_some() { "me%40home:secret@" } else { "" };
        let cases = [
            ("socks5h", format!("ws://origin.test:{}", origin.port()), "name origin.test"),
            ("socks5h", format!("wss://origin.test:{}", secure.port()), "name origin.test"),
            ("socks5h", format!("ws://127.0.0.1:{}", origin.port()), "v4 127.0.0.1"),
            ("socks5", format!("ws://127.0.0.1:{}", origin.port()), "v4 127.0.0.1"),
            ("socks5", format!("ws://localhost:{}", origin.port()), "v4 127.0.0.1"),
            ("socks5", format!("ws://[::1]:{}", six.port()), "v6 ::1"),
            ("socks5h", format!("ws://[::1]:{}", six.port()), "v6 ::1"),
        ];
        for (scheme, url, asked) in cases {
            let dial =
                through(&proxy.url(&format!("{scheme}://{before}"))).tls(authority.trusted());
            talk(dialled(&url, &dial).await.unwrap()).await;
            let port = url.rsplit(':').next().unwrap();
            assert_eq!(proxy.asked(), [format!("{asked} {port}")], "{scheme} {url}");
        }
    }
    // One that asks for no login is not told it; a wrong one, or none, is refused.
    let open = socks_proxy(None).await;
    let dial = through(&open.url("socks5h://me:secret@"));
    talk(dialled(&format!("ws://origin.test:{}", origin.port()), &dial).await.unwrap()).await;
    let strict = socks_proxy(Some(("me", "secret"))).await;
    for (before, expected) in [
        ("socks5h://me:wrong@", SocksError::Login),
        ("socks5h://you:secret@", SocksError::Login),
        ("socks5h://", SocksError::LoginRequired),
    ] {
        let error = proxy_error(dialled("ws://origin.test", &through(&strict.url(before))).await);
        assert!(matches!(error.failure(), ProxyFailure::Socks(it) if *it == expected));
        assert!(!format!("{error:?} {}", chain(&error)).contains("wrong"));
    }
}

#[tokio::test]
async fn a_server_that_is_nowhere_is_the_resolvers_error() {
    let proxy = socks_proxy(None).await;
    let dial = through(&proxy.url("socks5://"));
    let error = proxy_error(dialled("ws://origin.invalid", &dial).await);
    assert!(matches!(error.failure(), ProxyFailure::Unresolved(_)), "{error:?}");
}

#[tokio::test]
async fn exempt_servers_are_reached_directly() {
    let origin = echo_server(LOCAL, None).await;
    let proxy = http_proxy(None).await;
    let proxies = Proxies::from(Proxy::new(&proxy.url("http://")).unwrap()).except("127.0.0.0/8");
    let dial = Dial::default().proxy(proxies);
    talk(dialled(&format!("ws://{}", origin.addr), &dial).await.unwrap()).await;
    assert!(proxy.asked().is_empty());
    // Whichever family listens.
    talk(dialled(&format!("ws://localhost:{}", origin.port()), &Dial::default()).await.unwrap())
        .await;
}

/// A connector that never connects, and notes to where it should have.
struct Never(std::sync::mpsc::Sender<(String, u16)>);

#[async_trait]
impl Connector for Never {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>> {
        self.0.send((host.to_owned(), port)).unwrap();
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn dialling_takes_half_of_the_time_at_most() {
    let start = tokio::time::Instant::now();
    let (sender, asked) = std::sync::mpsc::channel();
    let ann = Client::builder(JsonArray, memory::URL).identity("ann".to_owned());
    let failed = ann.connector(Never(sender.clone())).connect().await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 5);
    assert!(failed.is_transient());
    assert!(matches!(&failed, ConnectError::Handshake(HandshakeError::Io(it))
        if it.kind() == io::ErrorKind::TimedOut));
    assert_eq!(asked.recv().unwrap(), ("memory".to_owned(), 80));

    // With a proxy the connector leads there.
    let ann = Client::builder(JsonArray, memory::URL).identity("ann".to_owned());
    let ann = ann.connector(Never(sender)).proxy(Proxy::new("socks5h://[::1]").unwrap());
    let failed = ann.dial_timeout(secs(2)).connect().await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 7);
    assert!(
        chain(&failed)
            .ends_with("proxy socks5h://[::1]:1080 cannot be reached: no connection within 2s")
    );
    assert_eq!(asked.recv().unwrap(), ("::1".to_owned(), 1080));
}
