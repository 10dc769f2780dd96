//! Sessions that outlive their socket. `docs/wire.md` has the rules, which the names of the tests cite.

mod cuts;
mod every_byte;
mod link;
mod model;
mod world;
