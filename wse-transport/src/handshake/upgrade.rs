//! The server's side of the handshake: from a request to the response 101 (RFC 6455 §4.2), or 200 over HTTP/2 (RFC 8441).

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};

use super::accept_key::{accept_key, is_key};
use super::error::ResponseError;
use super::rejection::Rejection;
use crate::deflate::{Deflate, DeflateAgreement};
use crate::extension::{AgreedExtensions, Element, Extension, Malformed, ReservedBits};
use crate::head::{OfferError, host, is_reserved, list_has, single, subprotocols};
use crate::negotiated::Negotiated;
use crate::{deflate, extension};

/// Whether a request of HTTP/1.1 asks for a WebSocket, correctly or not: to decide which part of a server gets it.
/// [`Upgrade::from_request`] checks the rest.
#[must_use]
pub fn is_websocket<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && list_has(request.headers(), &header::CONNECTION, "upgrade")
        && list_has(request.headers(), &header::UPGRADE, "websocket")
}

/// A valid request for a WebSocket, as of RFC 6455 §4.2.1 or RFC 8441 §5.
#[derive(Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// `None` over HTTP/2, which has `:protocol` instead.
    key: Option<String>,
    subprotocols: Vec<String>,
    /// The answers to the offered extensions.
    extensions: Vec<String>,
    /// The reserved bits that the extensions use.
    bits: ReservedBits,
}

impl Upgrade {
    /// Checks a request of HTTP/1.1.
    ///
    /// # Errors
    ///
    /// A [`Rejection`]: 505 for an HTTP version other than 1.1, 405 for a method other than GET, 426 for a request that
    /// does not ask for a WebSocket, or for another version of it, and 400 for anything missing, malformed or repeated.
    pub fn from_request<B>(request: &Request<B>) -> Result<Self, Rejection> {
        let headers = request.headers();
        let bad = |what| move |()| Rejection::bad_request(what);

        if request.version() != Version::HTTP_11 {
            let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            return Err(Rejection::new(status, "version must be HTTP/1.1"));
        }
        if request.method() != Method::GET {
            return Err(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, "method must be GET")
                .header(header::ALLOW, HeaderValue::from_static("GET")));
        }
        check_host(request)?;
        no_body(headers)?;
        if !list_has(headers, &header::UPGRADE, "websocket")
            || !list_has(headers, &header::CONNECTION, "upgrade")
        {
            return Err(Rejection::upgrade_required("request must ask for a websocket"));
        }
        let version = single(headers, header::SEC_WEBSOCKET_VERSION)
            .map_err(bad("Sec-WebSocket-Version is malformed or repeated"))?;
        if version != Some("13") {
            return Err(Rejection::upgrade_required("Sec-WebSocket-Version must be 13"));
        }
        let key = single(headers, header::SEC_WEBSOCKET_KEY)
            .map_err(bad("Sec-WebSocket-Key is malformed or repeated"))?
            .ok_or_else(|| Rejection::bad_request("Sec-WebSocket-Key is missing"))?;
        if !is_key(key) {
            return Err(Rejection::bad_request("Sec-WebSocket-Key must be 16 bytes in base64"));
        }
        let subprotocols = offered(headers)?;
        Ok(Self {
            key: Some(key.to_owned()),
            subprotocols,
            extensions: Vec::new(),
            bits: ReservedBits::NONE,
        })
    }

    /// Checks a request of HTTP/2, or 3, whose pseudo-header `:protocol` is `protocol` (RFC 8441, RFC 9220). hyper keeps
    /// it in an extension of the request, `hyper::ext::Protocol`.
    ///
    /// Neither request nor response have a key; frames are masked nevertheless.
    ///
    /// # Errors
    ///
    /// A [`Rejection`]: 505 for an HTTP version below 2, 405 for a method other than CONNECT, 501 for another protocol,
    /// and 400 for another version of WebSocket and for anything missing, malformed or repeated.
    pub fn from_connect<B>(
        request: &Request<B>,
        protocol: Option<&str>,
    ) -> Result<Self, Rejection> {
        Self::check_connect(request, protocol).map_err(|no| no.over(request.version()))
    }

    fn check_connect<B>(request: &Request<B>, protocol: Option<&str>) -> Result<Self, Rejection> {
        let headers = request.headers();
        let bad = |what| move |()| Rejection::bad_request(what);
        if request.version() < Version::HTTP_2 {
            let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            return Err(Rejection::new(status, "version must be HTTP/2"));
        }
        if request.method() != Method::CONNECT {
            return Err(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, "method must be CONNECT")
                .header(header::ALLOW, HeaderValue::from_static("CONNECT")));
        }
        let protocol = protocol.ok_or_else(|| Rejection::bad_request(":protocol is missing"))?;
        if !protocol.eq_ignore_ascii_case("websocket") {
            // RFC 9220 §3, applied to HTTP/2 too.
            let status = StatusCode::NOT_IMPLEMENTED;
            return Err(Rejection::new(status, ":protocol must be websocket"));
        }
        // RFC 9113 §8.2.2: malformed. HTTP libraries reject it, but the request may come from elsewhere.
        if headers.contains_key(header::CONNECTION) || headers.contains_key(header::UPGRADE) {
            return Err(Rejection::bad_request("Connection and Upgrade do not belong in HTTP/2"));
        }
        if host(request).is_none() {
            return Err(Rejection::bad_request(":authority is missing or malformed"));
        }
        no_body(headers)?;
        let version = single(headers, header::SEC_WEBSOCKET_VERSION)
            .map_err(bad("Sec-WebSocket-Version is malformed or repeated"))?;
        if version != Some("13") {
            return Err(Rejection::bad_request("Sec-WebSocket-Version must be 13")
                .header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")));
        }
        let subprotocols = offered(headers)?;
        Ok(Self { key: None, subprotocols, extensions: Vec::new(), bits: ReservedBits::NONE })
    }

    /// Whether a request of HTTP/1.1 asks for a WebSocket with any method, so that a wrong method is reported; compare
    /// [`is_websocket`].
    #[cfg(feature = "tower")]
    pub(crate) fn is_asked<B>(request: &Request<B>) -> bool {
        list_has(request.headers(), &header::UPGRADE, "websocket")
    }

    /// The client's `Sec-WebSocket-Key`; `None` over HTTP/2.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The `Sec-WebSocket-Accept` for the key; `None` over HTTP/2.
    #[must_use]
    pub fn accept(&self) -> Option<String> {
        self.key().map(accept_key)
    }

    /// The subprotocols that the client offers, best first.
    #[must_use]
    pub fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// Agrees to offered compression and extensions, if the server wants them: [`deflate`](Self::deflate) and
    /// [`extend`](Self::extend) in the right order. [`response`](Self::response) then contains the answers. Pass the
    /// result to [`WebSocket::set_negotiated`](crate::ws::WebSocket::set_negotiated).
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with status 400 for a malformed `Sec-WebSocket-Extensions`.
    pub fn negotiate<B>(
        &mut self,
        request: &Request<B>,
        deflate: Option<Deflate>,
        extensions: &[Arc<dyn Extension>],
    ) -> Result<Negotiated, Rejection> {
        let mut negotiated = Negotiated::default();
        // Compression first: it is nearest to the application (RFC 6455 §9.1).
        if let Some(settings) = deflate {
            negotiated.deflate = self.deflate(&settings, request)?.map(|agreed| (settings, agreed));
        }
        negotiated.extensions = self.extend(extensions, request)?;
        Ok(negotiated)
    }

    /// Agrees to the best acceptable offer of compression, if there is one; other offers are ignored.
    /// [`response`](Self::response) then contains the answer. The result is for
    /// [`WebSocket::set_deflate`](crate::ws::WebSocket::set_deflate).
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with status 400 for a malformed `Sec-WebSocket-Extensions`.
    pub fn deflate<B>(
        &mut self,
        settings: &Deflate,
        request: &Request<B>,
    ) -> Result<Option<DeflateAgreement>, Rejection> {
        let offers = offers(request)?;
        // RFC 7692 §6: compression uses the first reserved bit.
        let Some(bits) = self.bits.with(ReservedBits::RSV1) else {
            return Ok(None);
        };
        let Some((answer, agreed)) = deflate::answer(settings, &offers) else {
            return Ok(None);
        };
        self.extensions.push(answer);
        self.bits = bits;
        Ok(Some(agreed))
    }

    /// Agrees to those of `extensions` that were offered, in this order. [`response`](Self::response) then contains the
    /// answers. The result is for [`WebSocket::set_extensions`](crate::ws::WebSocket::set_extensions). Agree to
    /// compression first, if at all.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with status 400 for a malformed `Sec-WebSocket-Extensions`.
    pub fn extend<B>(
        &mut self,
        extensions: &[Arc<dyn Extension>],
        request: &Request<B>,
    ) -> Result<AgreedExtensions, Rejection> {
        if extensions.is_empty() {
            return Ok(AgreedExtensions::default());
        }
        let (answers, agreed) = extension::answer(extensions, &offers(request)?, &mut self.bits);
        self.extensions.extend(answers);
        Ok(agreed)
    }

    /// The response, 101 or over HTTP/2 200, with the selected subprotocol and other header fields.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] for a subprotocol that was not offered, and for a field that belongs to the handshake itself.
    pub fn response(
        &self,
        selected: Option<&str>,
        extra: &HeaderMap,
    ) -> Result<Response<()>, ResponseError> {
        let mut response = Response::new(());
        let headers = response.headers_mut();
        for (name, value) in extra {
            if is_reserved(name) {
                return Err(ResponseError::ReservedHeader(name.clone()));
            }
            headers.append(name, value.clone());
        }
        let value = |text: &str| HeaderValue::from_str(text);
        if let Some(accept) = self.accept() {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            let accept = value(&accept).map_err(|_| ResponseError::AcceptMismatch)?;
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(extensions) = extension::field(&self.extensions) {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, extensions);
        }
        if let Some(name) = selected {
            let not_offered = || ResponseError::SubprotocolNotOffered(name.to_owned());
            if !self.subprotocols.iter().any(|it| it == name) {
                return Err(not_offered());
            }
            let name = value(name).map_err(|_| not_offered())?;
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
        }
        if self.key.is_some() {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        Ok(response)
    }
}

impl fmt::Debug for Upgrade {
    /// Omits the subprotocols, which may be tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("key", &self.key)
            .field("subprotocols", &self.subprotocols.len())
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}

/// The subprotocols that a request offers.
fn offered(headers: &HeaderMap) -> Result<Vec<String>, Rejection> {
    subprotocols(headers).map_err(|error| {
        Rejection::bad_request(match error {
            OfferError::Malformed => "Sec-WebSocket-Protocol is malformed or repeats itself",
            OfferError::TooMany => "Sec-WebSocket-Protocol offers more than 64 subprotocols",
        })
    })
}

/// The extensions that a request offers.
fn offers<B>(request: &Request<B>) -> Result<Vec<Element<'_>>, Rejection> {
    extension::parse(request.headers()).map_err(|Malformed| {
        Rejection::bad_request("Sec-WebSocket-Extensions is malformed or too long a list")
    })
}

/// Checks the host of a request of HTTP/1.1 (RFC 9112 §3.2): 400 for a `Host` that is missing or repeated, also with an
/// absolute target, which replaces its value; and for a host that is malformed.
pub(crate) fn check_host<B>(request: &Request<B>) -> Result<(), Rejection> {
    let given = single(request.headers(), header::HOST)
        .map_err(|()| Rejection::bad_request("Host is malformed or repeated"))?;
    if given.is_none() {
        return Err(Rejection::bad_request("Host is missing"));
    }
    host(request).map(drop).ok_or_else(|| Rejection::bad_request("Host is malformed"))
}

/// Rejects a request with a body, which would be read as frames.
pub(crate) fn no_body(headers: &HeaderMap) -> Result<(), Rejection> {
    let length = single(headers, header::CONTENT_LENGTH)
        .map_err(|()| Rejection::bad_request("Content-Length is malformed or repeated"))?;
    if headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|it| it != "0") {
        return Err(Rejection::bad_request("request must not have a body"));
    }
    Ok(())
}
