//! The options of a [`ServerBuilder`]: times, limits, and which clients may connect.

use std::sync::Arc;
use std::time::Duration;

use wse_proto::Negotiate;
use wse_proto::session::{Heartbeat, ResumeLimits};
use wse_transport::handshake::{HeadLimits, OriginPolicy, TrustedProxies};
use wse_transport::ws;

use super::builder::ServerBuilder;
use super::duplicates::DuplicateWindows;
use crate::connection::{SendQueue, allowed};

impl<P: Negotiate, S> ServerBuilder<P, S> {
    /// Sets whether a peer gets the text of an error that a handler returned, with its causes,
    /// instead of a generic failure with a correlation id. For development only: such texts may
    /// contain secrets. Default: false.
    pub fn expose_errors(mut self, expose: bool) -> Self {
        self.config.expose_errors = expose;
        self
    }

    /// Sets how many connections a user may have. 0 counts as 1. Each connection beyond the limit
    /// closes the oldest one of the user with 1000 `wse.clients-concurrency`. Default: 1.
    pub fn connections_per_user(mut self, connections: usize) -> Self {
        self.config.connections_per_user = connections;
        self
    }

    /// Lets clients resume their connections: for `limits.window` after the loss of its socket, 60 s by default, a connection
    /// keeps its id, state, rooms, calls and receipts, and what is sent to it. All of this is in memory, and lost with the
    /// process. See [`ServerEvent::Suspended`](crate::ServerEvent) and [`ResumeLimits`]. Default: off, and a connection ends
    /// with its socket.
    ///
    /// Only clients that ask for it and come over a protocol that has it
    /// ([`Capabilities::resume`](crate::Capabilities::resume)) see a difference. A suspended connection counts for
    /// [`connections_per_user`](Self::connections_per_user); over that limit the longest suspended one ends first.
    ///
    /// ```
    /// # use wse::{Accept, Hello, JsonArray, ResumeLimits, Server};
    /// use std::time::Duration;
    /// let server = Server::builder(JsonArray)
    ///     .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
    ///     .resume(ResumeLimits::default().window(Duration::from_secs(120)))
    ///     .build();
    /// ```
    pub fn resume(mut self, limits: ResumeLimits) -> Self {
        self.config.resume = Some(limits);
        self
    }

    /// Sets the time from the accepted connection to the welcome, TLS and HTTP included. Inside an
    /// HTTP server it starts at the upgrade request. A slower connection is closed with 1000
    /// `wse.not-authorized`. `None` means no limit; [`handshake_timeout`](Self::handshake_timeout)
    /// still applies. Default: 10 s.
    pub fn auth_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.auth_timeout = timeout.into();
        self
    }

    /// Sets the time for the HTTP handshake, TLS included. The socket of a slower connection is
    /// dropped. Default: 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.config.handshake_timeout = timeout;
        self
    }

    /// Sets limits on the HTTP request. A larger one is answered with 414 or 431. Default: 8 KiB
    /// per line, 128 headers, 32 KiB in total.
    pub fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.config.head = limits;
        self
    }

    /// Sets the time for the closing handshake, including what is queued before it. After it the
    /// socket is dropped. Default: 10 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.close_timeout = timeout;
        self
    }

    /// Sets how long calls to clients wait for their answers. `None` waits as long as the
    /// connection lasts. Default: 20 s.
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.call_timeout = timeout.into();
        self
    }

    /// Sets how many calls may be pending per connection. Default: 1,024.
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.config.session.calls = calls;
        self
    }

    /// Sets how many receipts may be pending per connection. Default: 1,024.
    pub fn max_receipts(mut self, receipts: usize) -> Self {
        self.config.session.receipts = receipts;
        self
    }

    /// Sets how the server detects clients that are gone. `None` switches it off. A client that is
    /// not heard any more is dropped with close code 1006 and reason `wse.heartbeat-timeout`.
    ///
    /// Default: [`Heartbeat::default`], which pings every 2 s or ten round-trip times, and gives up
    /// after 10 s or fifty. One task checks all connections, so a ping may be up to half a second
    /// late. A `min_interval` below 50 ms counts as 50 ms, since peers limit pings.
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<Heartbeat>>) -> Self {
        self.config.heartbeat = heartbeat.into().map(allowed);
        self
    }

    /// Sets whether handlers that still run when their connection ends are dropped at their next
    /// await point. Default: false, they run to their end.
    ///
    /// Handlers of reliable messages are never dropped: their senders have receipts. The peer chooses which messages are
    /// reliable, so every message handler should end by itself.
    pub fn cancel_handlers(mut self, cancel: bool) -> Self {
        self.config.cancel_handlers = cancel;
        self
    }

    /// Sets how many handlers may run at once per connection, at least 1. At the limit, further messages and calls wait, and
    /// get their receipts when their handlers start. What starts no handler is processed: answers, receipts, cancels, pings.
    /// Default: 1,024.
    pub fn max_handlers(mut self, handlers: usize) -> Self {
        self.config.handlers = handlers.max(1);
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
        self.config.handled_bytes = Some(bytes.max(1));
        self
    }

    /// Sets how many rooms a connection may be in. A further [`join`](crate::Conn::join) fails. Default: 64.
    pub fn max_rooms(mut self, rooms: usize) -> Self {
        self.config.max_rooms = rooms;
        self
    }

    /// Sets how many bytes the name of a room may have. A [`join`](crate::Conn::join) with a longer one fails. Default: 128.
    pub fn max_room_name(mut self, bytes: usize) -> Self {
        self.config.max_room_name = bytes;
        self
    }

    /// Sets whether the server emits [`ServerEvent::Entered`](crate::ServerEvent::Entered) and
    /// [`ServerEvent::Exited`](crate::ServerEvent::Exited) when connections join and leave rooms. Default: false. Each
    /// join and leave then takes the lock that orders the events of users.
    pub fn room_events(mut self, emit: bool) -> Self {
        self.config.room_events = emit;
        self
    }

    /// Recognizes repetitions of reliable messages by these windows, which servers may share. Default: windows of its own.
    pub fn duplicate_windows(mut self, windows: DuplicateWindows) -> Self {
        self.config.windows = windows;
        self
    }

    /// Sets limits on what authenticated clients may send. Default: [`ws::Limits::default`],
    /// messages of 1 MiB. The limits on frames and fragments follow from the limit on messages.
    pub fn limits(mut self, limits: ws::Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Accepts compression with these parameters when a client offers it. Limits apply to the
    /// decompressed size. Default: no compression. Read the security notes of [`ws::Deflate`]
    /// before you compress secrets.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: ws::Deflate) -> Self {
        self.config.deflate = Some(deflate);
        self
    }

    /// Accepts a WebSocket extension when a client offers it. Extensions that were added earlier
    /// are preferred. Default: none.
    pub fn extension(mut self, extension: Arc<dyn ws::Extension>) -> Self {
        self.config.extensions.push(extension);
        self
    }

    /// Sets the largest message of an unauthenticated connection, in bytes. Default: 16 KiB.
    pub fn max_unauthenticated_message(mut self, bytes: usize) -> Self {
        self.config.unauthenticated_message = bytes;
        self
    }

    /// Sets how many pings and pongs a client may send. A client that sends more is closed with
    /// 1008. `None` means no limit. Default: 60 at once, 20 per second.
    pub fn control_rate(mut self, rate: impl Into<Option<ws::ControlRate>>) -> Self {
        self.config.control_rate = rate.into();
        self
    }

    /// Sets the limits of the send queue of each connection, and what happens to a client that
    /// reads too slowly. Default: 1 MiB or 1,024 messages, and a close with 1013 after 10 s.
    pub fn send_queue(mut self, queue: SendQueue) -> Self {
        self.config.queue = queue;
        self
    }

    /// Sets which browser pages may connect. Default: [`OriginPolicy::default`], pages from the
    /// same host.
    pub fn origin(mut self, policy: OriginPolicy) -> Self {
        self.config.origin = policy;
        self
    }

    /// Trusts these proxies to say where a request comes from, in `Forwarded` (RFC 7239) or in
    /// `X-Forwarded-For` and similar headers.
    ///
    /// [`Conn::peer_addr`](crate::Conn::peer_addr) is then the address of the client, and the origin policy compares
    /// with the host that the client asked for. The extensions of [`Conn::request`](crate::Conn::request) contain all
    /// details as [`Forwarded`](wse_transport::handshake::Forwarded). Default: no proxy is trusted.
    ///
    /// ```
    /// # fn example<P: wse::Negotiate>(builder: wse::ServerBuilder<P>)
    /// #     -> Result<wse::ServerBuilder<P>, wse::handshake::ParseNetError> {
    /// use std::net::{IpAddr, Ipv4Addr};
    /// use wse::handshake::ProxyNet;
    ///
    /// let nets: [ProxyNet; 2] = [Ipv4Addr::LOCALHOST.into(), "10.0.0.0/8".parse()?];
    /// Ok(builder.trusted_proxies(nets))
    /// # }
    /// ```
    pub fn trusted_proxies(mut self, proxies: impl Into<TrustedProxies>) -> Self {
        self.config.proxies = proxies.into();
        self
    }
}
