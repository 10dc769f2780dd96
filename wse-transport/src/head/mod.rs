//! The heads of HTTP/1.1 messages (RFC 9112) and their fields (RFC 9110). Public through
//! [`handshake`](crate::handshake).

mod body;
mod encode;
mod error;
mod fields;
mod limits;
mod list;
mod parse;
mod response;
mod scan;
mod secret;

pub(crate) use body::read_body;
pub(crate) use encode::encode_headers;
pub use encode::{encode_request, encode_response};
pub use error::HeadError;
pub(crate) use fields::{
    BASE64, MAX_HOST, basic_auth, host, is_reserved, is_token, percent_decode, single,
};
pub use limits::HeadLimits;
pub(crate) use list::{MAX_OFFERS, OfferError, elements, list_has, subprotocols};
pub use parse::{parse_request, parse_response};
pub(crate) use response::ResponseReader;
pub use scan::HeadScanner;
pub(crate) use secret::concealed;
pub use secret::{conceal_credentials, is_credential, public_url};
