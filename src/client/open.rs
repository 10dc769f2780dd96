//! From a URL to the welcome: over a WebSocket, or over a byte stream.

use std::io;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use wse_proto::session::{Close, Session};
use wse_proto::{CloseReason, Hi, MessageKind, Negotiate};
use wse_transport::dial::Opened;
use wse_transport::handshake::{
    ClientRequest, HandshakeError, RequestError, ResponseError, is_credential,
};
use wse_transport::ws::{self, Role, WebSocket};

use super::credentials::Target;
use super::error::ConnectError;
use super::framed_url::FramedUrl;
use super::place::{Headers, Url};
use super::shared::{Shared, Welcomed};
use super::side::ClientSide;
use crate::connection::{
    Channel, Clock, Connection, ConnectionOptions, FramedChannel, Resumable, Wire, drive,
};
use crate::transport::Transport;

/// Opens a WebSocket.
pub(super) fn websocket<'a>(
    shared: &'a Arc<Shared>,
    target: &'a Target,
) -> BoxFuture<'a, Result<Welcomed, ConnectError>> {
    Box::pin(async move {
        let settings = &shared.settings;
        let clock = Clock::start();
        let url = target.url.get().await?;
        let asked = match &settings.ask_headers {
            Some(ask) => ask.get().await?,
            None => Vec::new(),
        };
        // The application itself has provided an asked one, so its header fields are for that server.
        let own = matches!(target.url, Url::Asked(_));
        let request =
            request(shared, &url, own, &asked).map_err(|error| match own || !asked.is_empty() {
                // What a function has provided may be another one the next time.
                true => ConnectError::Provided(error.into()),
                false => HandshakeError::Request(error).into(),
            })?;
        let connect = |host: String, port| {
            let connector = Arc::clone(&settings.connector);
            async move { connector.connect(&host, port).await }
        };
        let Opened { io, response, leftover, subprotocol, .. } =
            settings.dial.open(&request, connect).await?;
        let negotiated = request.negotiated(&response).map_err(HandshakeError::Response)?;
        let offered: Vec<&str> = subprotocol.as_deref().into_iter().collect();
        let wire = settings
            .protocol
            .select(&offered)
            .ok_or(HandshakeError::Response(ResponseError::SubprotocolMissing))?;
        let hi = greeting(target, &wire).await?;
        let config =
            ws::Config::default().limits(settings.limits).close_timeout(settings.close_timeout);
        let mut socket = WebSocket::with_leftover(io, leftover, Role::Client, config);
        socket.set_negotiated(negotiated);
        welcome(shared, socket, wire, hi, clock).await
    })
}

/// Opens a byte stream.
///
/// Generic, although nothing depends on `P`, so that only a program that uses it compiles it.
#[allow(clippy::extra_unused_type_parameters)]
pub(super) fn framed<'a, P: Negotiate>(
    shared: &'a Arc<Shared>,
    target: &'a Target,
) -> BoxFuture<'a, Result<Welcomed, ConnectError>> {
    Box::pin(async move {
        let settings = &shared.settings;
        let clock = Clock::start();
        let wire = settings.protocol.first();
        let url = target.url.get().await?;
        let io = connect(shared, &url).await?;
        let hi = greeting(target, &wire).await?;
        let (kind, most) = (wire.info.kind(), settings.limits.max_message);
        let channel = FramedChannel::new(io, kind, most, settings.close_timeout);
        welcome(shared, channel, wire, hi, clock).await
    })
}

async fn connect(shared: &Shared, url: &str) -> Result<Box<dyn Transport>, ConnectError> {
    let dial = &shared.settings.dial;
    let url = FramedUrl::parse(url)?;
    if let FramedUrl::Tcp(host, port) = &url
        && dial.proxies.choose(false, host, *port).is_some()
    {
        let why = "a framed connection cannot use a proxy";
        return Err(ConnectError::Transport(io::Error::new(io::ErrorKind::Unsupported, why)));
    }
    let connecting = async {
        match &url {
            FramedUrl::Tcp(host, port) => shared.settings.connector.connect(host, *port).await,
            #[cfg(unix)]
            FramedUrl::Unix(path) => {
                let io = tokio::net::UnixStream::connect(path).await?;
                Ok(Box::new(io) as Box<dyn Transport>)
            }
        }
    };
    match tokio::time::timeout(dial.timeout, connecting).await {
        Ok(connected) => connected.map_err(ConnectError::Transport),
        Err(_) => {
            let why = format!("no connection within {:?}", dial.timeout);
            Err(ConnectError::Transport(io::Error::new(io::ErrorKind::TimedOut, why)))
        }
    }
}

/// What the client greets with; `None` when the protocol has no greeting.
async fn greeting(target: &Target, wire: &Wire) -> Result<Option<Hi>, ConnectError> {
    match wire.info.has_greeting() {
        true => target.credentials.hi(wire).await.map(Some),
        false => Ok(None),
    }
}

/// Greets over an open channel, and waits for the welcome.
async fn welcome<C: Channel + Send + 'static>(
    shared: &Arc<Shared>,
    channel: C,
    wire: Wire,
    hi: Option<Hi>,
    clock: Clock,
) -> Result<Welcomed, ConnectError> {
    let settings = &shared.settings;
    let info = wire.info;
    let lines = C::FRAMED && info.kind() == MessageKind::Text;
    let hi = match (hi, shared.suspended_connection()) {
        (Some(hi), Some(connection)) if connection.speaks(&wire, lines) => {
            match Resumable::take(&connection).await {
                Some(resumable) => return resume(shared, channel, connection, resumable, hi).await,
                None => Some(hi),
            }
        }
        (hi, _) => hi,
    };
    shared.end_suspended();
    let session = match hi {
        Some(hi) if settings.reconnect.is_some() => {
            Session::resumable_client(info, hi, settings.session, &shared.budget)
        }
        hi => Session::client(info, hi, settings.session),
    };
    let options =
        ConnectionOptions { ticked: false, cancels_handlers: settings.cancel_handlers, lines };
    let counts = Arc::clone(&shared.counts);
    let connection = Connection::new(wire, session, settings.queue, clock, counts, options);
    let (welcomed, welcome) = oneshot::channel();
    let (ends, ended) = oneshot::channel();
    let side = ClientSide::new(Arc::clone(shared), welcomed, ends);
    let count = shared.count_connection();
    let drive = drive(channel, Arc::clone(&connection), side);
    shared.tasks.spawn(async move {
        let _count = count;
        drive.await;
    });
    let mut greeting = Greeting(Some(Arc::clone(&connection)));
    welcome.await.unwrap_or(Err(ConnectError::Closed))?;
    greeting.0 = None;
    Ok(Welcomed { connection, ended })
}

/// Greets over an open channel to resume a connection, and waits for the welcome.
async fn resume<C: Channel + Send + 'static>(
    shared: &Arc<Shared>,
    channel: C,
    connection: Arc<Connection>,
    mut resumable: Resumable<ClientSide>,
    hi: Hi,
) -> Result<Welcomed, ConnectError> {
    let (welcomed, welcome) = oneshot::channel();
    let (ends, ended) = oneshot::channel();
    resumable.side().reconnecting(welcomed, ends);
    let count = shared.count_connection();
    let drive = resumable.drive(channel, |session| {
        // Fails when the session has ended meanwhile: the driver sees that.
        let _ = session.reconnect(hi);
    });
    shared.tasks.spawn(async move {
        let _count = count;
        drive.await;
    });
    let mut resuming = ResumeGuard(Some(Arc::clone(&connection)));
    welcome.await.unwrap_or(Err(ConnectError::Closed))?;
    resuming.0 = None;
    Ok(Welcomed { connection, ended })
}

/// The request for this URL. `own` says that it is the application's, wherever it leads.
fn request(
    shared: &Shared,
    url: &str,
    own: bool,
    asked: &Headers,
) -> Result<ClientRequest, RequestError> {
    let mut request = ClientRequest::new(url)?.deflate(shared.settings.deflate);
    for name in shared.settings.protocol.subprotocols() {
        request = request.subprotocol(name)?;
    }
    for extension in &shared.settings.extensions {
        request = request.extension(Arc::clone(extension))?;
    }
    let shares = shared.settings.share_credentials || own || is_home(shared, &request);
    let replaced = |name: &str| asked.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
    let fixed = shared.settings.headers.iter().filter(|(name, _)| !replaced(name));
    for (name, value) in fixed.chain(asked) {
        let credential = name.parse().is_ok_and(|name| is_credential(&name));
        if shares || !credential {
            request = request.header(name, value)?;
        }
    }
    Ok(request)
}

/// Whether a request goes to the origin that the header fields were set for.
fn is_home(shared: &Shared, request: &ClientRequest) -> bool {
    ClientRequest::new(&shared.settings.home).is_ok_and(|home| home.is_same_origin(request))
}

/// Closes a connection whose attempt is dropped before the welcome.
struct Greeting(Option<Arc<Connection>>);

impl Drop for Greeting {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.close(Close::normal(CloseReason::ByClient));
        }
    }
}

/// Gives up the channel of an attempt to resume that is dropped before the welcome. The session is suspended again.
struct ResumeGuard(Option<Arc<Connection>>);

impl Drop for ResumeGuard {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.drop_channel();
        }
    }
}
