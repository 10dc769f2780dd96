//! [`Driver`]: a whole WebSocket without I/O, for any transport and any runtime.

#[cfg_attr(not(feature = "drafts"), path = "drafts_off.rs")]
mod drafts;
mod event;
mod framing;
mod opening;
mod options;
mod pings;
mod run;
mod sending;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};

use super::{
    close::{CloseCode, CloseFrame},
    closing::Closing,
    codec::{Codec, Role},
    engine::Engine,
    extension::Extension,
    frame::Frame,
    stream::random_mask,
};
use crate::handshake::{ClientRequest, RequestError, is_reserved, is_token};
use drafts::Draft;
pub use event::{DriverError, DriverEvent, DriverState, TransportUse};
use framing::Framing;
use opening::Opening;
pub use options::DriverOptions;
use pings::Pings;

/// A WebSocket connection as a state machine: bytes that came go in, events and bytes to send come
/// out. It has no transport and no clock, never blocks, and takes any chunking. The
/// [`WebSocket`](super::WebSocket) runs on the same code.
///
/// The caller's loop, whenever something happened:
///
/// 1. appends what it read to [`input`](Self::input), and says [`end`](Self::end) when nothing more
///    will come;
/// 2. takes events until [`next_event`](Self::next_event) has none. Nothing is decoded before: who
///    does not take events is sent no more than he feeds;
/// 3. writes [`output`](Self::output), says how much of it was [`written`](Self::written), and looks for
///    events again: the end is told of when our last bytes are out;
/// 4. does what [`transport`](Self::transport) says;
/// 5. comes again at [`deadline`](Self::deadline) at the latest.
///
/// Time is passed in: what has passed since a moment of the caller's choice, the same in all calls.
///
/// A server's driver parses the request, tells of it with [`DriverEvent::Connect`], and answers when
/// it is [started](Self::start). A client's asks when it is started. What is sent before the
/// connection is open is queued.
///
/// ```
/// use std::time::Duration;
/// use wse_transport::ws::{Driver, DriverEvent, DriverOptions, Message, is_websocket};
///
/// let now = Duration::ZERO;
/// let mut server = Driver::server(DriverOptions::default());
/// let mut client = Driver::client("ws://example.com/chat", DriverOptions::default())?;
/// client.start()?;
/// client.text("hello")?; // sent once it is open
///
/// server.receive(&client.take_output());
/// assert!(matches!(server.next_event(now), Some(DriverEvent::Connect)));
/// assert!(is_websocket(server.request().unwrap()));
/// server.start()?;
/// client.receive(&server.take_output());
/// assert!(matches!(client.next_event(now), Some(DriverEvent::Open)));
///
/// server.receive(&client.take_output());
/// assert!(matches!(server.next_event(now), Some(DriverEvent::Open)));
/// let Some(DriverEvent::Message(message)) = server.next_event(now) else { panic!() };
/// assert_eq!(message, Message::text("hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Driver {
    options: DriverOptions,
    framing: Framing,
    engine: Engine,
    /// Which draft is spoken in place of RFC 6455; known once there is a request.
    draft: Option<Draft>,
    opening: Opening,
    headers: HeaderMap,
    extensions: Vec<Arc<dyn Extension>>,
    request: Option<Request<()>>,
    response: Option<Response<()>>,
    protocol: Option<String>,
    input: BytesMut,
    ended: bool,
    output: BytesMut,
    events: VecDeque<DriverEvent>,
    /// What was sent before the connection was open.
    queue: Vec<Frame>,
    pings: Pings,
    /// When the handshake under way, opening or closing, is given up.
    deadline: Option<Duration>,
    /// What the close event will say; taken by it.
    close: Option<CloseFrame>,
}

impl Driver {
    /// The server's side, over a transport on which nothing has been read.
    #[must_use]
    pub fn server(options: DriverOptions) -> Self {
        let codec = Codec::server(options.config.limits);
        Self::new(options, codec, Opening::request())
    }

    /// The server's side, for a request that an HTTP server has parsed. What that read behind the
    /// request goes to [`input`](Self::input). The answer is written by the driver.
    #[must_use]
    pub fn from_request<B>(request: &Request<B>, options: DriverOptions) -> Self {
        let codec = Codec::server(options.config.limits);
        let mut driver = Self::new(options, codec, Opening::Asked);
        let mut copy = Request::new(());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        copy.headers_mut().clone_from(request.headers());
        driver.asked(copy);
        driver
    }

    /// The client's side for a `ws://` or `wss://` URL, offering the options' subprotocols. TLS is
    /// the transport's.
    ///
    /// # Errors
    ///
    /// [`RequestError`] for a URL or a subprotocol that cannot be asked for.
    pub fn client(url: &str, options: DriverOptions) -> Result<Self, RequestError> {
        let mut request = ClientRequest::new(url)?;
        for name in &options.protocols {
            request = request.subprotocol(name)?;
        }
        Ok(Self::client_with(request, options))
    }

    /// The client's side with a request of the caller's; the options' subprotocols are not looked at.
    #[must_use]
    pub fn client_with(request: ClientRequest, options: DriverOptions) -> Self {
        let codec = Codec::client(options.config.limits, random_mask);
        Self::new(options, codec, Opening::idle(request))
    }

    /// Either side of a connection whose opening handshake is done.
    #[must_use]
    pub fn opened(role: Role, options: DriverOptions) -> Self {
        let codec = match role {
            Role::Server => Codec::server(options.config.limits),
            Role::Client => Codec::client(options.config.limits, random_mask),
        };
        Self::new(options, codec, Opening::Open)
    }

    fn new(options: DriverOptions, codec: Codec, opening: Opening) -> Self {
        Self {
            engine: Engine::new(codec.role(), options.config.control_rate),
            options,
            framing: Framing::Rfc(codec),
            draft: None,
            opening,
            headers: HeaderMap::new(),
            extensions: Vec::new(),
            request: None,
            response: None,
            protocol: None,
            input: BytesMut::new(),
            ended: false,
            output: BytesMut::new(),
            events: VecDeque::new(),
            queue: Vec::new(),
            pings: Pings::default(),
            deadline: None,
            close: Some(CloseCode::ABNORMAL.into()),
        }
    }

    /// Where to append what was read. While a request waits for [`start`](Self::start), at most the
    /// handshake's timeout, all that comes is kept: read no more than you want to hold. Once the connection cannot go on, it is thrown away.
    pub const fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Takes in bytes that were read, by copying them; [`input`](Self::input) does without.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Nothing more will come: the transport's read side has ended or failed.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// Bytes to be written to the transport.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// So many bytes of [`output`](Self::output) were written.
    ///
    /// # Panics
    ///
    /// If there were not so many.
    pub fn written(&mut self, bytes: usize) {
        self.output.advance(bytes);
        self.after_write();
    }

    /// Takes all of [`output`](Self::output), which counts as written: for a caller with a queue.
    pub fn take_output(&mut self) -> Bytes {
        let all = self.output.split().freeze();
        self.after_write();
        all
    }

    fn after_write(&mut self) {
        if self.output.is_empty()
            && let Some(frame) = self.engine.control(true)
        {
            self.put(frame);
        }
    }

    /// Adds a header field to what the handshake will send, before [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`RequestError::ReservedHeader`] for a field that belongs to the handshake itself, and
    /// [`RequestError::MalformedHeader`].
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), RequestError> {
        let malformed = || RequestError::MalformedHeader(name.to_owned());
        let field = HeaderName::try_from(name).map_err(|_| malformed())?;
        if is_reserved(&field) {
            return Err(RequestError::ReservedHeader(field));
        }
        self.headers.append(field, HeaderValue::from_str(value).map_err(|_| malformed())?);
        Ok(())
    }

    /// Offers an extension, or agrees to it when it is offered; before [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`RequestError::Extension`] for a name or parameter that is no token, and for a repetition.
    pub fn add_extension(&mut self, extension: Arc<dyn Extension>) -> Result<(), RequestError> {
        if let Opening::Idle { request } = &mut self.opening {
            **request = (**request).clone().extension(extension)?;
        } else {
            let name = extension.name();
            if !is_token(name) || self.extensions.iter().any(|it| it.name() == name) {
                return Err(RequestError::Extension(name.to_owned()));
            }
            self.extensions.push(extension);
        }
        Ok(())
    }

    /// The request: a server's from [`DriverEvent::Connect`] on, a client's once it is started.
    #[must_use]
    pub const fn request(&self) -> Option<&Request<()>> {
        self.request.as_ref()
    }

    /// The response: what the server said, or what we said as the server. It is there as well when the
    /// connection was refused.
    #[must_use]
    pub const fn response(&self) -> Option<&Response<()>> {
        self.response.as_ref()
    }

    /// What came behind the head of a request that is not answered yet, or of a refusal, as far as it
    /// has been fed.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.input
    }

    /// The subprotocol that was selected.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Which version of the WebSocket protocol is spoken: `hybi-13`, that of RFC 6455. On a server that
    /// allows drafts it may be `hixie-75`, `hixie-76`, `hybi-7` or `hybi-8` from
    /// [`DriverEvent::Connect`] on.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        match self.draft {
            Some(draft) => draft.name(),
            None => "hybi-13",
        }
    }

    /// Where the connection stands.
    #[must_use]
    pub const fn state(&self) -> DriverState {
        match (&self.opening, self.engine.closing()) {
            (Opening::Open, Closing::Open) => DriverState::Open,
            (Opening::Open, Closing::CloseSent | Closing::Answering | Closing::Failed) => {
                DriverState::Closing
            }
            (Opening::Open, Closing::Draining | Closing::Ended) | (Opening::Over { .. }, _) => {
                DriverState::Closed
            }
            _ => DriverState::Connecting,
        }
    }

    /// What the transport is still needed for. To be looked at when [`output`](Self::output) is
    /// written and the events are taken.
    #[must_use]
    pub fn transport(&self) -> TransportUse {
        let done = match &self.opening {
            Opening::Open => self.engine.closing() == Closing::Ended,
            Opening::Over { lingers } => !lingers || self.ended,
            _ => false,
        };
        let last = match &self.opening {
            Opening::Open => self.engine.closing() == Closing::Draining && !self.is_client_done(),
            Opening::Over { lingers } => *lingers,
            _ => false,
        };
        match (self.output.is_empty(), done, last) {
            (_, true, _) => TransportUse::Close,
            (true, _, true) => TransportUse::ShutDownWrite,
            _ => TransportUse::Both,
        }
    }

    /// Whether this is a client that waits for its server to end TCP (RFC 6455 §7.1.1).
    fn is_client_done(&self) -> bool {
        self.framing.role() == Role::Client && !self.engine.has_failed()
    }

    const fn is_over(&self) -> bool {
        matches!(self.opening, Opening::Over { .. })
    }
}
