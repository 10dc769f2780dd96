//! [`Connect`]: a tunnel through an HTTP proxy (RFC 9110 §9.3.6), without I/O.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;

use super::address::Proxy;
use super::error::ProxyFailure;
use super::tunnel::Step;
use crate::handshake::{
    ClientRequest, HeadError, HeadLimits, HeadScanner, encode_headers, parse_response,
};

/// Asks an HTTP proxy for a tunnel.
///
/// ```
/// use bytes::BytesMut;
/// use wse_transport::handshake::ClientRequest;
/// use wse_transport::proxy::{Connect, Proxy, Step};
///
/// let proxy = Proxy::new("http://proxy.example:3128")?;
/// let mut connect = Connect::new(&proxy, &ClientRequest::new("wss://example.com")?);
/// let mut received = BytesMut::new();
/// let request = "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n";
/// assert_eq!(connect.step(&mut received)?, Step::Send(request.into()));
/// assert_eq!(connect.step(&mut received)?, Step::Receive);
/// received.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\nand what is behind");
/// assert_eq!(connect.step(&mut received)?, Step::Open);
/// assert_eq!(received, "and what is behind");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connect {
    request: Option<Bytes>,
    scanner: HeadScanner,
    limits: HeadLimits,
    open: bool,
}

impl Connect {
    /// A tunnel to where a request goes, with the login and header fields of the proxy. The response is bounded
    /// by [`HeadLimits::default`].
    #[must_use]
    pub fn new(proxy: &Proxy, request: &ClientRequest) -> Self {
        // Both come out of URLs, and so cannot break the line. A colon occurs in IPv6 alone.
        let (host, port) = (request.host(), request.port());
        let target = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let mut request = BytesMut::new();
        request.put_slice(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").as_bytes());
        encode_headers(&proxy.headers, &mut request);
        Self {
            request: Some(request.freeze()),
            scanner: HeadScanner::default(),
            limits: HeadLimits::default(),
            open: false,
        }
    }

    /// What is next, given all that was received. Of that, what is understood is removed; what is left when
    /// the tunnel is open came through it.
    ///
    /// # Errors
    ///
    /// [`ProxyFailure::Refused`], with what has arrived of the body left in `received`, and
    /// [`ProxyFailure::Head`]; with either the dialogue is over.
    pub fn step(&mut self, received: &mut BytesMut) -> Result<Step, ProxyFailure> {
        if let Some(request) = self.request.take() {
            return Ok(Step::Send(request));
        }
        if self.open {
            return Ok(Step::Open);
        }
        while let Some(len) =
            self.scanner.scan(received, &self.limits).map_err(ProxyFailure::Head)?
        {
            let head = received.split_to(len);
            let response =
                parse_response(&head, &HeadLimits::default()).map_err(ProxyFailure::Head)?;
            let status = response.status();
            if status.is_success() {
                self.open = true;
                return Ok(Step::Open);
            }
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(ProxyFailure::Refused(Box::new(response.map(|()| Bytes::new()))));
            }
            // RFC 9110 §15.2: the final response is yet to come. All heads share one limit.
            self.scanner = HeadScanner::default();
            self.limits.max_head = self
                .limits
                .max_head
                .checked_sub(len)
                .ok_or(ProxyFailure::Head(HeadError::TooLong))?;
        }
        Ok(Step::Receive)
    }
}

impl fmt::Debug for Connect {
    /// Without the request, which may hold a login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("open", &self.open).finish_non_exhaustive()
    }
}
