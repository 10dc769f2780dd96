//! From a request to the head of its response.

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};

use super::config::Config;
use crate::handshake::{OriginPolicy, Rejection, check_host, no_body};
use crate::head::{elements, list_has};

const EVENT_STREAM: &str = "text/event-stream";

/// The kind of a request, for servers with one port for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A WebSocket; [`Upgrade`](crate::handshake::Upgrade) checks whether the request is valid.
    WebSocket,
    /// A stream of events.
    EventSource,
    /// Anything else.
    Other,
}

impl Wanted {
    /// The kind of this request.
    pub fn of<B>(request: &Request<B>) -> Self {
        if list_has(request.headers(), &header::UPGRADE, "websocket") {
            Self::WebSocket
        } else if is_event_source(request) {
            Self::EventSource
        } else {
            Self::Other
        }
    }
}

/// Whether a request asks for a stream of events: GET, with `text/event-stream` in `Accept`. `*/*` alone does not.
pub fn is_event_source<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && request
            .headers()
            .get_all(header::ACCEPT)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(elements)
            .any(accepts)
}

/// The id of the last event that the client received before it lost its stream, if there was one.
pub fn last_event_id<B>(request: &Request<B>) -> Option<&str> {
    let mut values = request.headers().get_all("last-event-id").into_iter();
    // It is UTF-8, unlike other fields (WHATWG HTML §9.2.4).
    let id = std::str::from_utf8(values.next()?.as_bytes()).ok()?;
    Some(id).filter(|id| !id.is_empty() && values.next().is_none())
}

/// Checks whether a request asks for a stream of events.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Rejection> {
    if request.method() != Method::GET {
        return Err(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, "method must be GET")
            .header(header::ALLOW, HeaderValue::from_static("GET")));
    }
    if !is_event_source(request) {
        let body = "Accept must have text/event-stream";
        return Err(Rejection::new(StatusCode::NOT_ACCEPTABLE, body));
    }
    Ok(())
}

/// The head of the response, without its framing; or a rejection.
pub(super) fn head<B>(request: &Request<B>, config: &Config) -> Result<Response<()>, Rejection> {
    check(request)?;
    config.origin.check(request)?;

    let mut response = Response::new(());
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, fixed(EVENT_STREAM));
    headers.insert(header::CACHE_CONTROL, fixed("no-cache, no-transform"));
    headers.insert("x-accel-buffering", fixed("no"));
    for name in config.headers().keys() {
        headers.remove(name);
    }
    for (name, value) in config.headers() {
        headers.append(name, value.clone());
    }
    match (&config.origin, request.headers().get(header::ORIGIN)) {
        (OriginPolicy::Any, _) => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, fixed("*"));
        }
        (OriginPolicy::List(_), origin) => {
            headers.append(header::VARY, fixed("Origin"));
            // The origin has passed the check: it is in the list.
            if let Some(origin) = origin {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                if config.credentials {
                    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, fixed("true"));
                }
            }
        }
        // For pages of the same origin, browsers require no permission.
        (OriginPolicy::SameHost, _) => {}
    }
    Ok(response)
}

/// Checks that an HTTP server would do.
pub(super) fn check_http<B>(request: &Request<B>) -> Result<(), Rejection> {
    let headers = request.headers();
    // HTTP/1.0 has no `Host`.
    if request.version() != Version::HTTP_10 || headers.contains_key(header::HOST) {
        check_host(request)?;
    }
    no_body(headers)
}

/// Whether an item of `Accept` allows events: with `q=0` it forbids them (RFC 9110 §12.4.2).
fn accepts(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let is_ours = parts.next().is_some_and(|it| it.eq_ignore_ascii_case(EVENT_STREAM));
    let refused = parts
        .filter_map(|part| part.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .any(|(_, weight)| weight.trim().trim_end_matches(['0', '.']).is_empty());
    is_ours && !refused
}
