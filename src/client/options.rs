//! The options of a [`ClientBuilder`]: times, limits, and the way to the server.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use wse_proto::Negotiate;
use wse_proto::session::Heartbeat;
use wse_transport::proxy::Proxies;
use wse_transport::ws;

use super::builder::ClientBuilder;
use super::connector::Connector;
use super::open;
use super::place::AskHeaders;
use crate::connection::{SendQueue, allowed};
use crate::router::HandlerError;

impl<P: Negotiate> ClientBuilder<P> {
    /// Sets whether the server gets the text of an error that a handler returned, with its causes,
    /// instead of a generic failure with a correlation id. For development only: such texts may
    /// contain secrets. Default: false.
    pub fn expose_errors(mut self, expose: bool) -> Self {
        self.settings.expose_errors = expose;
        self
    }

    /// Sets the time for one attempt, from the first packet to the welcome, TLS included. Default:
    /// 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Sets the time for the closing handshake, including what is queued before it. Default: 10 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.settings.close_timeout = timeout;
        self
    }

    /// Sets how long calls wait for their answers. `None` waits as long as the connection lasts.
    /// Default: 20 s.
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.call_timeout = timeout.into();
        self
    }

    /// Sets how many calls may be pending. Default: 1,024.
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.settings.session.calls = calls;
        self
    }

    /// Sets how many receipts may be pending. Default: 1,024.
    pub fn max_receipts(mut self, receipts: usize) -> Self {
        self.settings.session.receipts = receipts;
        self
    }

    /// Sets how the client detects that the server is gone. `None` switches it off. When the server
    /// is not heard any more, the connection ends with close code 1006 and reason
    /// `wse.heartbeat-timeout`.
    ///
    /// Default: [`Heartbeat::default`], which pings every 2 s or ten round-trip times, and gives up
    /// after 10 s or fifty. A `min_interval` below 50 ms counts as 50 ms, since peers limit pings.
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<Heartbeat>>) -> Self {
        self.settings.heartbeat = heartbeat.into().map(allowed);
        self
    }

    /// Sets whether handlers that still run when the connection ends are dropped at their next
    /// await point. Default: false, they run to their end.
    ///
    /// Handlers of reliable messages are never dropped: their senders have receipts. The peer chooses which messages are
    /// reliable, so every message handler should end by itself.
    pub fn cancel_handlers(mut self, cancel: bool) -> Self {
        self.settings.cancel_handlers = cancel;
        self
    }

    /// Sets how many handlers may run at once per connection, at least 1. At the limit, further messages and calls wait, and
    /// get their receipts when their handlers start. What starts no handler is processed: answers, receipts, cancels, pings.
    /// Default: 1,024.
    pub fn max_handlers(mut self, handlers: usize) -> Self {
        self.settings.handlers = handlers.max(1);
        self
    }

    /// Sets how many bytes may be handled at once, per connection: the payloads of messages and calls that are handled or wait
    /// for that, and the answers of running procedures. Default: eight times the largest message that
    /// [`limits`](Self::limits) allows, which is 8 MiB.
    ///
    /// An answer counts as much as the largest of the last answers of its procedure, or 4 KiB before the first one. A waiting
    /// message counts as 512 bytes more. At the limit further messages and calls wait, as with
    /// [`max_handlers`](Self::max_handlers); when payloads alone reach it, nothing is read from the connection. No call starts
    /// while the [send queue](Self::send_queue) is full of answers.
    pub fn max_handled_bytes(mut self, bytes: usize) -> Self {
        self.settings.handled_bytes = Some(bytes.max(1));
        self
    }

    /// Sets limits on what the server may send. Default: [`ws::Limits::default`], messages of 1
    /// MiB.
    pub fn limits(mut self, limits: ws::Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Offers compression with these parameters. The server may decline. Default: no offer. Read
    /// the security notes of [`ws::Deflate`] before you compress secrets.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: ws::Deflate) -> Self {
        self.settings.deflate = Some(deflate);
        self
    }

    /// Offers a WebSocket extension, after those that were added earlier. The server may decline.
    /// Default: none. An extension whose name or parameters are invalid fails the connect.
    pub fn extension(mut self, extension: Arc<dyn ws::Extension>) -> Self {
        self.settings.extensions.push(extension);
        self
    }

    /// Sets the limits of the send queue. Default: 1 MiB or 1,024 messages.
    pub fn send_queue(mut self, queue: SendQueue) -> Self {
        self.settings.queue = queue;
        self
    }

    /// Keeps up to this many messages that are sent without a connection, and sends them after the
    /// next welcome. When it is full, `send` fails with
    /// [`SendError::QueueFull`](crate::SendError::QueueFull). The kept messages are dropped when the
    /// client goes offline. Calls are never kept.
    ///
    /// Default: `send` keeps nothing, and fails with [`SendError::NotReady`](crate::SendError::NotReady).
    /// [`send_with`](crate::Client::send_with) keeps up to 1,024 messages; with 0 it keeps nothing either.
    pub fn offline_queue(mut self, messages: usize) -> Self {
        self.settings.offline_queue = Some(messages);
        self
    }

    /// Sets how many bytes of what it has sent the client keeps, until the server says that it has processed them, after 64
    /// messages or 5 s. Past that, sending fails as with a full send queue. Only with [`reconnect`](Self::reconnect) and a
    /// server that lets connections be resumed. Default: 16 MiB.
    pub fn resume_bytes(mut self, bytes: usize) -> Self {
        self.settings.resume = self.settings.resume.ring_bytes(bytes);
        self
    }

    /// Sets how many messages the client keeps in the same way. Default: 65,536.
    pub fn resume_messages(mut self, messages: usize) -> Self {
        self.settings.resume = self.settings.resume.ring_messages(messages);
        self
    }

    /// Adds a header field to the HTTP request. A field of the WebSocket handshake itself fails the
    /// connect.
    ///
    /// A field that may have [credentials](wse_transport::handshake::is_credential), such as
    /// `Authorization`, `Cookie` or `X-Api-Key`, is sent only to the scheme, host and port of the
    /// builder's URL, and to the URLs of [`url_with`](Self::url_with): not after a redirect, nor after
    /// [`Client::migrate`](crate::Client::migrate), to another. See [`share_credentials`](Self::share_credentials).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a function that provides more header fields at each attempt, such as a token that expires. For them the same
    /// rules apply as for those of [`header`](Self::header), and they replace fields of the same name. Default: none.
    ///
    /// An error that it returns, or a field that is malformed, is a transient
    /// [`ConnectError::Provided`](crate::ConnectError::Provided). Its time counts as
    /// part of the [`connect_timeout`](Self::connect_timeout).
    ///
    /// ```
    /// # async fn fresh_token() -> Result<String, wse::BoxError> { Ok(String::new()) }
    /// # fn example<P: wse::Negotiate>(builder: wse::ClientBuilder<P>) -> wse::ClientBuilder<P> {
    /// builder.headers_with(|| async {
    ///     wse::Ok([("authorization", format!("Bearer {}", fresh_token().await?))])
    /// })
    /// # }
    /// ```
    pub fn headers_with<N, V, I, E, F, Fut>(mut self, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (N, V)>,
        N: Into<String>,
        V: Into<String>,
        E: HandlerError,
    {
        self.settings.ask_headers = Some(AskHeaders::new(ask));
        self
    }

    /// Sets whether the fields of [`header`](Self::header) that may have credentials are also sent to
    /// the servers that the client migrates to. Default: false, only to the scheme, host and port of
    /// the builder's URL.
    pub fn share_credentials(mut self, share: bool) -> Self {
        self.settings.share_credentials = share;
        self
    }

    /// Sets how the client opens its transport. Default: [`TcpConnector`](crate::TcpConnector). Proxies and TLS for
    /// `wss://` URLs are handled on top of this transport.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.settings.connector = Arc::new(connector);
        self
    }

    /// Connects over a byte stream instead of a WebSocket: messages with their length before them for a binary
    /// protocol, and lines for a text protocol. The frames are those of [`ProtocolCodec`](crate::ProtocolCodec), and
    /// the server is [`Server::serve_framed`](crate::Server::serve_framed). Default: a WebSocket.
    ///
    /// The URL, also that of [`Client::migrate`](crate::Client::migrate), is `tcp://host:port`, for which the
    /// [`connector`](Self::connector) opens the stream, or on Unix `unix:/path`, which is the path of a socket.
    ///
    /// Greeting and challenge, calls, receipts, limits, queues and reconnecting are as over a WebSocket. These differ:
    ///
    /// - The protocol is the first one of the client. The server must use the same.
    /// - The server cannot send a close code. Its end is code 1005 between two messages, and 1006 within one or after
    ///   an error. A refusal cannot be told from a restart: it is
    ///   [`ConnectError::Refused`](crate::ConnectError::Refused) with code 1005, which [`reconnect`](Self::reconnect)
    ///   tries again. Limit its attempts.
    /// - There are no WebSocket pings. The [`heartbeat`](Self::heartbeat) uses the pings of the protocol; a protocol
    ///   without them has no heartbeat.
    /// - A text message that has a line break cannot be sent: [`SendError::Encode`](crate::SendError::Encode).
    /// - `header`, `deflate`, `extension`, `redirects` and `tls` have no effect. A connector can add TLS. With a proxy
    ///   for the address, connecting fails.
    ///
    /// ```no_run
    /// # async fn example<P: wse::Negotiate<Format: wse::Encode<String>>>(protocol: P)
    /// #     -> Result<(), wse::ConnectError> {
    /// let client = wse::Client::builder(protocol, "tcp://127.0.0.1:4201")
    ///     .framed()
    ///     .identity("ann".to_owned())
    ///     .connect()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn framed(mut self) -> Self {
        self.settings.open = open::framed::<P>;
        self
    }

    /// Connects through proxies: one [`Proxy`](wse_transport::proxy::Proxy) for all servers, or
    /// [`Proxies`](wse_transport::proxy::Proxies). Default: none. The environment is not read.
    pub fn proxy(mut self, proxies: impl Into<Proxies>) -> Self {
        self.settings.dial.proxies = proxies.into();
        self
    }

    /// Sets the time for the connector, and then for the handshake with a proxy, its TLS included.
    /// It counts as part of the [`connect_timeout`](Self::connect_timeout). Default: 5 s.
    pub fn dial_timeout(mut self, timeout: Duration) -> Self {
        self.settings.dial.timeout = timeout;
        self
    }

    /// Sets how many redirects to follow: see [`Dial::redirects`](wse_transport::dial::Dial::redirects). Default: 0.
    /// The greeting, and with it the identity, goes to the new server: allow redirects only from servers that you trust
    /// to choose it.
    pub fn redirects(mut self, most: u8) -> Self {
        self.settings.dial.redirects = most;
        self
    }

    /// Sets the trusted certificates, and the client's own, for `wss://` URLs. Default: the
    /// certificates that the system trusts, or those of Mozilla if the system has none.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: wse_transport::tls::ClientTls) -> Self {
        self.settings.dial.tls = Some(tls);
        self
    }
}
