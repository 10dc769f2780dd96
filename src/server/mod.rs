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
mod hooks;
mod identify;
mod identity;
mod listen;
mod mount;
mod options;
mod order;
mod presence;
mod refused;
mod registry;
mod report;
mod request;
mod room;
mod rooms;
mod side;
mod target;
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
pub use report::{Acked, Deliveries, Delivery, Outcome, Report};
pub use room::{Member, Room};
pub use rooms::JoinError;
pub use target::Target;
pub use user::User;
