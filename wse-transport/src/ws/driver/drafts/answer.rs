//! The 101 of the hixie drafts.

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};

use super::{Challenge, Draft, DriverOptions, Hixie};
use crate::handshake::{Rejection, single};

/// How a request is answered.
#[derive(Debug)]
pub(in super::super) struct Answer {
    /// The bytes to send.
    pub(in super::super) head: BytesMut,
    /// The same to look at.
    pub(in super::super) response: Response<()>,
    /// The subprotocol that was selected.
    pub(in super::super) protocol: Option<String>,
    /// How frames are written from then on.
    pub(in super::super) hixie: Hixie,
    /// What is to be answered behind the head.
    pub(in super::super) challenge: Option<Challenge>,
}

/// How a draft spells its answer: hixie-75 has clients compare the first three lines byte by byte.
struct Spelling {
    start: &'static str,
    origin: &'static str,
    location: &'static str,
    protocol: &'static str,
}

const HIXIE_75: Spelling = Spelling {
    start: "HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n",
    origin: "WebSocket-Origin",
    location: "WebSocket-Location",
    protocol: "WebSocket-Protocol",
};

const HIXIE_76: Spelling = Spelling {
    start: "HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n",
    origin: "Sec-WebSocket-Origin",
    location: "Sec-WebSocket-Location",
    protocol: "Sec-WebSocket-Protocol",
};

impl Draft {
    /// Answers a request that was checked as far as it can be [translated](Self::translate).
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with status 400.
    pub(in super::super) fn answer(
        self,
        request: &Request<()>,
        options: &DriverOptions,
        extra: &HeaderMap,
    ) -> Result<Answer, Rejection> {
        let headers = request.headers();
        let (spelling, challenge) = match self {
            Self::Hixie76 => (HIXIE_76, Some(Challenge::of(headers)?)),
            _ => (HIXIE_75, None),
        };
        let mut fields = Vec::new();
        if let Some(origin) = headers.get(header::ORIGIN) {
            fields.push((spelling.origin, origin.clone()));
        }
        fields.push((spelling.location, location(request, options.secure)?));
        let selected = protocol(headers, spelling.protocol, options)?;
        if let Some((value, _)) = &selected {
            fields.push((spelling.protocol, value.clone()));
        }
        fields.extend(extra.iter().map(|(name, value)| (name.as_str(), value.clone())));

        let mut head = BytesMut::from(spelling.start);
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        for (name, value) in fields {
            head.put_slice(name.as_bytes());
            head.put_slice(b": ");
            head.put_slice(value.as_bytes());
            head.put_slice(b"\r\n");
            if let Ok(name) = HeaderName::try_from(name) {
                headers.append(name, value);
            }
        }
        head.put_slice(b"\r\n");
        let protocol = selected.map(|(_, name)| name);
        let hixie = Hixie::new(options.config.limits, challenge.is_some());
        Ok(Answer { head, response, protocol, hixie, challenge })
    }
}

/// The URL that was asked for, which the client compares with its own.
fn location(request: &Request<()>, secure: bool) -> Result<HeaderValue, Rejection> {
    let malformed = || Rejection::new(StatusCode::BAD_REQUEST, "Host or path is malformed");
    let host = single(request.headers(), header::HOST).ok().flatten().ok_or_else(malformed)?;
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let scheme = if secure { "wss" } else { "ws" };
    HeaderValue::try_from(format!("{scheme}://{host}{path}")).map_err(|_| malformed())
}

/// The subprotocol, if the one that the client asks for is among ours.
fn protocol(
    headers: &HeaderMap,
    field: &'static str,
    options: &DriverOptions,
) -> Result<Option<(HeaderValue, String)>, Rejection> {
    let mut asked = headers.get_all(field).into_iter();
    match (asked.next(), asked.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let ours = options.protocols.iter().find(|name| name.as_bytes() == value.as_bytes());
            Ok(ours.map(|name| (value.clone(), name.clone())))
        }
        (Some(_), Some(_)) => {
            Err(Rejection::new(StatusCode::BAD_REQUEST, "subprotocol is repeated"))
        }
    }
}
