//! Header fields that only the drafts have.

use http::HeaderName;

pub(super) const KEY1: HeaderName = HeaderName::from_static("sec-websocket-key1");
pub(super) const KEY2: HeaderName = HeaderName::from_static("sec-websocket-key2");
pub(super) const SEC_WEBSOCKET_ORIGIN: HeaderName = HeaderName::from_static("sec-websocket-origin");
