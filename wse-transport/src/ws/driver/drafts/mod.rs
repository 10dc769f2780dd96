//! The drafts before RFC 6455 that browsers of 2009 to 2011 speak, on the server's side.
//!
//! | name | document | request | frames |
//! | --- | --- | --- | --- |
//! | `hixie-75` | draft-hixie-thewebsocketprotocol-75 | no key | `hixie.rs` |
//! | `hixie-76` | draft-ietf-hybi-thewebsocketprotocol-00 | two keys and 8 bytes | `hixie.rs` |
//! | `hybi-7`, `hybi-8` | draft-ietf-hybi-thewebsocketprotocol-07 to -12 | version 7 or 8 | those of RFC 6455 |

mod answer;
mod challenge;
mod hixie;

use http::{HeaderName, HeaderValue, Request, StatusCode, header};

use super::DriverOptions;
use crate::handshake::{Rejection, is_websocket};
pub(super) use challenge::Challenge;
pub(super) use hixie::Hixie;

const KEY1: HeaderName = HeaderName::from_static("sec-websocket-key1");
const KEY2: HeaderName = HeaderName::from_static("sec-websocket-key2");
const SEC_WEBSOCKET_ORIGIN: HeaderName = HeaderName::from_static("sec-websocket-origin");

/// Which draft is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draft {
    Hixie75,
    Hixie76,
    Hybi7,
    Hybi8,
}

/// Whether a request may turn out to be of a draft.
pub(super) const fn allowed(options: &DriverOptions) -> bool {
    options.allow_drafts
}

/// Adds the drafts to the versions that a refusal says would be right (RFC 6455 §4.4).
pub(super) fn add_versions(rejection: Rejection, options: &DriverOptions) -> Rejection {
    if options.allow_drafts && rejection.status() == StatusCode::UPGRADE_REQUIRED {
        rejection.header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("8, 7"))
    } else {
        rejection
    }
}

impl Draft {
    /// The draft of a request; `None` for RFC 6455, for what is no WebSocket, and when drafts are not
    /// allowed.
    pub(super) fn of(request: &Request<()>, options: &DriverOptions) -> Option<Self> {
        if !options.allow_drafts || !is_websocket(request) {
            return None;
        }
        let headers = request.headers();
        let mut versions = headers.get_all(header::SEC_WEBSOCKET_VERSION).into_iter();
        match (versions.next().map(HeaderValue::as_bytes), versions.next()) {
            (Some(b"7"), None) => Some(Self::Hybi7),
            (Some(b"8"), None) => Some(Self::Hybi8),
            (Some(_), _) => None,
            (None, _) if headers.contains_key(header::SEC_WEBSOCKET_KEY) => None,
            (None, _) if headers.contains_key(KEY1) || headers.contains_key(KEY2) => {
                Some(Self::Hixie76)
            }
            (None, _) => Some(Self::Hixie75),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hixie75 => "hixie-75",
            Self::Hixie76 => "hixie-76",
            Self::Hybi7 => "hybi-7",
            Self::Hybi8 => "hybi-8",
        }
    }

    /// Whether there are neither binary messages nor pings.
    pub(super) const fn is_text_only(self) -> bool {
        matches!(self, Self::Hixie75 | Self::Hixie76)
    }

    /// What a client of RFC 6455 would have asked instead, to be checked by the same rules.
    pub(super) fn translate(self, request: &Request<()>) -> Request<()> {
        let mut translated = request.clone();
        let headers = translated.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if self.is_text_only() {
            let key = HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAA==");
            headers.insert(header::SEC_WEBSOCKET_KEY, key);
            // There it is one name, of any printable characters.
            headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
        } else {
            // Where both fields are there and differ, it is repeated, and thus refused.
            for origin in request.headers().get_all(SEC_WEBSOCKET_ORIGIN) {
                if headers.get_all(header::ORIGIN).iter().all(|it| it != origin) {
                    headers.append(header::ORIGIN, origin.clone());
                }
            }
        }
        translated
    }
}
