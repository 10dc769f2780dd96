//! Bytes into heads (RFC 9112).

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
};

use super::error::HeadError;
use super::limits::HeadLimits;
use super::secret::concealed;

/// Parses a whole request head, whose length a [`HeadScanner`](crate::handshake::HeadScanner) has found.
///
/// # Errors
///
/// [`HeadError`].
pub fn parse_request(head: &[u8], limits: &HeadLimits) -> Result<Request<()>, HeadError> {
    let mut fields = vec![httparse::EMPTY_HEADER; fields(head, limits)];
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

/// Parses a whole response head, whose length a [`HeadScanner`](crate::handshake::HeadScanner) has found.
///
/// # Errors
///
/// [`HeadError`].
pub fn parse_response(head: &[u8], limits: &HeadLimits) -> Result<Response<()>, HeadError> {
    let mut fields = vec![httparse::EMPTY_HEADER; fields(head, limits)];
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

/// The space for the header fields: as many as the head has lines, within the limit.
fn fields(head: &[u8], limits: &HeadLimits) -> usize {
    let lines = head.iter().filter(|byte| **byte == b'\n').count();
    lines.min(limits.fields())
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
        let value = concealed(&name, value);
        headers.try_append(name, value).map_err(|_| HeadError::TooManyHeaders)?;
    }
    Ok(headers)
}
