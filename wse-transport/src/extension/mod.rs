//! Extensions (RFC 6455 §9): what an extension is, how both sides agree on it, and what it does to frames.
//!
//! Applications implement [`Extension`] and [`FrameExtension`]. `field.rs` reads and writes the header field
//! `Sec-WebSocket-Extensions`, `negotiate.rs` decides, and [`AgreedExtensions`] is the result.

mod agreed;
mod bits;
mod field;
mod negotiate;
mod params;
mod traits;

pub use agreed::AgreedExtensions;
pub use bits::ReservedBits;
pub(crate) use field::{Element, Malformed, field, is_valid, parse, write};
pub(crate) use negotiate::{AnswerError, agree, answer};
pub use params::ExtensionParams;
pub use traits::{Extension, FrameExtension};
