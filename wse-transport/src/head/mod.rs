//! The heads of HTTP/1.1 messages (RFC 9112) and their fields (RFC 9110). Public through
//! [`handshake`](crate::handshake).

mod body;
mod encode;
mod error;
mod fields;
mod limits;
mod parse;
mod response;
mod scan;

pub(crate) use body::read_body;
pub(crate) use encode::encode_headers;
pub use encode::{encode_request, encode_response};
pub use error::HeadError;
pub(crate) use fields::{
    BASE64, basic_auth, host, is_reserved, is_token, list_has, percent_decode, single, subprotocols,
};
pub use limits::HeadLimits;
pub use parse::{parse_request, parse_response};
pub(crate) use response::ResponseReader;
pub use scan::HeadScanner;
