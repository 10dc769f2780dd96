//! [`CompactRequest`]: the HTTP request of a connection in little memory.

use std::sync::OnceLock;

use http::{Extensions, HeaderName, HeaderValue, Method, Request, Uri, Version};
use wse_transport::handshake::conceal_credentials;

/// An upgrade request. A header map takes several times the memory of its headers, and most servers
/// look at it only while they identify a client.
pub(super) struct CompactRequest {
    /// Method, URI, then names and values in turn, each after its length.
    head: Box<[u8]>,
    version: Version,
    extensions: Extensions,
    /// The full request, once it was asked for.
    request: OnceLock<Box<Request<()>>>,
}

impl CompactRequest {
    pub(super) fn new(request: &Request<()>) -> Self {
        let mut head = Vec::new();
        put(&mut head, request.method().as_str().as_bytes());
        put(&mut head, request.uri().to_string().as_bytes());
        for (name, value) in request.headers() {
            put(&mut head, name.as_str().as_bytes());
            put(&mut head, value.as_bytes());
        }
        Self {
            head: head.into(),
            version: request.version(),
            extensions: request.extensions().clone(),
            request: OnceLock::new(),
        }
    }

    pub(super) fn get(&self) -> &Request<()> {
        self.request.get_or_init(|| Box::new(self.restore()))
    }

    fn restore(&self) -> Request<()> {
        let mut head = &*self.head;
        let mut request = Request::new(());
        // The parts came from a valid request, so parsing them does not fail.
        if let Some(Ok(method)) = take(&mut head).map(Method::from_bytes) {
            *request.method_mut() = method;
        }
        if let Some(Ok(uri)) = take(&mut head).map(Uri::try_from) {
            *request.uri_mut() = uri;
        }
        while let (Some(name), Some(value)) = (take(&mut head), take(&mut head)) {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                request.headers_mut().append(name, value);
            }
        }
        conceal_credentials(request.headers_mut());
        *request.version_mut() = self.version;
        *request.extensions_mut() = self.extensions.clone();
        request
    }
}

fn put(head: &mut Vec<u8>, text: &[u8]) {
    // Never truncated: the head of a request is limited to much less.
    let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
    head.extend_from_slice(&len.to_be_bytes());
    head.extend_from_slice(text);
}

fn take<'a>(head: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = head.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *head = rest;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_request_is_unchanged() {
        for uri in ["/", "/chat?room=1&x=%20", "https://example.com:8443/a", "example.com:443"] {
            let request = Request::builder()
                .method(Method::CONNECT)
                .uri(uri)
                .version(Version::HTTP_2)
                .header("cookie", "a=1")
                .header("host", "example.com")
                .header("cookie", "b=2")
                .header("x-odd", HeaderValue::from_bytes(b"caf\xe9 \t!").unwrap())
                .header("x-empty", "")
                .extension(42_u32)
                .body(())
                .unwrap();
            let compact = CompactRequest::new(&request);
            let restored = compact.get();
            assert_eq!(restored.method(), request.method());
            assert_eq!(restored.uri(), request.uri());
            assert_eq!(restored.version(), request.version());
            assert_eq!(restored.headers(), request.headers());
            assert_eq!(restored.extensions().get(), Some(&42_u32));
            assert!(std::ptr::eq(restored, compact.get()));
        }
    }
}
