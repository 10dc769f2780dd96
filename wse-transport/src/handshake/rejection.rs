//! [`Rejection`]: how a server refuses a request.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, Version, header};

use crate::excerpt::excerpt;
use crate::head::{HeadError, concealed};

/// The HTTP response that refuses an upgrade: any status, header fields and body.
///
/// ```
/// use http::{HeaderValue, StatusCode, header};
/// use wse_transport::handshake::Rejection;
///
/// let rejection = Rejection::new(StatusCode::UNAUTHORIZED, r#"{"error":"log in first"}"#)
///     .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
///     .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
/// assert_eq!(rejection.to_response().headers()["content-type"], "application/json");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    version: Version,
}

impl Rejection {
    /// Creates a rejection with a status and a body, which is sent as plain text unless a header field says otherwise.
    /// The peer is not authenticated: the body should not contain anything private.
    ///
    /// A status that would not refuse is sent as 500: 1xx, and 2xx over HTTP/2, where it would open the WebSocket.
    #[must_use]
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), version: Version::HTTP_11 }
    }

    /// Adds a header field. `Content-Type` replaces the one for plain text; `Content-Length` and `Transfer-Encoding` are
    /// omitted, since they follow from the body.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let value = concealed(&name, value);
        self.headers.push((name, value));
        self
    }

    /// Sets the HTTP version of the response: from HTTP/2 on, fields about the connection are omitted (RFC 9113 §8.2.2).
    /// Default: 1.1.
    #[must_use]
    pub const fn over(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    pub(super) fn bad_request(body: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, body)
    }

    /// Status 426, with the fields that tell what is supported (RFC 9110 §15.5.22).
    pub(super) fn upgrade_required(body: &'static str) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, body)
            .header(header::UPGRADE, HeaderValue::from_static("websocket"))
            .header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The added header fields.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The response to send. Close a connection of HTTP/1.1 after it.
    #[must_use]
    pub fn to_response(&self) -> Response<Bytes> {
        let multiplexed = self.version >= Version::HTTP_2;
        let opens = multiplexed && self.status.is_success();
        let status = if opens || self.status.is_informational() {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            self.status
        };
        // RFC 9110 §8.6, §15.3.5: a 204 has neither content nor a length.
        let empty = status == StatusCode::NO_CONTENT;
        let body = if empty { Bytes::new() } else { self.body.clone() };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if !empty {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        if !multiplexed {
            headers.append(header::CONNECTION, HeaderValue::from_static("close"));
        }
        for (name, value) in &self.headers {
            let hop = [header::CONNECTION, header::UPGRADE].contains(name);
            if name == header::CONTENT_LENGTH
                || name == header::TRANSFER_ENCODING
                || (multiplexed && hop)
            {
                continue;
            }
            if name == header::UPGRADE {
                // RFC 9110 §7.8: a sender of Upgrade MUST also send the "Upgrade" connection option.
                headers.append(header::CONNECTION, HeaderValue::from_static("upgrade"));
            }
            headers.append(name.clone(), value.clone());
        }
        if !empty && !self.body.is_empty() {
            headers
                .entry(header::CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
        }
        response
    }
}

impl From<HeadError> for Rejection {
    fn from(error: HeadError) -> Self {
        let status = match error {
            HeadError::FirstLineTooLong => StatusCode::URI_TOO_LONG,
            HeadError::LineTooLong | HeadError::TooManyHeaders | HeadError::TooLong => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            HeadError::Malformed => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request rejected with {}", self.status.as_u16())?;
        // The first line: what a log has space for.
        match std::str::from_utf8(&self.body).ok().and_then(|body| body.lines().next()) {
            Some(line) if !line.is_empty() => write!(f, ": {}", excerpt(line)),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Rejection {}
