//! The parts of a frame (RFC 6455 §5), and the errors that they can have. Public through
//! [`ws`](crate::ws).

mod close_code;
mod close_frame;
mod error;
mod header;
mod mask;
mod opcode;
mod role;
mod utf8;
mod utf8_bytes;
mod whole;

pub use close_code::CloseCode;
pub use close_frame::CloseFrame;
pub use error::{Error, MisuseError, ProtocolError};
pub use header::FrameHeader;
pub(crate) use header::{MAX_CONTROL, length_and_mask, put_head};
pub use mask::apply_mask;
pub use opcode::Opcode;
pub use role::Role;
pub(crate) use utf8::is_utf8;
pub use utf8::{InvalidUtf8, Utf8Validator};
pub use utf8_bytes::Utf8Bytes;
pub use whole::Frame;
