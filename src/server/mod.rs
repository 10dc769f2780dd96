//! The server endpoint: [`Server`], its users, their connections, and the handlers.

mod arrivals;
mod broadcast;
mod builder;
mod config;
mod conn;
mod core;
mod duplicates;
mod events;
mod handle;
mod handlers;
mod identify;
mod identity;
mod listen;
mod mount;
mod options;
mod order;
mod registry;
mod request;
mod sending;
mod side;
#[cfg(feature = "hyper")]
mod upgrade;
mod user;

pub use builder::{CanBuild, Identifies, IdentifiesNobody, ServerBuilder};
pub use conn::Conn;
pub use events::{ErrorEvent, ServerEvent};
pub use handle::Server;
pub use identify::{Accept, Hello, Refuse, Unauthenticated};
pub use identity::IdentityFrom;
pub use mount::Listener;
pub use user::{Delivered, User};
