//! [`Driver`]: its state, constructors and getters.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};

use super::framing::Framing;
use super::opening::Opening;
use super::pings::Pings;

use super::drafts::Draft;
use super::event::{DriverEvent, DriverState, TransportUse};
use super::options::DriverOptions;
use crate::extension::Extension;
use crate::frame::{CloseCode, CloseFrame, Frame, Role};
use crate::handshake::{ClientRequest, RequestError, conceal_credentials};
use crate::head::{concealed, is_reserved, is_token};
use crate::random;
use crate::ws::{Closing, Codec, Engine};

/// A WebSocket connection as a state machine: input is the bytes received, output are events and the bytes to send. It has
/// neither transport nor clock, and never blocks. [`WebSocket`](crate::ws::WebSocket) runs on the same code.
///
/// Whenever something happened, the caller
///
/// 1. appends the bytes that it read to [`input`](Self::input), and calls [`end`](Self::end) when nothing more will arrive;
/// 2. takes events until [`next_event`](Self::next_event) returns `None`. Input is decoded only then, so that a caller that
///    takes no events feels no more load than the bytes it feeds;
/// 3. writes [`output`](Self::output), calls [`written`](Self::written), and takes events again: the end is reported once
///    the last bytes are written;
/// 4. does what [`transport`](Self::transport) demands;
/// 5. comes back at [`deadline`](Self::deadline) at the latest.
///
/// Time is an argument: the time since a fixed moment of the caller's choice.
///
/// The driver of a server parses the request, reports it with [`DriverEvent::Connect`], and answers when it is
/// [started](Self::start). The driver of a client sends its request when it is started. Messages that are sent before the
/// connection is open are queued.
///
/// ```
/// use std::time::Duration;
/// use wse_transport::driver::{Driver, DriverEvent, DriverOptions};
/// use wse_transport::handshake::is_websocket;
/// use wse_transport::ws::Message;
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
pub struct Driver {
    pub(super) options: DriverOptions,
    pub(super) framing: Framing,
    pub(super) engine: Engine,
    /// The draft that is spoken in place of RFC 6455; known once there is a request.
    pub(super) draft: Option<Draft>,
    pub(super) opening: Opening,
    pub(super) headers: HeaderMap,
    pub(super) extensions: Vec<Arc<dyn Extension>>,
    pub(super) request: Option<Request<()>>,
    pub(super) response: Option<Response<()>>,
    pub(super) protocol: Option<String>,
    pub(super) input: BytesMut,
    pub(super) ended: bool,
    pub(super) output: BytesMut,
    pub(super) events: VecDeque<DriverEvent>,
    /// Frames that were sent before the connection was open.
    pub(super) queue: Vec<Frame>,
    pub(super) pings: Pings,
    /// The deadline of the current handshake, opening or closing.
    pub(super) deadline: Option<Duration>,
    /// The content of the close event, which takes it.
    pub(super) close: Option<CloseFrame>,
}

impl Driver {
    /// Creates a server's driver, for a transport on which nothing was read.
    #[must_use]
    pub fn server(options: DriverOptions) -> Self {
        let codec = Codec::server(options.config.limits);
        Self::new(options, codec, Opening::request())
    }

    /// Creates a server's driver for a request that an HTTP server has parsed. Append the bytes behind the request to
    /// [`input`](Self::input). The driver writes the response.
    #[must_use]
    pub fn from_request<B>(request: &Request<B>, options: DriverOptions) -> Self {
        let codec = Codec::server(options.config.limits);
        let mut driver = Self::new(options, codec, Opening::Asked);
        let mut copy = Request::new(());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        copy.headers_mut().clone_from(request.headers());
        conceal_credentials(copy.headers_mut());
        driver.asked(copy);
        driver
    }

    /// Creates a client's driver for a `ws://` or `wss://` URL, which offers the subprotocols of the options. TLS is the
    /// transport's task.
    ///
    /// # Errors
    ///
    /// [`RequestError`] for an invalid URL or subprotocol.
    pub fn client(url: &str, options: DriverOptions) -> Result<Self, RequestError> {
        let mut request = ClientRequest::new(url)?;
        for name in &options.protocols {
            request = request.subprotocol(name)?;
        }
        Ok(Self::client_with(request, options))
    }

    /// Creates a client's driver with a request of the caller's. The subprotocols of the options are ignored.
    #[must_use]
    pub fn client_with(request: ClientRequest, options: DriverOptions) -> Self {
        let codec = Codec::client(options.config.limits, random::mask);
        Self::new(options, codec, Opening::idle(request))
    }

    /// Creates the driver of either side, for a connection whose opening handshake is done.
    #[must_use]
    pub fn opened(role: Role, options: DriverOptions) -> Self {
        let codec = match role {
            Role::Server => Codec::server(options.config.limits),
            Role::Client => Codec::client(options.config.limits, random::mask),
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

    /// The buffer for received bytes: append to it. While a request waits for [`start`](Self::start), at most for the
    /// handshake timeout, all bytes are kept: read no more than you want to hold. Once the connection cannot continue, the
    /// bytes are discarded.
    pub const fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Appends a copy of received bytes to [`input`](Self::input).
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Tells that nothing more will arrive: the read side of the transport has ended or failed.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// The bytes to write to the transport.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Tells that this many bytes of [`output`](Self::output) were written.
    ///
    /// # Panics
    ///
    /// If `bytes` exceeds the length of the output.
    pub fn written(&mut self, bytes: usize) {
        self.output.advance(bytes);
        self.after_write();
    }

    /// Takes all of [`output`](Self::output), which then counts as written: for a caller with a queue of its own.
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

    /// Adds a header field to the request or response, before [`start`](Self::start).
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
        // RFC 9110 §5.5: whitespace around a value is not part of it.
        let value = value.trim_matches([' ', '\t']);
        let value = HeaderValue::from_str(value).map_err(|_| malformed())?;
        let value = concealed(&field, value);
        self.headers.try_append(field, value).map_err(|_| malformed())?;
        Ok(())
    }

    /// Offers an extension, or agrees to it if it is offered; before [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`RequestError::Extension`] for a name or parameter that is not a token, and for a repetition.
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

    /// The request: on a server from [`DriverEvent::Connect`] on, on a client once it is started.
    #[must_use]
    pub const fn request(&self) -> Option<&Request<()>> {
        self.request.as_ref()
    }

    /// The response, received or sent. It is also there when the connection was refused.
    #[must_use]
    pub const fn response(&self) -> Option<&Response<()>> {
        self.response.as_ref()
    }

    /// The bytes behind the head of a request that is not answered yet, or of a refusal, as far as they have arrived.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.input
    }

    /// The subprotocol that was selected.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The version of the WebSocket protocol: `hybi-13`, that of RFC 6455. On a server that allows drafts it may be
    /// `hixie-75`, `hixie-76`, `hybi-7` or `hybi-8`, from [`DriverEvent::Connect`] on.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        match self.draft {
            Some(draft) => draft.name(),
            None => "hybi-13",
        }
    }

    /// The state of the connection.
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

    /// What the transport is needed for. Check it when [`output`](Self::output) is written and the events are taken.
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

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.opening, Opening::Over { .. })
    }
}

impl fmt::Debug for Driver {
    /// Omits what is received and sent, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("role", &self.framing.role())
            .field("state", &self.state())
            .field("version", &self.version())
            .field("input", &self.input.len())
            .field("output", &self.output.len())
            .finish_non_exhaustive()
    }
}
