//! The client endpoint: [`Client`], one connection to a server, reopened after it is lost.

mod builder;
mod command;
mod connector;
mod credentials;
mod error;
mod framed_url;
mod handle;
mod handlers;
mod hooks;
mod lifecycle;
mod manager;
mod offline_queue;
mod open;
mod options;
mod outgoing;
mod place;
mod renewal;
mod sending;
mod shared;
mod side;
mod status;

pub use builder::ClientBuilder;
pub use connector::{Connector, TcpConnector};
pub use error::ConnectError;
pub use handle::Client;
pub use status::{ClientEvent, Status};
