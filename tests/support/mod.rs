//! Shared helpers of the tests. Each test program uses only some of them.
#![allow(dead_code)]

pub mod driver;
pub mod endpoints;
pub mod event_source;
pub mod framed;
pub mod inflate;
pub mod log;
pub mod proxy;
pub mod session;
pub mod sockets;
pub mod web;
pub mod ws;
