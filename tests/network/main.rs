//! Real sockets: TLS, proxies, and the HTTP servers of other libraries.

#[path = "../support/mod.rs"]
mod support;

mod axum;
mod complaints;
mod http2;
mod listening;
mod mounting;
mod proxy;
mod proxy_dialogues;
mod refusals;
mod resuming;
mod silent_connection;
mod tls;
mod upgrading;
