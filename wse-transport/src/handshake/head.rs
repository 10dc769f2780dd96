//! The heads of HTTP/1.1 requests and responses ⇄ bytes (RFC 9112).

use std::fmt;

use bytes::{BufMut, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
};

use super::rejection::Rejection;

/// Bounds on the head of a request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadLimits {
    /// Bytes of a line, without its end. Default: 8 KiB. A longer first line is answered with
    /// 414, another one with 431.
    pub max_line: usize,
    /// Header fields. Default: 128. More are answered with 431.
    pub max_headers: usize,
    /// Bytes of the whole head. Default: 32 KiB. More are answered with 431.
    pub max_head: usize,
}

impl HeadLimits {
    /// Sets [`max_line`](Self::max_line), in bytes.
    #[must_use]
    pub const fn max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes;
        self
    }

    /// Sets [`max_headers`](Self::max_headers).
    #[must_use]
    pub const fn max_headers(mut self, fields: usize) -> Self {
        self.max_headers = fields;
        self
    }

    /// Sets [`max_head`](Self::max_head), in bytes.
    #[must_use]
    pub const fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes;
        self
    }
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_line: 8 * 1024, max_headers: 128, max_head: 32 * 1024 }
    }
}

/// A head that is malformed or beyond the limits. The sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// The first line is longer than [`HeadLimits::max_line`].
    FirstLineTooLong,
    /// A header field is longer than [`HeadLimits::max_line`].
    LineTooLong,
    /// There are more header fields than [`HeadLimits::max_headers`].
    TooManyHeaders,
    /// The head is longer than [`HeadLimits::max_head`].
    TooLong,
    /// It is not HTTP/1.x.
    Malformed,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstLineTooLong => "first line is too long",
            Self::LineTooLong => "header field is too long",
            Self::TooManyHeaders => "too many header fields",
            Self::TooLong => "head is too long",
            Self::Malformed => "head is malformed",
        })
    }
}

impl std::error::Error for HeadError {}

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

/// Finds the end of a head that arrives in pieces, looking at each byte once: parsing anew at
/// every byte would let a slow sender make us work in the square of what he sends.
#[derive(Clone, Debug, Default)]
pub struct HeadScanner {
    scanned: usize,
    line_start: usize,
    lines: usize,
}

impl HeadScanner {
    /// Looks through `input`, all that has arrived so far, and returns the length of the head
    /// with its empty line once that has come.
    ///
    /// # Errors
    ///
    /// [`HeadError`] as soon as a limit is exceeded, and for lines that do not end in CR LF; for what
    /// is no text, such as TLS, at its first byte.
    pub fn scan(&mut self, input: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        // Not only at the end of a line, which may never come: TLS records begin with 20 to 24.
        if input.first().is_some_and(|byte| byte.is_ascii_control() && *byte != b'\r') {
            return Err(HeadError::Malformed);
        }
        loop {
            let too_long =
                if self.lines == 0 { HeadError::FirstLineTooLong } else { HeadError::LineTooLong };
            let Some(found) = input[self.scanned..].iter().position(|byte| *byte == b'\n') else {
                self.scanned = input.len();
                // The last byte may be the CR of the line's end.
                return if input.len().saturating_sub(self.line_start + 1) > limits.max_line {
                    Err(too_long)
                } else if input.len() > limits.max_head {
                    Err(HeadError::TooLong)
                } else {
                    Ok(None)
                };
            };
            let end = self.scanned + found;
            let Some(line) = input[self.line_start..end].strip_suffix(b"\r") else {
                return Err(HeadError::Malformed);
            };
            if line.len() > limits.max_line {
                return Err(too_long);
            }
            if end + 1 > limits.max_head {
                return Err(HeadError::TooLong);
            }
            if line.is_empty() {
                return Ok(Some(end + 1));
            }
            if self.lines > limits.max_headers {
                return Err(HeadError::TooManyHeaders);
            }
            self.scanned = end + 1;
            self.line_start = end + 1;
            self.lines += 1;
        }
    }
}

/// Reads a whole request head, as measured by a [`HeadScanner`].
///
/// # Errors
///
/// [`HeadError`].
pub fn parse_request(head: &[u8], limits: &HeadLimits) -> Result<Request<()>, HeadError> {
    let mut fields = vec![httparse::EMPTY_HEADER; limits.max_headers];
    let mut parsed = httparse::Request::new(&mut fields);
    complete(parsed.parse(head))?;
    let malformed = HeadError::Malformed;
    let mut request = Request::new(());
    *request.method_mut() =
        Method::from_bytes(parsed.method.ok_or(malformed)?.as_bytes()).map_err(|_| malformed)?;
    *request.uri_mut() = Uri::try_from(parsed.path.ok_or(malformed)?).map_err(|_| malformed)?;
    *request.version_mut() = version(parsed.version)?;
    *request.headers_mut() = headers(parsed.headers)?;
    Ok(request)
}

/// Reads a whole response head, as measured by a [`HeadScanner`].
///
/// # Errors
///
/// [`HeadError`].
pub fn parse_response(head: &[u8], limits: &HeadLimits) -> Result<Response<()>, HeadError> {
    let mut fields = vec![httparse::EMPTY_HEADER; limits.max_headers];
    let mut parsed = httparse::Response::new(&mut fields);
    complete(parsed.parse(head))?;
    let malformed = HeadError::Malformed;
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(parsed.code.ok_or(malformed)?).map_err(|_| malformed)?;
    *response.version_mut() = version(parsed.version)?;
    *response.headers_mut() = headers(parsed.headers)?;
    Ok(response)
}

fn complete(status: httparse::Result<usize>) -> Result<(), HeadError> {
    match status {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooManyHeaders),
        Ok(httparse::Status::Partial) | Err(_) => Err(HeadError::Malformed),
    }
}

fn version(minor: Option<u8>) -> Result<Version, HeadError> {
    match minor {
        Some(0) => Ok(Version::HTTP_10),
        Some(1) => Ok(Version::HTTP_11),
        _ => Err(HeadError::Malformed),
    }
}

fn headers(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name =
            HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HeadError::Malformed)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| HeadError::Malformed)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The bytes of a request without a body.
#[must_use]
pub fn encode_request(request: &Request<()>) -> BytesMut {
    let mut out = BytesMut::with_capacity(512);
    let target = request.uri().path_and_query().map_or("/", |it| it.as_str());
    out.put_slice(request.method().as_str().as_bytes());
    // RFC 9112 §3.2.1: an empty path is sent as "/".
    out.put_slice(if target.starts_with('?') { b" /" } else { b" " });
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    encode_headers(request.headers(), &mut out);
    out
}

/// The bytes of a response with its body, for which the caller has set `Content-Length`.
#[must_use]
pub fn encode_response<B>(response: &Response<()>, body: B) -> BytesMut
where
    B: AsRef<[u8]>,
{
    let mut out = BytesMut::with_capacity(512);
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(response.status().as_str().as_bytes());
    out.put_slice(b" ");
    out.put_slice(response.status().canonical_reason().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
    encode_headers(response.headers(), &mut out);
    out.put_slice(body.as_ref());
    out
}

pub(crate) fn encode_headers(headers: &HeaderMap, out: &mut BytesMut) {
    for (name, value) in headers {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"\r\n");
}
