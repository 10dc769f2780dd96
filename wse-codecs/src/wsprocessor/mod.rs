//! The npm package wsprocessor: the format [`WsProcessorFormat`] and the protocol [`WsProcessor`].

mod envelope;
mod format;
mod note_stamp;

pub use envelope::WsProcessor;
pub use format::WsProcessorFormat;
