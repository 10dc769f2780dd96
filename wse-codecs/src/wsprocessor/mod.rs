//! The wire format of the npm package wsprocessor: the format [`WsJson`], and the protocol [`WsProcessor`].

mod envelope;
mod format;

pub use envelope::WsProcessor;
pub use format::WsJson;
