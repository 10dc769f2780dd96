//! The state of decoding.

use crate::frame::{FrameHeader, Utf8Validator};

/// The position in a frame.
#[derive(Debug)]
pub(super) enum Reading {
    Header,
    /// The header is consumed; `checked` bytes of the payload are unmasked and validated.
    Payload {
        header: FrameHeader,
        len: usize,
        checked: usize,
    },
    /// A whole text message was not UTF-8, and is consumed.
    NotUtf8,
}

/// The data message that is being received.
#[derive(Debug)]
pub(super) struct Fragments {
    pub(super) text: Option<Utf8Validator>,
    /// The payload on the wire, in bytes.
    pub(super) bytes: usize,
    pub(super) frames: usize,
    pub(super) compressed: bool,
    /// The payload after extensions, in bytes.
    pub(super) extended: usize,
    /// The most bytes that the message may have.
    pub(super) limit: usize,
}
