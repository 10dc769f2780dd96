//! The challenge of hixie-76, with which a server proves that it has read the request.

use http::{HeaderMap, StatusCode};
use md5::{Digest, Md5};

use super::fields::{KEY1, KEY2};
use crate::handshake::Rejection;
use crate::head::single;

/// The numbers in the two keys of a client, in network byte order.
#[derive(Debug)]
pub(in crate::driver) struct Challenge([[u8; 4]; 2]);

impl Challenge {
    /// The number of bytes behind the head of the request.
    pub(in crate::driver) const BODY: usize = 8;

    /// Reads the keys of a request.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with status 400 for a key that is missing, repeated, or has no number.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Rejection> {
        let number = |name| {
            let key = single(headers, name).ok().flatten();
            key.and_then(number).map(u32::to_be_bytes).ok_or_else(|| {
                let what = "Sec-WebSocket-Key1 or Sec-WebSocket-Key2 is missing or malformed";
                Rejection::new(StatusCode::BAD_REQUEST, what)
            })
        };
        Ok(Self([number(KEY1)?, number(KEY2)?]))
    }

    /// The rest of the response, once the rest of the request has arrived.
    pub(in crate::driver) fn answer(&self, body: &[u8; Self::BODY]) -> [u8; 16] {
        let Self([first, second]) = self;
        Md5::new().chain_update(first).chain_update(second).chain_update(body).finalize().into()
    }
}

/// The number in a key: its digits, divided by the number of its spaces.
fn number(key: &str) -> Option<u32> {
    let digits: String = key.chars().filter(char::is_ascii_digit).collect();
    let spaces = key.bytes().filter(|byte| *byte == b' ').count() as u64;
    let digits: u64 = digits.parse().ok()?;
    // A key without spaces is invalid.
    (digits.checked_rem(spaces)? == 0).then_some(())?;
    u32::try_from(digits / spaces).ok()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_key_hides_a_number_or_is_none() {
        assert_eq!(number("18x 6]8vM;54 *(5:  {   U1]8  z [  8"), Some(155_712_099));
        assert_eq!(number("1_ tx7X d  <  nw  334J702) 7]o}` 0"), Some(173_347_027));
        assert_eq!(number("858993459 20 "), None, "not in 32 bits");
        assert_eq!(number("42949 67295"), Some(u32::MAX));
        for key in ["", "123", "1 2 3 4", "   ", "1 99999999999999999999999999999999999999999999"] {
            assert_eq!(number(key), None, "{key:?}");
        }
    }
}
