//! The limit of nesting, which protects the stack from hostile messages.

/// How deep a message may be nested, including its envelope. The limit of serde_json.
pub(crate) const MAX_DEPTH: u32 = 128;
