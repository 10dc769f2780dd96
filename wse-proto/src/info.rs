//! [`ProtocolInfo`]: the properties of a protocol.

/// The WebSocket message type that a protocol's messages travel as (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

/// The properties of a [`Protocol`](crate::Protocol): its subprotocol name, whether its messages are text or binary, the
/// names of its internal message types, and its [`Capabilities`].
///
/// Defaults: the name is the subprotocol, a connection begins with a greeting, the internal types have the names of the
/// JavaScript package wse, and there are no capabilities.
///
/// ```
/// use wse_proto::{Capabilities, InternalTypes, Pings, ProtocolInfo};
///
/// const TYPES: InternalTypes = InternalTypes { hi: "!hello", ..InternalTypes::DEFAULT };
/// const INFO: ProtocolInfo = ProtocolInfo::text("example-pipes")
///     .internal_types(&TYPES)
///     .capabilities(Capabilities::NONE.receipts().cancel().deadlines().pings(Pings::Possible));
/// assert_eq!(INFO.subprotocol(), Some("example-pipes"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolInfo {
    name: &'static str,
    kind: MessageKind,
    subprotocol: bool,
    greeting: bool,
    one_namespace: bool,
    types: &'static InternalTypes,
    capabilities: Capabilities,
}

impl ProtocolInfo {
    /// A protocol whose messages are text. `name` is its subprotocol, a token of RFC 6455 §4.1.
    pub const fn text(name: &'static str) -> Self {
        Self::new(name, MessageKind::Text)
    }

    /// A protocol whose messages are binary. `name` is its subprotocol, a token of RFC 6455 §4.1.
    pub const fn binary(name: &'static str) -> Self {
        Self::new(name, MessageKind::Binary)
    }

    const fn new(name: &'static str, kind: MessageKind) -> Self {
        Self {
            name,
            kind,
            subprotocol: true,
            greeting: true,
            one_namespace: false,
            types: &InternalTypes::DEFAULT,
            capabilities: Capabilities::NONE,
        }
    }

    /// Uses no subprotocol: clients offer none, and servers accept every offer. The name only appears in logs.
    #[must_use]
    pub const fn no_subprotocol(mut self) -> Self {
        self.subprotocol = false;
        self
    }

    /// Uses no greeting: a client is ready as soon as the connection is open, and the server takes its identity from the
    /// HTTP request.
    #[must_use]
    pub const fn no_greeting(mut self) -> Self {
        self.greeting = false;
        self
    }

    /// Has one set of names for messages and calls, because the caller alone decides whether it wants an answer, as in
    /// JSON-RPC. So a message without a handler of its own reaches the procedure of that name, whose result is dropped;
    /// and a call without a procedure reaches the message handler of that name, and is answered with an absent result.
    #[must_use]
    pub const fn one_namespace(mut self) -> Self {
        self.one_namespace = true;
        self
    }

    /// Sets the names of the internal message types. Default: [`InternalTypes::DEFAULT`].
    #[must_use]
    pub const fn internal_types(mut self, types: &'static InternalTypes) -> Self {
        self.types = types;
        self
    }

    /// Sets what the protocol can carry besides greetings, messages and calls. Default: [`Capabilities::NONE`].
    #[must_use]
    pub const fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The name of the protocol.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The `Sec-WebSocket-Protocol` token (RFC 6455 §11.3.4); `None` for a protocol that uses none.
    pub const fn subprotocol(&self) -> Option<&'static str> {
        if self.subprotocol { Some(self.name) } else { None }
    }

    /// Whether messages are text or binary.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Whether a connection begins with a greeting.
    pub const fn has_greeting(&self) -> bool {
        self.greeting
    }

    /// Whether messages and calls have one set of names.
    pub const fn has_one_namespace(&self) -> bool {
        self.one_namespace
    }

    /// The names of the internal message types.
    pub const fn types(&self) -> &'static InternalTypes {
        self.types
    }

    /// What the protocol can carry besides greetings, messages and calls.
    pub const fn can(&self) -> Capabilities {
        self.capabilities
    }
}

/// The names of a protocol's internal message types.
///
/// ```
/// use wse_proto::InternalTypes;
/// const MINE: InternalTypes = InternalTypes { hi: "!hello", ..InternalTypes::DEFAULT };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTypes {
    /// [`Head::Hi`](crate::Head::Hi): the greeting of the client.
    pub hi: &'static str,
    /// The challenge of the server, and the answer to it.
    pub challenge: &'static str,
    /// The server has accepted the client.
    pub welcome: &'static str,
    /// The result of a call.
    pub reply: &'static str,
    /// The failure of a call.
    pub fault: &'static str,
    /// A message, call or answer has arrived.
    pub receipt: &'static str,
    /// Asks whether the peer is alive.
    pub ping: &'static str,
    /// Answers a ping.
    pub pong: &'static str,
    /// The caller no longer waits.
    pub cancel: &'static str,
    /// A received message could not be processed.
    pub error_report: &'static str,
    /// [`Head::Session`](crate::Head::Session): the session can be resumed.
    pub session: &'static str,
    /// How many messages have been processed.
    pub seen: &'static str,
    /// The server asks the client to come back to another server.
    pub drain: &'static str,
    /// The credentials of the client expire.
    pub expires: &'static str,
    /// New credentials of the client.
    pub renew: &'static str,
    /// The new credentials are accepted.
    pub renewed: &'static str,
}

impl InternalTypes {
    /// The names of the JavaScript package wse, and those that this project adds.
    pub const DEFAULT: Self = Self {
        hi: "~wse:hi",
        challenge: "~wse:challenge",
        welcome: "~wse:welcome",
        reply: "~wse:response",
        fault: "~wse:response-err",
        receipt: "~wse:receipt",
        ping: "~wse:ping",
        pong: "~wse:pong",
        cancel: "~wse:cancel",
        error_report: "~wse:complaint",
        session: "~wse:session",
        seen: "~wse:seen",
        drain: "~wse:drain",
        expires: "~wse:expires",
        renew: "~wse:renew",
        renewed: "~wse:renewed",
    };

    /// Whether `name` is one of these names. Applications must not use them.
    pub fn contains(&self, name: &str) -> bool {
        let Self {
            hi,
            challenge,
            welcome,
            reply,
            fault,
            receipt,
            ping,
            pong,
            cancel,
            error_report,
            session,
            seen,
            drain,
            expires,
            renew,
            renewed,
        } = *self;
        [
            hi,
            challenge,
            welcome,
            reply,
            fault,
            receipt,
            ping,
            pong,
            cancel,
            error_report,
            session,
            seen,
            drain,
            expires,
            renew,
            renewed,
        ]
        .contains(&name)
    }
}

impl Default for InternalTypes {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a protocol can carry besides greetings, messages and calls. Sessions do not use what is not claimed.
///
/// A protocol must not claim what it does not write. If it claims receipts but writes no flags, a message that wants a
/// receipt is a call at the other side. [`testing::check`](crate::testing::check) finds such mistakes.
///
/// ```
/// use wse_proto::{Capabilities, Pings};
/// let can = Capabilities::NONE.receipts().pings(Pings::Possible);
/// assert!(can.has_receipts() && !can.has_cancel());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    receipts: bool,
    cancel: bool,
    deadlines: bool,
    error_reports: bool,
    resume: bool,
    pings: Pings,
}

impl Capabilities {
    /// No capabilities.
    pub const NONE: Self = Self {
        receipts: false,
        cancel: false,
        deadlines: false,
        error_reports: false,
        resume: false,
        pings: Pings::Never,
    };

    /// The capabilities of a protocol that writes the whole convention, with any payload format: receipts, cancel, deadlines,
    /// and [`Pings::Possible`]. [`resume`](Self::resume) also needs the format to write [`Value`](crate::Value)s.
    pub const CONVENTION: Self = Self::NONE.receipts().cancel().deadlines().pings(Pings::Possible);

    /// Receipts: the protocol writes and reads [`Head::flags`](crate::Head::flags).
    #[must_use]
    pub const fn receipts(mut self) -> Self {
        self.receipts = true;
        self
    }

    /// Cancellation of calls: the protocol writes and reads [`Head::Cancel`](crate::Head::Cancel).
    #[must_use]
    pub const fn cancel(mut self) -> Self {
        self.cancel = true;
        self
    }

    /// Deadlines of calls: the protocol writes and reads [`Head::timeout`](crate::Head::timeout).
    #[must_use]
    pub const fn deadlines(mut self) -> Self {
        self.deadlines = true;
        self
    }

    /// Error reports: the protocol writes and reads [`Head::ErrorReport`](crate::Head::ErrorReport). A message that cannot
    /// be read is reported to its sender then. Without error reports it ends the connection.
    #[must_use]
    pub const fn error_reports(mut self) -> Self {
        self.error_reports = true;
        self
    }

    /// Resume: the protocol writes and reads the messages about sessions and credentials, and its format writes and reads
    /// [`Hi::resume`](crate::Hi::resume) and [`Value`](crate::Value)s.
    #[must_use]
    pub const fn resume(mut self) -> Self {
        self.resume = true;
        self
    }

    /// Sets whether the protocol has pings of its own, and whether heartbeats use them. Default: [`Pings::Never`].
    #[must_use]
    pub const fn pings(mut self, pings: Pings) -> Self {
        self.pings = pings;
        self
    }

    /// Whether the protocol has receipts.
    pub const fn has_receipts(&self) -> bool {
        self.receipts
    }

    /// Whether calls can be cancelled.
    pub const fn has_cancel(&self) -> bool {
        self.cancel
    }

    /// Whether calls carry a deadline.
    pub const fn has_deadlines(&self) -> bool {
        self.deadlines
    }

    /// Whether the protocol has error reports.
    pub const fn has_error_reports(&self) -> bool {
        self.error_reports
    }

    /// Whether sessions can be resumed.
    pub const fn has_resume(&self) -> bool {
        self.resume
    }

    /// Whether the protocol has pings of its own.
    pub const fn has_pings(&self) -> Pings {
        self.pings
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::NONE
    }
}

/// Whether a protocol has pings of its own, besides WebSocket pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pings {
    /// It has none. Heartbeats use WebSocket pings.
    Never,
    /// It has them, for peers that cannot send or see WebSocket pings, such as browsers. Heartbeats use WebSocket pings by
    /// default, because every peer answers those.
    Possible,
    /// It has them, and heartbeats use them.
    Always,
}
