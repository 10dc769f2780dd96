//! The extensions of one connection.

use super::bits::ReservedBits;
use super::traits::FrameExtension;
use crate::frame::{Frame, ProtocolError};

/// The extensions that both sides of a connection agreed on, in order.
#[derive(Debug, Default)]
pub struct AgreedExtensions {
    list: Vec<Box<dyn FrameExtension>>,
    pub(crate) bits: ReservedBits,
}

impl AgreedExtensions {
    /// Whether there are no extensions.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of extensions.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn push(&mut self, extension: Box<dyn FrameExtension>, bits: ReservedBits) {
        self.list.push(extension);
        self.bits = self.bits.with(bits).unwrap_or(self.bits);
    }

    pub(crate) fn encode(&mut self, frame: Frame) -> Frame {
        self.list.iter_mut().fold(frame, |frame, it| it.encode(frame))
    }

    pub(crate) fn decode(&mut self, frame: Frame) -> Result<Frame, ProtocolError> {
        self.list
            .iter_mut()
            .rev()
            .try_fold(frame, |frame, it| it.decode(frame))
            .map_err(ProtocolError::Extension)
    }
}
