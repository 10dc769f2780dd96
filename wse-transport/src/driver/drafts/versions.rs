//! The versions that a server supports.

use http::{HeaderValue, StatusCode, header};

use crate::driver::options::DriverOptions;
use crate::handshake::Rejection;

/// Whether a request may be one of a draft.
pub(in crate::driver) const fn allowed(options: &DriverOptions) -> bool {
    options.allow_drafts
}

/// Adds the drafts to the supported versions in a rejection (RFC 6455 §4.4).
pub(in crate::driver) fn add_versions(rejection: Rejection, options: &DriverOptions) -> Rejection {
    if options.allow_drafts && rejection.status() == StatusCode::UPGRADE_REQUIRED {
        rejection.header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("8, 7"))
    } else {
        rejection
    }
}
