//! What the tests share. Each test program uses only a part of it.
#![allow(dead_code)]

pub mod driver;
pub mod endpoints;
pub mod event_source;
pub mod inflate;
pub mod proxy;
pub mod session;
pub mod sockets;
pub mod web;
pub mod ws;
