//! [`Connect`]: a tunnel through an HTTP proxy (RFC 9110 §9.3.6), without I/O.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::address::Proxy;
use super::error::ProxyFailure;
use super::step::Step;
use crate::head::{HeadLimits, ResponseReader, encode_headers};

/// The dialogue with an HTTP proxy that opens a tunnel.
///
/// ```
/// use bytes::BytesMut;
/// use wse_transport::proxy::{Connect, Proxy, Step};
///
/// let proxy = Proxy::new("http://proxy.example:3128")?;
/// let mut connect = Connect::new(&proxy, "example.com", 443)?;
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
    reader: ResponseReader,
    open: bool,
}

impl Connect {
    /// Creates a dialogue that opens a tunnel to `host`, a name or an address without brackets, and `port`. It sends
    /// the login and the header fields of the proxy. The response is limited by [`HeadLimits::default`].
    ///
    /// # Errors
    ///
    /// [`ProxyFailure::Host`] for a host that cannot be sent in a request.
    pub fn new(proxy: &Proxy, host: &str, port: u16) -> Result<Self, ProxyFailure> {
        // A space or a line break would end the request line early.
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ProxyFailure::Host);
        }
        // A colon occurs in IPv6 addresses only.
        let target = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let mut request = BytesMut::new();
        request.put_slice(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").as_bytes());
        encode_headers(&proxy.headers, &mut request);
        Ok(Self {
            request: Some(request.freeze()),
            reader: ResponseReader::new(HeadLimits::default()),
            open: false,
        })
    }

    /// The next step, given all bytes received. Bytes that were understood are removed; bytes that are left when the
    /// tunnel is open came through it.
    ///
    /// # Errors
    ///
    /// [`ProxyFailure::Refused`], which leaves the received part of the body in `received`, and
    /// [`ProxyFailure::Head`]. Both end the dialogue.
    pub fn step(&mut self, received: &mut BytesMut) -> Result<Step, ProxyFailure> {
        if let Some(request) = self.request.take() {
            return Ok(Step::Send(request));
        }
        if self.open {
            return Ok(Step::Open);
        }
        let Some(response) = self.reader.read(received).map_err(ProxyFailure::Head)? else {
            return Ok(Step::Receive);
        };
        if !response.status().is_success() {
            return Err(ProxyFailure::Refused(Box::new(response.map(|()| Bytes::new()))));
        }
        self.open = true;
        Ok(Step::Open)
    }
}

impl fmt::Debug for Connect {
    /// Omits the request, which may contain a login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("open", &self.open).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cannot_break_the_request() {
        let proxy = Proxy::new("http://proxy.example").unwrap();
        for host in ["", "a b", "a\r\nX-Injected: 1", "a\0", "ä"] {
            let refused = Connect::new(&proxy, host, 443);
            assert!(matches!(refused, Err(ProxyFailure::Host)), "{host:?}");
        }
        for (host, line) in [("a.example", "CONNECT a.example:80 "), ("::1", "CONNECT [::1]:80 ")] {
            let mut connect = Connect::new(&proxy, host, 80).unwrap();
            let Ok(Step::Send(request)) = connect.step(&mut BytesMut::new()) else { panic!() };
            assert!(request.starts_with(line.as_bytes()), "{request:?}");
        }
    }
}
