//! Sessions that outlive their socket. `docs/wire.md` has the rules, which the names of the tests cite.

mod attach;
mod client;
mod counting;
mod cuts;
mod every_byte;
mod link;
mod model;
mod peer;
mod registry;
mod server;
mod sides;
mod timers;
mod unaware;
mod world;
