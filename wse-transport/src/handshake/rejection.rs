//! How a server says no.

use std::fmt;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};

/// Why a request is not upgraded, as the HTTP response that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: String,
}

impl Rejection {
    /// A rejection with a status and an explanation, sent as plain text. The explanation goes to
    /// a stranger: it should not quote what is private.
    pub fn new(status: StatusCode, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn bad_request(body: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, body)
    }

    /// 426, with the fields that say what would be right (RFC 9110 §15.5.22).
    pub(super) fn upgrade_required(body: &str) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, body)
            .header(header::UPGRADE, HeaderValue::from_static("websocket"))
            .header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields beyond those that every rejection has.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// The explanation.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The response to send, after which the connection is to be closed.
    #[must_use]
    pub fn to_response(&self) -> Response<String> {
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        headers.append(header::CONNECTION, HeaderValue::from_static("close"));
        if self.headers.iter().any(|(name, _)| name == header::UPGRADE) {
            // RFC 9110 §7.8: a sender of Upgrade MUST also send the "Upgrade" connection option.
            headers.append(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        response
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request rejected with {}: {}", self.status.as_u16(), self.body)
    }
}

impl std::error::Error for Rejection {}
