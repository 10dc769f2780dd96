//! Heads into bytes (RFC 9112).

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, Request, Response};

/// Encodes a request without a body.
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

/// Encodes a response with its body. The caller has set `Content-Length`.
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
