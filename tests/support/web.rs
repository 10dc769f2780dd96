//! HTTP servers to upgrade in, and a client of HTTP/2 (RFC 8441) whose streams are transports.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use wse_transport::ws::{Config, Role, WebSocket};

/// Long for a test, and never waited for unless it fails.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("the test hangs")
}

pub type Body = Full<Bytes>;

/// A hyper server of both HTTP versions, with its peers' addresses among the extensions of requests.
pub async fn serve<H, Fut>(handler: H) -> SocketAddr
where
    H: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((io, peer)) = listener.accept().await {
            io.set_nodelay(true).unwrap();
            let handler = handler.clone();
            tokio::spawn(async move {
                let service = service_fn(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(peer);
                    let answering = handler(request);
                    async move { Ok::<_, Infallible>(answering.await) }
                });
                let mut http = auto::Builder::new(TokioExecutor::new());
                http.http2().enable_connect_protocol();
                let _ = http.serve_connection_with_upgrades(TokioIo::new(io), service).await;
            });
        }
    });
    addr
}

/// What is answered to these bytes, up to the end of the connection.
pub async fn http1(addr: SocketAddr, request: &str) -> String {
    let mut io = TcpStream::connect(addr).await.unwrap();
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(io.read_to_string(&mut answer)).await.unwrap();
    answer
}

/// A connection of HTTP/2.
pub struct Http2 {
    requests: SendRequest<Bytes>,
    addr: SocketAddr,
}

impl Http2 {
    /// Connects, and waits until the server says that it takes extended CONNECT.
    pub async fn connect(addr: SocketAddr) -> Self {
        let io = TcpStream::connect(addr).await.unwrap();
        io.set_nodelay(true).unwrap();
        let (requests, connection) = h2::client::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let mut requests = requests.ready().await.unwrap();
        soon(async {
            while !requests.is_extended_connect_protocol_enabled() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                requests = requests.clone().ready().await.unwrap();
            }
        })
        .await;
        Self { requests, addr }
    }

    /// An extended CONNECT for a WebSocket, to be made better or worse.
    pub fn request(&self, path: &str) -> Request<()> {
        Request::builder()
            .method(Method::CONNECT)
            .uri(format!("http://{}{path}", self.addr))
            .version(Version::HTTP_2)
            .header("sec-websocket-version", "13")
            .extension(Protocol::from_static("websocket"))
            .body(())
            .unwrap()
    }

    pub async fn send(&self, request: Request<()>) -> (Response<()>, H2Stream) {
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (response, send) = requests.send_request(request, false).unwrap();
        let (response, recv) = soon(response).await.unwrap().into_parts();
        let stream = H2Stream { send, recv, read: Bytes::new() };
        (Response::from_parts(response, ()), stream)
    }

    /// Sends a request that is to be refused; the answer, with its body.
    pub async fn refused(&self, request: Request<()>) -> Response<String> {
        let (response, mut stream) = self.send(request).await;
        let mut body = Vec::new();
        while let Some(data) = soon(stream.recv.data()).await {
            match data {
                Ok(data) => body.extend_from_slice(&data),
                // RFC 9113 §8.1: all is said, and no request body is waited for.
                Err(error) if error.reason() == Some(h2::Reason::NO_ERROR) => break,
                Err(error) => panic!("{error}"),
            }
        }
        response.map(|()| String::from_utf8(body).unwrap())
    }

    /// A WebSocket on a stream of its own.
    pub async fn open(&self, path: &str, config: Config) -> WebSocket<H2Stream> {
        let (response, stream) = self.send(self.request(path)).await;
        assert_eq!(response.status(), 200);
        WebSocket::new(stream, Role::Client, config)
    }
}

/// One stream as a transport.
#[derive(Debug)]
pub struct H2Stream {
    pub send: SendStream<Bytes>,
    pub recv: RecvStream,
    read: Bytes,
}

impl AsyncRead for H2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.read.is_empty() {
            match ready!(self.recv.poll_data(cx)) {
                Some(data) => self.read = data.map_err(io::Error::other)?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read.split_to(len));
        self.recv.flow_control().release_capacity(len).map_err(io::Error::other)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for H2Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(buf.len());
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(capacity) => drop(capacity.map_err(io::Error::other)?),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let len = buf.len().min(self.send.capacity());
        let data = Bytes::copy_from_slice(&buf[..len]);
        self.send.send_data(data, false).map_err(io::Error::other)?;
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(io::Error::other))
    }
}
