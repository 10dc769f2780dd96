//! The npm package wsprocessor: the format [`WsProcessorFormat`] and the protocol [`WsProcessor`].

mod envelope;
mod format;

pub use envelope::WsProcessor;
pub use format::WsProcessorFormat;
