//! Byte streams and WebSockets without an endpoint, and endpoints over byte streams.

mod codec;
mod endpoints;
mod sockets;
