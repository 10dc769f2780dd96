//! [`ResponseReader`].

use bytes::BytesMut;
use http::{Response, StatusCode};

use super::error::HeadError;
use super::limits::HeadLimits;
use super::parse::parse_response;
use super::scan::HeadScanner;

/// Reads the head of the final response, which arrives in pieces. All dialogues of a client use it: those with a server,
/// with a proxy, and of a driver.
///
/// RFC 9110 §15.2: a client MUST be able to parse one or more 1xx responses before the final one, and may ignore them.
/// 101 is final: the protocol is another one behind it.
#[derive(Clone, Debug)]
pub(crate) struct ResponseReader {
    scanner: HeadScanner,
    /// The heads that are skipped count towards `max_head`, so that they end.
    limits: HeadLimits,
}

impl ResponseReader {
    pub(crate) fn new(limits: HeadLimits) -> Self {
        Self { scanner: HeadScanner::default(), limits }
    }

    /// Removes heads from `received`, all bytes that have arrived, up to the final one, and returns that. `None` until it
    /// is complete. The bytes behind it are left.
    pub(crate) fn read(
        &mut self,
        received: &mut BytesMut,
    ) -> Result<Option<Response<()>>, HeadError> {
        loop {
            // RFC 9112 §2.2: only servers tolerate empty lines before a head.
            if received.first() == Some(&b'\r') {
                return Err(HeadError::Malformed);
            }
            let Some(len) = self.scanner.scan(received, &self.limits)? else {
                return Ok(None);
            };
            let response = parse_response(&received.split_to(len), &self.limits)?;
            let status = response.status();
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Some(response));
            }
            self.scanner = HeadScanner::default();
            self.limits.max_head =
                self.limits.max_head.checked_sub(len).ok_or(HeadError::TooLong)?;
        }
    }
}
