//! [`HeadScanner`].

use super::error::HeadError;
use super::limits::HeadLimits;

/// Finds the end of a head that arrives in pieces. It looks at each byte once: parsing from the start after each
/// piece would take time quadratic in the length, which a slow sender could exploit.
///
/// Empty lines before the first line count as part of the head: a server ignores them (RFC 9112 §2.2).
#[derive(Clone, Debug, Default)]
pub struct HeadScanner {
    scanned: usize,
    line_start: usize,
    lines: usize,
}

impl HeadScanner {
    /// Scans `input`, all bytes received so far, and returns the length of the head, with its empty line, once it is
    /// complete.
    ///
    /// # Errors
    ///
    /// [`HeadError`] as soon as a limit is exceeded, for a line that does not end in CR LF, and at the first byte for
    /// input that is not text, such as TLS.
    pub fn scan(&mut self, input: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        // Checked before the end of a line, which may never come: TLS records begin with 20 to 24.
        if input.first().is_some_and(|byte| byte.is_ascii_control() && *byte != b'\r') {
            return Err(HeadError::Malformed);
        }
        loop {
            let too_long =
                if self.lines == 0 { HeadError::FirstLineTooLong } else { HeadError::LineTooLong };
            let Some(found) = input[self.scanned..].iter().position(|byte| *byte == b'\n') else {
                self.scanned = input.len();
                // The last byte may be the CR of the line end.
                return if input.len().saturating_sub(self.line_start + 1) > limits.max_line {
                    Err(too_long)
                } else if input.len() > limits.max_head {
                    Err(HeadError::TooLong)
                } else {
                    Ok(None)
                };
            };
            let end = self.scanned + found;
            let Some(line) = input[self.line_start..end].strip_suffix(b"\r") else {
                return Err(HeadError::Malformed);
            };
            if line.len() > limits.max_line {
                return Err(too_long);
            }
            if end + 1 > limits.max_head {
                return Err(HeadError::TooLong);
            }
            let is_empty = line.is_empty();
            if is_empty && self.lines > 0 {
                return Ok(Some(end + 1));
            }
            if self.lines > limits.fields() {
                return Err(HeadError::TooManyHeaders);
            }
            self.scanned = end + 1;
            self.line_start = end + 1;
            self.lines += usize::from(!is_empty);
        }
    }
}
