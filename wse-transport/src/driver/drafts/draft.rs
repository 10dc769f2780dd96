//! [`Draft`].

use http::{HeaderValue, Request, header};

use super::fields::{KEY1, KEY2, SEC_WEBSOCKET_ORIGIN};
use crate::driver::options::DriverOptions;
use crate::handshake::is_websocket;

/// A version of the protocol before RFC 6455.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::driver) enum Draft {
    Hixie75,
    Hixie76,
    Hybi7,
    Hybi8,
}

impl Draft {
    /// The draft of a request; `None` for RFC 6455, for a request that is not for a WebSocket, and if drafts are not allowed.
    pub(in crate::driver) fn of(request: &Request<()>, options: &DriverOptions) -> Option<Self> {
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

    pub(in crate::driver) const fn name(self) -> &'static str {
        match self {
            Self::Hixie75 => "hixie-75",
            Self::Hixie76 => "hixie-76",
            Self::Hybi7 => "hybi-7",
            Self::Hybi8 => "hybi-8",
        }
    }

    /// Whether the draft has neither binary messages nor pings.
    pub(in crate::driver) const fn is_text_only(self) -> bool {
        matches!(self, Self::Hixie75 | Self::Hixie76)
    }

    /// The equivalent request of RFC 6455, to be checked by the same rules.
    pub(in crate::driver) fn translate(self, request: &Request<()>) -> Request<()> {
        let mut translated = request.clone();
        let headers = translated.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if self.is_text_only() {
            let key = HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAA==");
            headers.insert(header::SEC_WEBSOCKET_KEY, key);
            // In a draft it is one name, of any printable characters.
            headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
        } else {
            // If the fields of both names differ, `Origin` is repeated, and thus rejected. One that differs is enough.
            for origin in request.headers().get_all(SEC_WEBSOCKET_ORIGIN) {
                let known = headers.get(header::ORIGIN).cloned();
                if known.as_ref() != Some(origin) {
                    headers.append(header::ORIGIN, origin.clone());
                    if known.is_some() {
                        break;
                    }
                }
            }
        }
        translated
    }
}
