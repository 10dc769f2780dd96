//! The drafts before RFC 6455, which browsers of 2009 to 2011 speak, on a server.
//!
//! | name | document | request | frames |
//! | --- | --- | --- | --- |
//! | `hixie-75` | draft-hixie-thewebsocketprotocol-75 | no key | `hixie.rs` |
//! | `hixie-76` | draft-ietf-hybi-thewebsocketprotocol-00 | two keys and 8 bytes | `hixie.rs` |
//! | `hybi-7`, `hybi-8` | draft-ietf-hybi-thewebsocketprotocol-07 to -12 | version 7 or 8 | those of RFC 6455 |

mod answer;
mod challenge;
mod draft;
mod fields;
mod hixie;
mod versions;

pub(super) use challenge::Challenge;
pub(super) use draft::Draft;
pub(super) use hixie::Hixie;
pub(super) use versions::{add_versions, allowed};
