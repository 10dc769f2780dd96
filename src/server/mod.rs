//! The server endpoint: [`Server`], its users, their connections, and the handlers.

mod acceptor;
mod arrivals;
mod broadcast;
mod builder;
mod config;
mod conn;
mod core;
mod duplicates;
mod events;
mod feed;
mod handle;
mod handlers;
mod identify;
mod identity;
mod listen;
mod mount;
mod options;
mod order;
mod refused;
mod registry;
mod request;
mod sending;
mod side;
#[cfg(feature = "hyper")]
mod upgrade;
mod user;
mod verdict;

pub use builder::{CanBuild, Identifies, IdentifiesNobody, ServerBuilder};
pub use conn::Conn;
pub use duplicates::DuplicateWindows;
pub use events::{ErrorEvent, ServerEvent};
pub use handle::Server;
pub use identify::{Accept, Hello, Refuse, Unauthenticated};
pub use identity::IdentityFrom;
pub use mount::Listener;
pub use refused::{Refused, RefusedAt, RefusedWith};
pub use user::{Delivered, User};
