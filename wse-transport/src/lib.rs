//! wse-transport

pub mod handshake;
pub mod ws;
