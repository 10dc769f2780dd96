//! [`Config`].

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::handshake::{HeadLimits, OriginPolicy, ResponseError};
use crate::head::concealed;

/// Settings of an [`EventStream`](super::EventStream).
///
/// ```
/// use std::time::Duration;
/// use wse_transport::handshake::OriginPolicy;
/// use wse_transport::sse::Config;
///
/// let config = Config::default()
///     .origin(OriginPolicy::List(vec!["https://example.com".to_owned()]))
///     .retry(Some(Duration::from_secs(1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The web pages that may read the stream. Pages in a [`List`](OriginPolicy::List), and with
    /// [`Any`](OriginPolicy::Any) all pages, get the `Access-Control-Allow-Origin` that their browser requires; others are
    /// rejected with 403. Default: pages of the same host.
    pub origin: OriginPolicy,
    /// Whether pages of other hosts in a [`List`](OriginPolicy::List) may send cookies, as with `withCredentials`: adds
    /// `Access-Control-Allow-Credentials`. Default: no.
    pub credentials: bool,
    /// How long the client waits before it reconnects. It is sent first; `None` leaves it to the client. Default: 5 s.
    pub retry: Option<Duration>,
    /// After this time without data an empty comment is sent, so that proxies do not close the connection; `None` or zero
    /// for never. Default: 15 s, which WHATWG HTML §9.2.7 suggests; half of the shortest time that proxies commonly wait.
    pub ping: Option<Duration>,
    /// With this many bytes or 1,024 events queued, sending waits; at least 1. The last event may exceed it. Default: 64 KiB.
    pub buffer: usize,
    /// How long the peer may take for one write, of up to 64 KiB; then the stream ends with
    /// [`End::Slow`](super::End::Slow). Default: 30 s.
    pub write_timeout: Duration,
    /// The deadline of [`accept`](super::accept) and [`respond`](super::respond). Default: 10 s.
    pub handshake_timeout: Duration,
    /// Limits on the request that [`accept`](super::accept) reads. Default: [`HeadLimits::default`].
    pub head: HeadLimits,
    headers: HeaderMap,
}

impl Config {
    /// Sets [`origin`](Self::origin).
    #[must_use]
    pub fn origin(mut self, policy: OriginPolicy) -> Self {
        self.origin = policy;
        self
    }

    /// Sets [`credentials`](Self::credentials).
    #[must_use]
    pub fn credentials(mut self, allowed: bool) -> Self {
        self.credentials = allowed;
        self
    }

    /// Sets [`retry`](Self::retry); `None` leaves it to the client.
    #[must_use]
    pub fn retry(mut self, retry: Option<Duration>) -> Self {
        self.retry = retry;
        self
    }

    /// Sets [`ping`](Self::ping); `None` turns it off.
    #[must_use]
    pub fn ping(mut self, interval: Option<Duration>) -> Self {
        self.ping = interval;
        self
    }

    /// Sets [`buffer`](Self::buffer), in bytes.
    #[must_use]
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// Sets [`write_timeout`](Self::write_timeout).
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Sets [`handshake_timeout`](Self::handshake_timeout).
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets [`head`](Self::head).
    #[must_use]
    pub fn head(mut self, limits: HeadLimits) -> Self {
        self.head = limits;
        self
    }

    /// Adds a header field to the response, such as a cookie. It may replace `Cache-Control` (default: `no-cache,
    /// no-transform`) and `X-Accel-Buffering` (default: `no`).
    ///
    /// # Errors
    ///
    /// [`ResponseError::ReservedHeader`] for `Content-Type`, for fields that frame the response, and for
    /// `Access-Control-Allow-Origin` and `-Credentials`, which follow from [`origin`](Self::origin).
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Result<Self, ResponseError> {
        if RESERVED.contains(&name) {
            return Err(ResponseError::ReservedHeader(name));
        }
        let value = concealed(&name, value);
        self.headers.append(name, value);
        Ok(self)
    }

    /// The added header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            origin: OriginPolicy::default(),
            credentials: false,
            retry: Some(Duration::from_secs(5)),
            ping: Some(Duration::from_secs(15)),
            buffer: 64 * 1024,
            write_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            head: HeadLimits::default(),
            headers: HeaderMap::new(),
        }
    }
}

const RESERVED: [HeaderName; 10] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
