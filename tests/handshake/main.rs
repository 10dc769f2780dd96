//! The opening handshake: requests and answers, what proxies and redirects change, and what is agreed upon.

#[path = "../support/mod.rs"]
mod support;

mod deflate;
mod forwarded;
mod interim;
mod linear;
mod lists;
mod opening;
mod redirects;
mod refused_origin;
mod taken_back;
