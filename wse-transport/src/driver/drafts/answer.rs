//! The response 101 of the hixie drafts.

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};

use super::challenge::Challenge;
use super::draft::Draft;
use super::hixie::Hixie;
use crate::driver::options::DriverOptions;
use crate::handshake::Rejection;
use crate::head::single;

/// The response to a request.
#[derive(Debug)]
pub(in crate::driver) struct Answer {
    /// The bytes to send.
    pub(in crate::driver) head: BytesMut,
    /// The same as a response.
    pub(in crate::driver) response: Response<()>,
    /// The subprotocol that was selected.
    pub(in crate::driver) protocol: Option<String>,
    /// The codec for the frames that follow.
    pub(in crate::driver) hixie: Hixie,
    /// The challenge to answer behind the head.
    pub(in crate::driver) challenge: Option<Challenge>,
}

/// The spelling of a draft's response: clients of hixie-75 compare the first three lines byte by byte.
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
    pub(in crate::driver) fn answer(
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

/// The URL of the request, which the client compares with its own.
fn location(request: &Request<()>, secure: bool) -> Result<HeaderValue, Rejection> {
    let malformed = || Rejection::new(StatusCode::BAD_REQUEST, "Host or path is malformed");
    let host = single(request.headers(), header::HOST).ok().flatten().ok_or_else(malformed)?;
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let scheme = if secure { "wss" } else { "ws" };
    HeaderValue::try_from(format!("{scheme}://{host}{path}")).map_err(|_| malformed())
}

/// The subprotocol that the client asks for, if the server has it.
fn protocol(
    headers: &HeaderMap,
    field: &'static str,
    options: &DriverOptions,
) -> Result<Option<(HeaderValue, String)>, Rejection> {
    let mut asked = headers.get_all(field).into_iter();
    match (asked.next(), asked.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let selected =
                options.protocols.iter().find(|name| name.as_bytes() == value.as_bytes());
            Ok(selected.map(|name| (value.clone(), name.clone())))
        }
        (Some(_), Some(_)) => {
            Err(Rejection::new(StatusCode::BAD_REQUEST, "subprotocol is repeated"))
        }
    }
}
