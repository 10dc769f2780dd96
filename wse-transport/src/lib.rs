//! wse-transport
